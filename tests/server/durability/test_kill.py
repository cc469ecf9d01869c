"""What was acknowledged survives kill -9 at any moment, and what was not is not half there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.durability.boundaries import BOUNDARIES

ROUNDS = int(os.environ.get("HEPATIC_KILL_ROUNDS", "100"))
_ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: POSIX only")


def kill(boundary, folder, how):
    command = [sys.executable, "-m", "tests.server.durability.killer", boundary, str(folder), how, str(ROUNDS)]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_before_each_call_that_changes_the_disk(boundary, tmp_path):
    told = kill(boundary, tmp_path, "each")
    assert told["calls"] > 5
    assert told["acknowledged"] > told["calls"] / 4


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_killed_at_random_moments(boundary, tmp_path):
    told = kill(boundary, tmp_path, "random")
    assert told["rounds"] == ROUNDS
    assert told["acknowledged"] > ROUNDS / 2
