"""Two servers on one folder by mistake: the second refuses, says who holds it, and touches nothing."""

import asyncio
import json
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from hepatic.errors import ConflictError
from server.app import create_app
from server.claim import Claim
from server.running import running

from .conftest import FOREIGN_APP

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from server.claim import Claim
claim = Claim(Path(sys.argv[1]))
claim.take()
print("held", flush=True)
time.sleep(60)
"""


def made(studies):
    return create_app(FOREIGN_APP, studies, score_in_background=False)


def start(app):
    async def once():
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(once())


def files(folder):
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def serve(studies):
    return subprocess.run(
        [sys.executable, "-m", "server.cli", "serve", "--app", FOREIGN_APP, "--studies", studies, "--port", "1"],
        cwd=ROOT, capture_output=True, text=True, timeout=100,
    )  # fmt: skip


def test_a_second_server_is_refused_and_the_first_goes_on(tmp_path, flags):
    with running(made(tmp_path)) as address:
        second = made(tmp_path)
        with pytest.raises(ConflictError) as refused:
            start(second)
        assert f"one on {socket.gethostname()} (process {os.getpid()}), running since 2" in str(refused.value)
        assert not hasattr(second.state, "services")
        assert requests.get(f"{address}/info/", timeout=30).status_code == 200
        with pytest.raises(ConflictError):  # what was refused has not let go of what it never had
            Claim(tmp_path / ".hepatic").take()
    with running(second) as address:
        assert requests.get(f"{address}/info/", timeout=30).status_code == 200
    assert not (tmp_path / ".hepatic" / "server.lock.json").exists()


def test_servers_over_two_folders_do_not_meet(tmp_path):
    one, other = Claim(tmp_path / "one"), Claim(tmp_path / "other")
    one.take()
    other.take()
    one.release()
    other.release()


def test_what_comes_from_another_server_is_closed_to_other_users_of_this_machine(tmp_path):
    umask = os.umask(0o022)
    try:
        for is_private, mode in ((True, 0o700), (False, 0o755)):
            claim = Claim(tmp_path / str(is_private), is_private=is_private)
            claim.take()
            claim.release()
            assert stat.S_IMODE((tmp_path / str(is_private)).stat().st_mode) == mode
    finally:
        os.umask(umask)


def test_a_server_that_could_not_start_holds_nothing(tmp_path):
    (tmp_path / "main.py").write_text("raise RuntimeError('broken app')")
    with pytest.raises(Exception, match="broken app"):
        start(create_app(tmp_path, tmp_path / "studies"))
    claim = Claim(tmp_path / "studies" / ".hepatic")
    claim.take()
    claim.release()


def test_the_command_ends_with_one_sentence_and_code_2_and_touches_nothing(tmp_path):
    data = tmp_path / ".hepatic"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, data], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        before = files(tmp_path)
        ended = serve(tmp_path)
        assert ended.returncode == 2
        assert re.sub(r"\s+", " ", ended.stderr).startswith("Error: these studies: expected no other server")
        assert f"one on {socket.gethostname()} (process {holder.pid}), running since" in ended.stderr
        assert ended.stderr.count("\n") == 1
        assert files(tmp_path) == before
    finally:
        holder.kill()
        holder.communicate(timeout=10)
    assert json.loads((data / "server.lock.json").read_text())["pid"] == holder.pid  # what a killed server leaves
    claim = Claim(data)
    claim.take()
    assert json.loads((data / "server.lock.json").read_text())["pid"] == os.getpid()
    claim.take()
    claim.release()
    claim.release()


@pytest.mark.parametrize("left", ["", "{", "[]", '{"host": "h"}', '{"host": "h", "pid": 1, "since": 3}'])
def test_a_note_that_cannot_be_read_does_not_hide_that_the_folder_is_held(tmp_path, left):
    holder = Claim(tmp_path)
    holder.take()
    (tmp_path / "server.lock.json").write_text(left)
    with pytest.raises(ConflictError, match="one that is running"):
        Claim(tmp_path).take()
    holder.release()
