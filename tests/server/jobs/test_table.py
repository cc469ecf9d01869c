"""The table of jobs: who may change what, and what is on the disk afterwards."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hepatic.errors import ConflictError, NotFoundError
from hepatic.store.disk import StorageError
from server.jobs.leases import TAIL_LINES
from server.jobs.rows import JOBS
from server.jobs.table import JobRunningError, JobTable

ROOT = Path(__file__).parents[3]
SUBMIT = """
import sys
from pathlib import Path
from server.jobs.table import JobTable
table = JobTable(Path(sys.argv[1]))
print("ready", flush=True)
n = 0
while True:
    job = table.add("train", {"model": "m", "n": n}, items=[f"i{k}" for k in range(3)], asked_by="child")
    print(job.id, flush=True)
    claimed = table.leases.claim("train", "child", lease_s=0.01)
    table.leases.settle(claimed, table.waiting_items(claimed)[0], {"n": n})
    print("settled", claimed.id, flush=True)
    if n % 3 == 0 and table.leases.finish(claimed, "succeeded", result={"n": n}):
        print("finished", claimed.id, flush=True)
    n += 1
"""
CLAIM = """
import sys, time
from pathlib import Path
from server.jobs.table import JobTable
table = JobTable(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while (job := table.leases.claim("train", sys.argv[2], lease_s=60)) is not None:
    print(job.number, flush=True)
    time.sleep(0.005)
"""


class Clock:
    """Time that stands still until it is told."""

    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def table(tmp_path, clock):
    table = JobTable(tmp_path / "jobs.sqlite", clock=clock)
    yield table
    table.close()


def claimed(table, owner="a", **options):
    table.add("train", {"model": "m"}, **options)
    return table.leases.claim("train", owner, lease_s=30)


def state(table, job):
    return table.get(job.id).state


def test_a_job_is_queued_then_runs_then_ends_and_stays_so(table, clock):
    asked = table.add("train", {"model": "unet"}, asked_by="reader-1")
    assert (asked.state, asked.subject, asked.asked_by, asked.attempt) == ("queued", "unet", "reader-1", 0)
    job = table.leases.claim("train", "a", lease_s=30, device="cuda:1")
    assert (job.id, job.state, job.attempt, job.device, job.owner) == (asked.id, "running", 1, "cuda:1", "a")
    assert table.leases.claim("train", "b", lease_s=30) is None
    clock.now += 5
    assert table.leases.finish(job, "succeeded", result={"dice": 0.5})
    ended = table.get(asked.id)
    assert (ended.state, ended.result, ended.progress, ended.ended) == ("succeeded", {"dice": 0.5}, 1, clock.now)
    assert not table.leases.finish(job, "failed", error="late")
    assert not table.leases.give_back(job)
    assert table.cancel(asked.id).state == "succeeded"
    assert table.get(asked.id).result == {"dice": 0.5}


def test_jobs_of_a_kind_go_by_priority_and_then_in_the_order_they_came(table):
    for name, priority in (("a", 5), ("b", 0), ("c", 0)):
        table.add("train", {"model": name}, priority=priority)
    table.add("scoring", {"method": "s"}, priority=-1)
    assert [table.leases.claim("train", "a", lease_s=30).subject for _ in range(3)] == ["b", "c", "a"]


def test_a_lease_that_ran_out_is_taken_over_and_its_old_owner_can_change_nothing(table, clock):
    old = claimed(table, "old", items=["x", "y"])
    assert table.leases.settle(old, "x", 1)
    clock.now += 29
    assert table.leases.beat(old, lease_s=30)
    clock.now += 29
    assert table.leases.claim("train", "new", lease_s=30) is None
    clock.now += 2
    new = table.leases.claim("train", "new", lease_s=30)
    assert (new.id, new.attempt) == (old.id, 2)
    assert table.waiting_items(new) == ["y"]
    assert not table.leases.beat(old, lease_s=30)
    assert not table.leases.settle(old, "y", 1)
    assert not table.leases.finish(old, "succeeded")
    assert not table.leases.give_back(old)
    assert table.waiting_items(new) == ["y"]
    assert table.leases.beat(new, lease_s=30)


def test_the_same_owner_is_told_when_it_has_lost_an_earlier_attempt(table, clock):
    first = claimed(table, "a")
    clock.now += 31
    second = table.leases.claim("train", "a", lease_s=30)
    assert not table.leases.beat(first, lease_s=30)
    assert not table.leases.finish(first, "succeeded")
    assert table.leases.beat(second, lease_s=30)


def test_trying_a_job_again_gives_what_still_runs_of_it_no_way_back(table, clock):
    old = claimed(table, "a", items=["x"])
    clock.now += 31
    table.cancel(old.id)
    table.retry(old.id)
    new = table.leases.claim("train", "a", lease_s=30)
    assert (new.owner, new.attempt) == (old.owner, old.attempt)
    table.leases.tell(old, progress=0.9)
    assert table.get(new.id).progress == 0
    assert not table.leases.beat(old, lease_s=30)
    assert not table.leases.settle(old, "x", "stale")
    assert not table.leases.give_back(old)
    assert not table.leases.finish(old, "succeeded", result="stale")
    assert table.leases.settle(new, "x", "fresh")
    assert table.leases.finish(new, "succeeded", result="fresh")


def test_that_a_job_was_begun_before_is_known_also_where_the_attempt_does_not_count(table):
    job = claimed(table)
    assert not job.begun_before
    table.leases.give_back(job)
    job = table.leases.claim("train", "a", lease_s=30)
    assert (job.attempt, job.begun_before) == (1, True)
    table.leases.finish(job, "failed")
    table.retry(job.id)
    job = table.leases.claim("train", "a", lease_s=30)
    assert (job.attempt, job.begun_before) == (1, True)


def test_an_owner_does_not_take_its_own_job_from_itself_after_the_machine_was_asleep(table, clock):
    job = claimed(table, "a", max_attempts=1)
    clock.now += 3600
    assert table.leases.claim("train", "a", lease_s=30, holding=[job.number]) is None
    assert table.leases.beat(job, lease_s=30)
    assert state(table, job) == "running"


def test_a_heartbeat_is_refused_once_somebody_has_asked_to_stop(table):
    job = claimed(table)
    assert table.leases.beat(job, lease_s=30)
    assert table.cancel(job.id).state == "running"
    assert not table.leases.beat(job, lease_s=30)
    assert table.leases.finish(job, "cancelled", error="Stopped on request.")
    assert state(table, job) == "cancelled"


def test_a_waiting_job_is_cancelled_at_once_and_never_claimed(table):
    job = table.add("train", {})
    assert table.cancel(job.id).state == "cancelled"
    assert table.leases.claim("train", "a", lease_s=30) is None


def test_a_job_to_be_stopped_whose_owner_is_gone_is_cancelled_and_not_begun_again(table, clock):
    job = claimed(table)
    table.cancel(job.id)
    clock.now += 31
    assert table.leases.claim("train", "b", lease_s=30) is None
    assert state(table, job) == "cancelled"


def test_what_was_finished_before_it_could_be_stopped_has_succeeded(table):
    job = claimed(table)
    table.cancel(job.id)
    assert table.leases.finish(job, "succeeded", result=1)
    assert table.get(job.id).result == 1


def test_cancelling_and_finishing_at_once_end_in_one_of_both(table):
    for _ in range(40):
        job = claimed(table)
        barrier, told = threading.Barrier(2), {}

        def finish(job=job, barrier=barrier, told=told):
            barrier.wait()
            told["finished"] = table.leases.finish(job, "succeeded", result=1)

        thread = threading.Thread(target=finish)
        thread.start()
        barrier.wait()
        after = table.cancel(job.id)
        thread.join()
        assert told["finished"]
        assert after.state in ("running", "succeeded")
        assert (state(table, job), table.get(job.id).result) == ("succeeded", 1)


def test_a_job_whose_server_dies_each_time_stops_at_its_last_attempt(table, clock):
    job = claimed(table, max_attempts=3)
    for attempt in (2, 3):
        clock.now += 31
        assert table.leases.claim("train", "next", lease_s=30).attempt == attempt
    clock.now += 31
    assert table.leases.claim("train", "next", lease_s=30) is None
    ended = table.get(job.id)
    assert ended.state == "failed"
    assert "as often as it may" in ended.error
    again = table.retry(job.id)
    assert (again.state, again.attempt, again.error) == ("queued", 0, "")


def test_an_attempt_that_its_server_gave_back_does_not_count_and_one_that_came_to_grief_does(table):
    job = claimed(table)
    assert table.leases.give_back(job)
    job = table.leases.claim("train", "a", lease_s=30)
    assert job.attempt == 1
    assert table.leases.give_back(job, counts=True)
    assert table.leases.claim("train", "a", lease_s=30).attempt == 2


def test_only_what_failed_or_was_cancelled_is_begun_again_and_keeps_what_it_has_done(table):
    job = claimed(table, items=["x", "y", "z"])
    table.leases.settle(job, "x", {"label": 1})
    table.leases.settle(job, "y", {"error": "no"}, ok=False)
    with pytest.raises(ConflictError, match="is running"):
        table.retry(job.id)
    table.leases.finish(job, "failed", error="broken")
    again = table.retry(job.id)
    assert (again.items_done, again.items_failed, again.progress) == (1, 0, pytest.approx(1 / 3))
    job = table.leases.claim("train", "a", lease_s=30)
    assert table.waiting_items(job) == ["y", "z"]
    for item in ("y", "z"):
        table.leases.settle(job, item, {})
    table.leases.finish(job, "succeeded")
    with pytest.raises(ConflictError, match="has succeeded"):
        table.retry(job.id)


def test_of_those_that_ask_at_once_for_the_only_place_one_gets_it(table):
    def ask(barrier, told):
        barrier.wait()
        try:
            told.append(table.add("train", {}, at_most=1).id)
        except JobRunningError as busy:
            told.append(busy)

    for _ in range(20):
        barrier, told = threading.Barrier(2), []
        threads = [threading.Thread(target=ask, args=(barrier, told)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(told) == 2
        (job,) = table.jobs(states=["queued"])
        table.cancel(job.id)
    table.add("train", {})
    table.add("train", {}, at_most=2)
    table.add("scoring", {}, at_most=1)
    with pytest.raises(match="enqueue=true"):
        table.add("train", {}, at_most=2)


def test_an_item_counts_once(table):
    job = claimed(table, items=["x", "y"])
    assert table.leases.settle(job, "x", 1)
    assert not table.leases.settle(job, "x", 2)
    assert not table.leases.settle(job, "unknown", 2)
    assert (table.get(job.id).items_done, table.get(job.id).progress) == (1, 0.5)
    assert [(item.item, item.result) for item in table.settled_items(job)] == [("x", 1)]


def test_the_tail_of_the_log_is_bounded_and_holds_no_paths(table):
    job = claimed(table)
    table.leases.tell(job, [f"line {number}" for number in range(3 * TAIL_LINES)])
    table.leases.tell(job, ["wrote /home/anna/studies/Meier^Hans/label.nrrd", "x" * 100_000])
    lines = table.lines(job)
    assert len(lines) == TAIL_LINES
    assert lines[-2] == (3 * TAIL_LINES + 1, "wrote label.nrrd")
    assert len(lines[-1][1]) <= 2000
    assert table.lines(job, after=lines[-2][0]) == [lines[-1]]
    table.leases.finish(job, "failed", error="cannot read /home/anna/x/y.dcm")
    assert table.get(job.id).error == "cannot read y.dcm"


def test_every_change_has_a_number_so_that_nobody_misses_one(table):
    first, second = table.add("train", {}), table.add("train", {})
    seen = table.revision()
    job = table.leases.claim("train", "a", lease_s=30)
    table.leases.tell(job, progress=0.5, seconds_left=3)
    changed = table.changed_since(seen)
    assert [(one.id, one.progress, one.seconds_left) for one in changed] == [(first.id, 0.5, 3)]
    table.cancel(second.id)
    assert [one.id for one in table.changed_since(changed[-1].revision)] == [second.id]


def test_jobs_are_listed_newest_first_by_kind_and_state_in_pages(table):
    ids = [table.add(kind, {}).id for kind in ("train", "scoring", "train", "train")]
    table.leases.claim("train", "a", lease_s=30)
    assert [job.id for job in table.jobs()] == ids[::-1]
    assert [job.id for job in table.jobs(kind="train", limit=1, offset=1)] == [ids[2]]
    assert [job.id for job in table.jobs(states=["running"])] == [ids[0]]
    assert table.count(kind="train", states=["queued"]) == 2
    assert table.counts() == {("train", "queued"): 2, ("train", "running"): 1, ("scoring", "queued"): 1}


def test_a_job_is_found_by_the_beginning_of_its_id(table):
    job = table.add("train", {})
    assert table.get(job.id[:8]).id == job.id
    for unknown in ("", "%", job.id[:2], "zzzzzzzz", "../x", "a" * 40):
        with pytest.raises(NotFoundError):
            table.get(unknown)


def test_old_jobs_are_forgotten_with_their_items_and_lines_and_unfinished_ones_never(table, tmp_path):
    for _ in range(3):
        job = claimed(table, items=["x"])
        table.leases.tell(job, ["a line"])
        table.leases.finish(job, "failed", error="no")
    waiting = table.add("train", {}, items=["y"])
    assert table.prune("train", keep=1) == 2
    assert [one.id for one in table.jobs()] == [waiting.id, job.id]
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM job_item").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM job_line").fetchone() == (1,)


def test_it_is_written_through_to_the_disk(table, tmp_path):
    with sqlite3.connect(tmp_path / "jobs.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with table._database.read() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_table_of_a_newer_version_and_a_damaged_one_are_refused_with_a_reason(tmp_path):
    with sqlite3.connect(tmp_path / "newer.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="newer hepatic"):
        JobTable(tmp_path / "newer.sqlite")
    (tmp_path / "damaged.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match="jobs that had not ended are forgotten"):
        JobTable(tmp_path / "damaged.sqlite")


def test_a_table_of_the_version_before_is_taken_over(tmp_path):
    with sqlite3.connect(tmp_path / "old.sqlite") as connection:
        connection.executescript(JOBS.statements)
        connection.execute(
            "INSERT INTO job (id, kind, spec, priority, attempt, max_attempts, asked_by, created, revision) "
            "VALUES ('an-id', 'train', '{}', 0, 1, 3, '', 0, 1)"
        )
        connection.execute("PRAGMA user_version = 1")
    job = JobTable(tmp_path / "old.sqlite").leases.claim("train", "a", lease_s=30)
    assert (job.id, job.attempt, job.begun_before) == ("an-id", 2, True)


def test_two_processes_never_claim_the_same_job(tmp_path):
    file = tmp_path / "jobs.sqlite"
    table = JobTable(file)
    numbers = [table.add("train", {}).number for _ in range(120)]
    runners = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(file), name],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    for runner in runners:
        assert runner.stdout.readline() == "ready\n"
    for runner in runners:
        runner.stdin.write("go\n")
        runner.stdin.flush()
    taken = [[int(line) for line in runner.communicate(timeout=60)[0].split()] for runner in runners]
    assert sorted(taken[0] + taken[1]) == numbers
    assert all(taken), "one of the two took everything before the other began"
    assert all(list(part) == sorted(part) for part in taken)


@pytest.mark.timeout(120)
def test_what_was_acknowledged_survives_a_hundred_kills_and_nothing_is_half_there(tmp_path):
    file = tmp_path / "jobs.sqlite"
    said = {"": set(), "settled": set(), "finished": set()}
    draw = random.Random(7)

    def begun():
        return subprocess.Popen([sys.executable, "-c", SUBMIT, str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True)

    ahead = [begun() for _ in range(2)]  # the next begins to import while this one is at work
    for _ in range(100):
        child = ahead.pop(0)
        assert child.stdout.readline() == "ready\n"
        ahead.append(begun())
        time.sleep(draw.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        lines = child.stdout.read().split("\n")[:-1]  # a line without its end was not said
        child.stdout.close()
        child.wait(10)
        for line in lines:
            what, _, id = line.rpartition(" ")
            said[what].add(id)
    for child in ahead:
        child.kill()
        child.communicate(timeout=10)
    table = JobTable(file)
    jobs = {job.id: job for job in table.jobs(limit=-1)}
    assert len(said[""]) > 100
    assert said[""] <= set(jobs)
    assert all(jobs[id].items_done >= 1 for id in said["settled"])
    assert all(jobs[id].state == "succeeded" for id in said["finished"])
    for job in jobs.values():
        settled = table.settled_items(job)
        assert job.items == 3 == len(settled) + len(table.waiting_items(job))
        assert (job.items_done, job.items_failed) == (len(settled), 0)
        assert (job.ended is not None) == job.has_ended
        assert (job.result is not None) == (job.state == "succeeded")
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counts = connection.execute("SELECT count(*), count(DISTINCT revision) FROM job").fetchone()
        assert counts == (len(jobs), len(jobs))
        orphans = "SELECT count(*) FROM job_item WHERE job NOT IN (SELECT number FROM job)"
        assert connection.execute(orphans).fetchone() == (0,)
    assert json.dumps([job.as_json() for job in jobs.values()])


def test_what_a_job_says_is_kept_without_persons_tokens_and_folders_but_with_images(table):
    job = table.add("train", {"model": "m"})
    table.leases.claim("train", "me", lease_s=60)
    table.leases.tell(
        table.get(job.id), ["case7.nrrd: PatientName: Doe^Jane, see /srv/studies/x.dcm?token=abc; password=hunter22"]
    )
    [(_, line)] = table.lines(job)
    assert "case7.nrrd" in line
    assert not any(word in line for word in ("Doe", "Jane", "/srv", "hunter22", "abc"))
