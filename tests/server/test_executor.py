"""The executor: order, loss of workers, cancelling, limits."""

import os
import threading
import time
from concurrent.futures import CancelledError, wait
from pathlib import Path

import psutil
import pytest

from hepatic.errors import BadInputError
from server.executor import Executor, NoWorkerError, Priority, QueueFullError, WorkCancelledError
from server.slot import LocalSlot, RemoteError, WorkerLostError, WorkTimeoutError


class ThreadSlot:
    """A slot in this process that can be told to die; for everything that needs no real process."""

    def __init__(self, log=None):
        self.killed = threading.Event()
        self.log = [] if log is None else log

    @property
    def alive(self):
        return not self.killed.is_set()

    def open(self):
        self.log.append("open")

    def call(self, work, args, timeout_s):
        if self.killed.is_set():
            raise WorkerLostError("killed")
        done = []
        thread = threading.Thread(target=lambda: done.append(work(*args)), daemon=True)
        thread.start()
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while thread.is_alive():
            if self.killed.is_set():
                raise WorkerLostError("killed")
            if deadline is not None and time.monotonic() > deadline:
                raise WorkTimeoutError("too slow")
            thread.join(0.002)
        return done[0]

    def kill(self):
        self.killed.set()


@pytest.fixture
def executor():
    made = Executor(ThreadSlot, queue_limit=8)
    yield made
    made.close()


def hold(executor):
    """Occupy the slot; return what lets it go on."""
    started, go_on = threading.Event(), threading.Event()

    def work():
        started.set()
        go_on.wait(10)
        return "held"

    future = executor.submit(work, priority=Priority.INTERACTIVE)
    assert started.wait(60)
    return future, go_on


def test_urgent_work_goes_first_and_equal_work_in_its_order(executor):
    done = []
    _, go_on = hold(executor)
    futures = [executor.submit(done.append, name, priority=Priority.BATCH) for name in ("b1", "b2")]
    futures.append(executor.submit(done.append, "t", priority=Priority.TRAIN))
    futures += [executor.submit(done.append, name, priority=Priority.INTERACTIVE) for name in ("i1", "i2")]
    go_on.set()
    wait(futures, 5)
    assert done == ["i1", "i2", "t", "b1", "b2"]


def test_more_than_the_limit_is_refused(executor):
    _, go_on = hold(executor)
    futures = [executor.submit(int) for _ in range(8)]
    with pytest.raises(QueueFullError, match="8 requests"):
        executor.submit(int)
    go_on.set()
    assert [future.result(60) for future in futures] == [0] * 8
    assert executor.submit(int).result(60) == 0


def test_waiting_work_can_be_cancelled(executor):
    _, go_on = hold(executor)
    future = executor.submit(int)
    assert executor.cancel(future)
    assert executor.waiting == 0
    go_on.set()
    with pytest.raises(CancelledError):
        future.result(60)


def test_running_work_is_left_alone_unless_it_is_to_be_killed(executor):
    future, go_on = hold(executor)
    assert not executor.cancel(future, kill=False)
    go_on.set()
    assert future.result(60) == "held"


def test_running_work_can_be_killed_and_the_next_runs_in_a_new_slot(executor):
    future, _ = hold(executor)
    following = executor.submit(lambda: "next")
    assert executor.cancel(future)
    with pytest.raises(WorkCancelledError):
        future.result(60)
    assert following.result(60) == "next"


def test_a_slot_that_takes_long_to_kill_keeps_nobody_from_asking():
    killing, asked = threading.Event(), threading.Event()

    class Tough(ThreadSlot):
        def kill(self):
            killing.set()
            asked.wait(60)
            super().kill()

    executor = Executor(Tough, slots=2)
    try:
        future, go_on = hold(executor)
        killer = threading.Thread(target=executor.cancel, args=[future])
        killer.start()
        assert killing.wait(60)
        assert executor.submit(lambda: "other").result(30) == "other"
        asked.set()
        killer.join()
        with pytest.raises(WorkCancelledError):
            future.result(60)
        go_on.set()
    finally:
        executor.close()


def test_cancelling_what_just_ended_never_hits_the_next(executor):
    for number in range(200):
        future = executor.submit(lambda: None)
        following = executor.submit(lambda n=number: n)
        executor.cancel(future)
        assert following.result(60) == number


def test_work_that_takes_too_long_is_stopped_and_not_repeated(executor):
    future = executor.submit(time.sleep, 5, timeout_s=0.05)
    with pytest.raises(WorkTimeoutError):
        future.result(60)
    assert executor.submit(int).result(60) == 0


def test_a_slot_that_cannot_be_opened_is_tried_again():
    attempts = []

    class Stubborn(ThreadSlot):
        def open(self):
            attempts.append(1)
            if len(attempts) < 3:
                raise OSError("no room")

    executor = Executor(Stubborn, retry_delay_s=0.01)
    assert executor.submit(lambda: "done").result(60) == "done"
    assert len(attempts) == 3
    executor.close()


