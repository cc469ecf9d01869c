"""What runs jobs: slots, stopping, going on after a stop, items behind everything interactive."""

import threading
import time

import pytest

from server.executor import Executor, Priority
from server.jobs.held import JobFailedError, JobInterruptedError
from server.jobs.items import go_through
from server.jobs.runner import Jobs


class HereSlot:
    """A slot that does the work in the thread that asks for it."""

    alive = True

    def open(self):
        """Nothing to open."""

    def call(self, work, args, timeout_s):
        return work(*args)

    def kill(self):
        """Nothing to kill."""


@pytest.fixture
def made(tmp_path):
    """Makes runners over one table, and closes them."""
    open_ones = []

    def make(work=None, *, slots=("",), kind="train", **options):
        jobs = Jobs(tmp_path / "jobs.sqlite", **options)
        if work is not None:
            jobs.serve(kind, work, slots=slots)
        open_ones.append(jobs)
        jobs.start()
        return jobs

    yield make
    for jobs in open_ones:
        jobs.close()


def until(condition, limit_s=120.0):
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


def obeying(held):
    """Work that goes on until it is told to stop."""
    held.wait(30)
    held.check()


def test_each_slot_runs_one_job_on_its_device_and_the_others_wait(made):
    devices, go = [], threading.Event()

    def work(held):
        devices.append(held.job.device)
        go.wait(20)
        return held.job.spec["n"]

    jobs = made(work, slots=("cuda:0", "cuda:1"))
    asked = [jobs.submit("train", {"n": n}) for n in range(5)]
    until(lambda: len(devices) == 2)
    time.sleep(0.05)
    assert sorted(devices) == ["cuda:0", "cuda:1"]
    assert jobs.table.count(states=["queued"]) == 3
    go.set()
    assert [jobs.wait(job.id, 300).result for job in asked] == [0, 1, 2, 3, 4]


def test_progress_and_output_can_be_read_while_it_runs(made):
    go = threading.Event()

    def work(held):
        held.line("epoch 1")
        held.advance(0.25)
        go.wait(20)
        held.line("the last word")

    jobs = made(work)
    job = jobs.submit("train", {})
    now = until(lambda: (seen := jobs.table.get(job.id)).progress and seen)
    assert now.progress == 0.25
    assert now.seconds_left is not None
    assert jobs.table.lines(now) == [(1, "epoch 1")]
    go.set()
    assert jobs.wait(job.id, 300).state == "succeeded"
    assert jobs.table.lines(job)[-1] == (2, "the last word")


def test_a_running_job_is_stopped_and_the_next_one_begins(made):
    jobs = made(obeying)
    first, second = jobs.submit("train", {}), jobs.submit("train", {})
    until(lambda: jobs.table.get(first.id).state == "running")
    stopped = jobs.cancel(first.id)
    assert (stopped.state, stopped.error) == ("cancelled", "Stopped on request.")
    until(lambda: jobs.table.get(second.id).state == "running")
    assert jobs.cancel(second.id).state == "cancelled"


def test_a_stop_asked_for_in_another_process_reaches_the_runner_by_its_heartbeat(made, tmp_path):
    jobs = made(obeying, lease_s=0.4)
    elsewhere = made(lease_s=0.4, alone=False)
    job = jobs.submit("train", {})
    until(lambda: jobs.table.get(job.id).state == "running")
    time.sleep(1.0)
    assert jobs.table.get(job.id).attempt == 1, "its lease is extended while it runs"
    elsewhere.table.cancel(job.id)
    assert jobs.wait(job.id, 300).state == "cancelled"


