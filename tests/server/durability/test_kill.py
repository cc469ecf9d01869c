"""What was acknowledged survives kill -9 at any moment, and what was not is not half there."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.server.durability.boundaries import BOUNDARIES

ROUNDS = int(os.environ.get("HEPATIC_KILL_ROUNDS", "100"))
_ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: POSIX only")


@pytest.fixture
def folder(tmp_path):
    """A folder in memory where there is room: what a killed process wrote is kept, flushed to a disk or not."""
    memory = Path("/dev/shm")  # noqa: S108 - names below it are made safely
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < 1 << 30:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="hepatic-kill-", dir=memory) as made:
        yield Path(made)


def kill(boundary, folder, how):
    command = [sys.executable, "-m", "tests.server.durability.killer", boundary, str(folder), how, str(ROUNDS)]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_before_each_call_that_changes_the_disk(boundary, folder):
    told = kill(boundary, folder, "each")
    assert told["calls"] > 5
    assert told["acknowledged"] > told["calls"] / 4


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_at_random_moments(boundary, folder):
    told = kill(boundary, folder, "random")
    assert told["rounds"] == ROUNDS
    assert told["acknowledged"] > ROUNDS / 2