def test_work_is_refused_when_no_slot_can_ever_be_opened():
    class Never(ThreadSlot):
        def open(self):
            raise OSError("no room")

    executor = Executor(Never, retry_delay_s=0.01)
    with pytest.raises(NoWorkerError):
        executor.submit(int).result(60)
    executor.close()


def test_a_slot_that_pauses_between_attempts_takes_no_call_from_an_idle_one():
    made = []

    class Second(ThreadSlot):
        def open(self):
            made.append(self)
            if len(made) > 1:
                raise OSError("no room")

    executor = Executor(Second, slots=2, retry_delay_s=10)
    try:
        deadline = time.monotonic() + 60
        while len(made) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)  # the one that failed pauses by now
        for number in range(6):
            assert executor.submit(lambda n=number: n).result(60) == number
    finally:
        executor.close()


def test_closing_ends_everything_and_refuses_more():
    executor = Executor(ThreadSlot)
    running, _ = hold(executor)
    waiting = executor.submit(int)
    executor.close()
    with pytest.raises(WorkCancelledError):
        running.result(60)
    with pytest.raises(CancelledError):
        waiting.result(60)
    with pytest.raises(WorkCancelledError):
        executor.submit(int)


# Real processes. What they run is pickled by name, so it comes from the standard library or the package.


@pytest.fixture(scope="module")
def processes():
    made = Executor(lambda: LocalSlot(os.getpid), slots=2, queue_limit=100, retry_delay_s=0.05)
    yield made
    made.close()


def test_killing_workers_loses_no_work(processes):
    futures = [processes.submit(time.sleep, 0.02, retries=20) for _ in range(40)]
    ended = threading.Event()

    def kill_now_and_then():
        while not ended.wait(0.05):
            if processes.ready < 2:  # one that dies again and again before it is open is another matter
                continue
            slot = processes._slots[0]
            if slot.alive:
                slot._process.kill()
            ended.wait(0.3)

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    assert all(future.result(60) is None for future in futures)
    ended.set()
    killer.join()


def test_what_the_work_raises_comes_back(processes):
    with pytest.raises(RemoteError, match="ZeroDivisionError"):
        processes.submit(divmod, 1, 0).result(20)
    with pytest.raises(BadInputError, match="expected a number"):
        processes.submit(_raiser(), *_parts()).result(20)


def _raiser():
    from server.names import suffix_of

    return suffix_of


def _parts():
    return "a.exe", (".nrrd",), "the file: expected a number"


def test_work_that_ends_its_process_every_time_is_given_up(processes):
    with pytest.raises(WorkerLostError):
        processes.submit(os._exit, 3, retries=1).result(30)


def test_a_real_process_is_stopped_when_it_takes_too_long(processes):
    with pytest.raises(WorkTimeoutError):
        processes.submit(time.sleep, 30, timeout_s=0.2).result(20)


def test_a_process_that_was_given_the_number_of_a_worker_that_is_gone_is_left_alone(monkeypatch):
    slot = LocalSlot(os.getpid)
    slot.open()
    slot.kill()
    stranger = psutil.Popen(["sleep", "30"])
    try:
        monkeypatch.setattr(slot._process._popen, "pid", stranger.pid)
        slot.kill()
        with pytest.raises(psutil.TimeoutExpired):
            stranger.wait(0.2)
    finally:
        stranger.kill()
        stranger.wait(60)


def test_an_interpreter_that_exits_without_closing_does_not_hang():
    import subprocess
    import sys

    script = (
        "import os\n"
        "from server.executor import Executor\n"
        "from server.slot import LocalSlot\n"
        "if __name__ == '__main__':\n"
        "    executor = Executor(lambda: LocalSlot(os.getpid))\n"
        "    print(executor.submit(os.getpid).result(20), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    assert not psutil.pid_exists(int(done.stdout))


def test_renewed_slots_finish_what_they_have_and_the_next_work_goes_to_new_ones():
    made, gate = [], threading.Event()

    def make():
        made.append(ThreadSlot())
        return made[-1]

    executor = Executor(make, slots=1)
    try:
        under_way = executor.submit(gate.wait, 5)
        while not under_way.running():
            time.sleep(0.01)
        executor.renew()
        after = executor.submit(len, "abc")
        time.sleep(0.05)
        assert not after.done()
        assert not made[0].killed.is_set()
        gate.set()
        assert under_way.result(60) is True
        assert after.result(60) == 3
        assert len(made) == 2
        assert made[0].killed.is_set()
        assert not made[1].killed.is_set()
        executor.renew()  # one that has nothing to do goes at once
        deadline = time.monotonic() + 60
        while len(made) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert executor.submit(len, "ab").result(60) == 2
        assert len(made) == 3
    finally:
        executor.close()