def test_a_job_whose_lease_another_has_taken_over_is_let_go_of(made):
    stops = []

    def work(held):
        held.on_stop(lambda: stops.append(held.reason))
        held.wait(20)
        held.check()

    jobs = made(work, lease_s=0.4)
    job = jobs.submit("train", {})
    until(lambda: jobs.table.get(job.id).state == "running")
    taken = []

    def take_over():  # the heartbeat of its owner may come between the two and prolong its lease
        jobs.table.leases.end_all()
        taken.append(jobs.table.leases.claim("train", "other", lease_s=60))
        return taken[-1] is not None

    until(take_over)
    until(lambda: stops == ["lost"])
    now = jobs.table.get(job.id)
    assert (now.state, now.owner) == ("running", "other")


def test_what_runs_when_the_server_stops_goes_on_at_the_next_start_and_no_attempt_is_lost(made):
    first = made(obeying)
    job = first.submit("train", {})
    waiting = first.submit("train", {})
    until(lambda: first.table.get(job.id).state == "running")
    first.close()
    left = first.table.get(job.id)
    assert (left.state, left.attempt) == ("queued", 0)
    second = made(lambda held: "done")
    assert [second.wait(id, 20).result for id in (job.id, waiting.id)] == ["done", "done"]


def test_a_job_that_fails_says_why_and_one_whose_process_was_killed_is_begun_again_a_few_times(made):
    def work(held):
        how = held.job.spec["how"]
        if how == "said":
            raise JobFailedError("labels of two patients are needed, not /home/anna/labels")
        if how == "killed":
            raise JobInterruptedError("It was killed.")
        raise RuntimeError("secret detail")

    jobs = made(work)
    ended = {how: jobs.wait(jobs.submit("train", {"how": how}).id, 300) for how in ("said", "killed", "raised")}
    assert {how: job.state for how, job in ended.items()} == dict.fromkeys(ended, "failed")
    assert ended["said"].error == "labels of two patients are needed, not labels"
    assert (ended["killed"].attempt, ended["killed"].error) == (3, "It was killed.")
    assert ended["raised"].error == "It failed (RuntimeError)."


def slow(item):
    time.sleep(0.02)
    return item


def batch(executor, done, *, window=2):
    def work(held):
        go_through(
            held, executor, lambda item: (slow, (item,)), lambda item, result: done.append(result), window=window,
            timeout_s=10,
        )  # fmt: skip

    return work


def test_items_that_are_done_are_not_done_again_after_a_restart(made):
    executor, done = Executor(HereSlot), []
    items = [f"i{number}" for number in range(30)]
    first = made(batch(executor, done), kind="batch")
    job = first.submit("batch", {}, items=items)
    until(lambda: len(done) > 5)
    first.close()
    so_far = len(done)
    assert so_far < 30
    second = made(batch(executor, done), kind="batch")
    assert second.wait(job.id, 20).state == "succeeded"
    assert sorted(set(done)) == sorted(items)
    assert len(done) == 30, "an item in flight at the stop is either finished and kept, or done once later"
    executor.close()


def test_a_batch_never_fills_the_queue_and_interactive_work_goes_first(made):
    executor, done = Executor(HereSlot, queue_limit=4), []
    jobs = made(batch(executor, done, window=3), kind="batch")
    job = jobs.submit("batch", {}, items=[f"i{number}" for number in range(60)])
    until(lambda: len(done) > 3)
    for number in range(5):
        before = len(done)
        assert executor.submit(slow, f"reader-{number}", priority=Priority.INTERACTIVE).result(60) == f"reader-{number}"
        assert len(done) - before <= 2
    assert jobs.table.get(job.id).state == "running"
    assert jobs.cancel(job.id).state == "cancelled"
    now = jobs.table.get(job.id)
    assert now.items_done == len(done) < 60
    executor.close()


def test_news_wake_everybody_who_waits_for_them(made):
    jobs = made(lambda held: "done")
    told = []

    async def follow():
        told.append(await jobs.ended(job.id))

    import asyncio

    job = jobs.table.add("train", {})
    thread = threading.Thread(target=lambda: asyncio.run(follow()))
    thread.start()
    jobs.submit("train", {})  # wakes the runner
    thread.join(10)
    assert told[0].result == "done"
