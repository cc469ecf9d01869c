"""The scratch folder: private, below the data folder, and never left behind."""

import subprocess
import sys
from pathlib import Path

from server.intake.scratch import Scratch

HOLD = """
import sys, time
from pathlib import Path
from server.intake.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
scratch.results_dir.mkdir()
(scratch.results_dir / "patient.nrrd").touch()
print(scratch.dir, flush=True)
time.sleep(60)
"""


def started(parent):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_server_left_is_removed_and_what_a_living_one_has_is_not(tmp_path):
    killed, left = started(tmp_path / "scratch")
    living, kept = started(tmp_path / "scratch")
    killed.kill()
    killed.communicate(timeout=10)
    try:
        assert (left / "results" / "patient.nrrd").is_file()
        (tmp_path / "scratch" / "nobodys").mkdir()
        scratch = Scratch(tmp_path / "scratch")
        assert not left.exists()
        assert (kept / "results" / "patient.nrrd").is_file()
        assert {path.name for path in scratch.dir.parent.iterdir()} == {
            name for folder in (kept, scratch.dir) for name in (folder.name, f"{folder.name}.lock")
        }
        assert scratch.dir.stat().st_mode & 0o077 == 0
        Scratch(tmp_path / "scratch").close()
        assert scratch.dir.is_dir()
        scratch.close()
    finally:
        living.kill()
        living.communicate(timeout=10)
    Scratch(tmp_path / "scratch").close()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_servers_scratch_is_below_its_data(services):
    assert services.scratch.dir.parent == services.spec.data_dir.resolve() / "scratch"
