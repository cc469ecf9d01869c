"""What is documented is what there is."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import infer_tasks
from hepatic.settings import Settings
from hepatic.tasks.discover import discover_tasks

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default(name):
    field = Settings.model_fields[name]
    line = f"| `HEPATIC_{name.upper()}` | `{field.default}` | {field.description} |"
    assert line in (ROOT / "docs/settings.md").read_text()


@pytest.mark.parametrize("name", discover_tasks(infer_tasks))
def test_every_task_is_in_the_readmes_table(name):
    assert f"| `{name}` |" in README


@pytest.mark.parametrize("command", re.findall(r"^hepatic (.+)$", README, flags=re.MULTILINE))
def test_every_command_of_the_readme_takes_the_options_it_is_shown_with(command):
    words = shlex.split(command)
    nested = words[:2] if words[0] in ("models", "tokens", "audit", "quarantine", "deidentify") else words[:1]
    said = subprocess.run(
        [sys.executable, "-m", "server.cli", *nested, "--help"],
        capture_output=True, text=True, check=False, env={"COLUMNS": "200", "PATH": "/usr/bin:/bin"}, cwd=ROOT,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    for option in (word for word in words if word.startswith("--")):
        assert option in said.stdout


def test_the_pages_the_readme_links_to_exist():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
