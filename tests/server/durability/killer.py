"""Kill a process that writes, at each call that changes the disk or at random, and look at what is left.

``python -m tests.server.durability.killer BOUNDARY FOLDER each|random ROUNDS`` prints what it did as JSON. It forks:
the libraries are loaded once, and no child shares anything with the test's own process.
"""

import json
import os
import random
import signal
import sqlite3
import sys
import time
import traceback
from pathlib import Path

from tests.server.durability.boundaries import BOUNDARIES, fresh

_CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "shutil.move"}
_OPERATIONS = 2


def die_at(call):
    """Kill this process just before its call number so much (from 1) that changes something on the disk."""
    calls = 0

    def count():
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event, args):
        if event in _CHANGES or (event == "open" and args[2] and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            count()

    real_fsync, real_connect = os.fsync, sqlite3.connect

    def fsync(handle):
        count()
        return real_fsync(handle)

    def connect(*args, **options):
        connection = real_connect(*args, **options)
        connection.set_trace_callback(lambda statement: count())
        return connection

    os.fsync, sqlite3.connect = fsync, connect
    sys.addaudithook(audit)


def crash(boundary, folder, seed, *, at_call=None, after_s=None):
    """Run a boundary in a child and kill it; return what it acknowledged, and whether it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        done = 0

        def acknowledge(told):
            nonlocal done
            os.write(writing, (json.dumps(told) + "\n").encode())
            done += 1
            if at_call is not None and done == _OPERATIONS:
                os._exit(0)

        try:
            if at_call is not None:
                die_at(at_call)
            boundary.run(folder, seed, acknowledge)
        except BaseException:
            traceback.print_exc()
        os._exit(3)
    os.close(writing)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading) as told:
        acknowledged = [json.loads(line) for line in told if line.endswith("\n")]
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), f"the writer itself failed ({status})"
    return acknowledged, status != 0


def at_each_call(boundary, base):
    """Kill before the first call, before the second ... until the writer ends by itself."""
    (base / "template").mkdir()
    boundary.prepare(base / "template")
    acknowledged_in_all = call = 0
    while True:
        call += 1
        folder = fresh(base / "template", base / "studies")
        acknowledged, killed = crash(boundary, folder, 1, at_call=call)
        boundary.check(folder, acknowledged)
        acknowledged_in_all += len(acknowledged)
        if not killed:
            return {"calls": call - 1, "acknowledged": acknowledged_in_all}
        more, _ = crash(boundary, folder, 2, at_call=10**9)  # and work goes on
        boundary.check(folder, acknowledged + more)


def at_random(boundary, base, rounds):
    """Kill at random moments, over and over, in one folder; late enough, on a busy machine too, that work gets done."""
    (base / "studies").mkdir()
    boundary.prepare(base / "studies")
    dice = random.Random(7)
    acknowledged = []
    latest_s = 0.06
    for seed in range(1, rounds + 1):
        more, killed = crash(boundary, base / "studies", seed, after_s=dice.uniform(0.0, latest_s))
        assert killed
        acknowledged += more
        latest_s = min(2.0, latest_s * 1.15) if len(acknowledged) < 2 * seed else max(0.06, latest_s * 0.9)
        boundary.check(base / "studies", acknowledged)
    return {"rounds": rounds, "acknowledged": len(acknowledged)}


if __name__ == "__main__":
    name, where, how, number = sys.argv[1:]
    chosen = BOUNDARIES[name]()
    if name == "publish":
        import torch

        from hepatic.engine import weights  # noqa: F401 - loaded before the forks

        torch.set_num_threads(1)
    if name in ("decision", "snapshot"):
        import torch

        torch.set_num_threads(1)
    if name == "session":
        from server import sessions  # noqa: F401
    place = Path(where)
    print(json.dumps(at_each_call(chosen, place) if how == "each" else at_random(chosen, place, int(number))))
