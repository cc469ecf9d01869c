"""No process outlives the server, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys, uvicorn
from server.app import create_app
from server.running import running
if __name__ == "__main__":
    uvicorn.run(create_app("tests/foreign_app", sys.argv[1], score_in_background=False), port=0, log_level="info")
"""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_workers_and_trainings_end_with_the_server(tmp_path, ending):
    script = tmp_path / "serve.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "studies")],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        address = None
        for line in server.stderr:
            if "running on" in line:
                address = line.split("running on ")[1].split()[0]
                break
        import requests

        requests.post(f"{address}/train/slow", json={"max_epochs": 100, "sleep_s": 1}, timeout=120)
        deadline = time.monotonic() + 120
        family = psutil.Process(server.pid).children(recursive=True)
        while len([p for p in family if "training_process" in " ".join(p.cmdline())]) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            family = psutil.Process(server.pid).children(recursive=True)
        time.sleep(1.5)
        family = psutil.Process(server.pid).children(recursive=True)
        server.send_signal(ending)
        server.wait(120)
        gone, alive = psutil.wait_procs(family, timeout=300)  # one that is still importing ends when it has
        assert alive == []
        assert len(gone) >= 2
    finally:
        server.kill()
        server.stderr.close()
