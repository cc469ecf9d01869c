"""A whole server, killed while clients write: the next has all that was acknowledged; others may write beside it."""

import hashlib
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
import SimpleITK

_ROOT = Path(__file__).parents[3]
_SERVE = """
import sys
from server.app import create_app
from server.running import running
with running(create_app(sys.argv[1], sys.argv[2], score_in_background=False)) as address:
    print(address, flush=True)
    sys.stdin.read()
"""


@contextmanager
def serving(studies):
    command = [sys.executable, "-c", _SERVE, str(_ROOT / "tests" / "tiny_app"), str(studies)]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def image(path, value):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.full((4, 8, 8), value, np.uint8)), str(path))
    return path.read_bytes()


def test_what_a_killed_server_acknowledged_is_there_at_the_next_start(tmp_path):
    studies = tmp_path / "studies"
    studies.mkdir()
    image(studies / "case.nrrd", 0)
    sent = image(tmp_path / "sent.nrrd", 1)
    told = {"labels": 0, "notes": 0, "images": [], "sessions": []}

    def write(address):
        try:
            while True:
                number = len(told["images"])
                files = {"file": ("new.nrrd", sent + b" " * number)}
                answer = requests.put(f"{address}/datastore/image?image=new{number}", files=files, timeout=20)
                told["images"].append((answer.json()["image"], hashlib.sha256(files["file"][1]).hexdigest()))
                files = {"label": ("l.nrrd", sent)}
                assert requests.put(f"{address}/datastore/label?image=case", files=files, timeout=20).ok
                told["labels"] += 1
                data = {"info": f'{{"note": {number + 1}}}'}
                assert requests.put(f"{address}/datastore/image/info?image=case", data=data, timeout=20).ok
                told["notes"] = number + 1
                answer = requests.put(f"{address}/session/", files={"files": ("s.nrrd", sent)}, timeout=20)
                told["sessions"].append(answer.json()["session_id"])
        except requests.RequestException:
            return

    with serving(studies) as (process, address):
        writing = threading.Thread(target=write, args=(address,))
        writing.start()
        deadline = time.monotonic() + 60
        while len(told["sessions"]) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        writing.join(30)
    assert len(told["sessions"]) >= 5
    with serving(studies) as (_, address):
        for image_id, sha256 in told["images"]:
            query = {"image": image_id, "check_sum": f"SHA256:{sha256}"}
            assert requests.head(f"{address}/datastore/image", params=query, timeout=20).status_code == 200
        label = requests.get(f"{address}/datastore/label/info?label=case&tag=final", timeout=20).json()
        assert label["version"] >= told["labels"]
        assert requests.get(f"{address}/datastore/label?label=case&tag=final", timeout=20).content == sent
        info = requests.get(f"{address}/datastore/image/info?image=case", timeout=20).json()
        assert info["note"] >= told["notes"]
        for session in told["sessions"]:
            assert requests.get(f"{address}/session/{session}?image=true", timeout=20).content == sent
        assert len(list((studies / ".hepatic" / "scratch").iterdir())) == 2  # its own folder and lock

        # and `hepatic import-dir` may write beside a server
        image(tmp_path / "more.nrrd", 3)
        (tmp_path / "in").mkdir()
        (tmp_path / "more.nrrd").rename(tmp_path / "in" / "more.nrrd")
        command = [sys.executable, "-m", "server.cli", "import-dir", str(tmp_path / "in"), "--studies", str(studies)]
        run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=100, check=False)
        assert run.returncode == 0, run.stderr
        assert requests.get(f"{address}/datastore/image?image=more", timeout=20).status_code == 200
