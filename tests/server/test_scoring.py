"""Background scoring: what is scored, when a round begins, that there is one at a time."""

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from hepatic.engine.weights import Registry
from hepatic.errors import HepaticError
from hepatic.store.score import Score, write_score
from server import services, worker
from server.app import create_app
from server.executor import Executor
from server.host import Host
from server.jobs.runner import Jobs
from server.monai_app import AppSpec
from server.running import running
from server.scoring import BackgroundScoring

from .conftest import FOREIGN_APP, write_image


class HereSlot:
    """A slot that does the work in the thread that asks for it."""

    alive = True

    def open(self):
        """Nothing to open."""

    def call(self, work, args, timeout_s):
        return work(*args)

    def kill(self):
        """Nothing to kill."""


@contextmanager
def apart():
    """A worker that somebody has for a while."""
    executor = Executor(HereSlot)
    try:
        yield executor
    finally:
        executor.close()


class Told:
    """A model or a scoring method that only has an info."""

    def __init__(self, **info):
        self.told = info

    def info(self):
        return self.told


class FakeHost:
    """An app with two models, a method for each and one that needs none, over images whose infos are a dict."""

    def __init__(self, count=3):
        self.infos = {f"i{number}": {} for number in range(count)}
        self.models = {"served": Told(version="v1"), "untrained": Told(version=None)}
        self.scoring_methods = {
            "served_entropy": Told(per_image=True, model="served"),
            "untrained_entropy": Told(per_image=True, model="untrained"),
            "whole": Told(model="served"),
        }
        self.calls = []
        self.running = threading.Semaphore(1)
        self.delay_s = 0.0

    @contextmanager
    def storing(self):
        yield self

    def unlabeled_infos(self):
        return list(self.infos.items())

    # the app, as the worker sees it

    def datastore(self):
        return Told()

    def scoring(self, request):
        assert self.running.acquire(blocking=False), "two images at once"
        try:
            time.sleep(self.delay_s)
            if request["method"] == "whole":
                self.calls.append(("whole", request.get("say", "")))
                return {"dice": 0.5}
            [image] = request["images"]
            self.calls.append((request["method"], image))
            if image == "unreadable":
                raise HepaticError("cannot be read")
            version = self.models["served"].told["version"]
            self.infos[image] = {**self.infos[image], **write_score(Score("served", version, 0.5))}
        finally:
            self.running.release()


@pytest.fixture
def host(monkeypatch):
    host = FakeHost()
    monkeypatch.setattr(worker, "_app", host)
    monkeypatch.setattr(worker, "is_shared", lambda datastore: True)
    return host


@pytest.fixture
def scoring(host, tmp_path):
    executor, jobs = Executor(HereSlot), Jobs(tmp_path / "jobs.sqlite")
    made = BackgroundScoring(host, executor, jobs, apart=apart)
    jobs.start()
    yield made
    made.stop()
    jobs.close()
    executor.close()


def done(scoring):
    deadline = time.monotonic() + 60
    while scoring.status() is None or scoring.status()["status"] in ("SUBMITTED", "RUNNING"):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return scoring.status()


def taken(host):
    calls, host.calls = host.calls, []
    return calls


def test_a_method_whose_model_is_not_served_is_not_run(scoring, host):
    scoring.look()
    assert done(scoring)["scored"] == 3
    assert taken(host) == [("served_entropy", f"i{number}") for number in range(3)]
    host.models["untrained"].told["version"] = "v1"
    scoring.look()
    done(scoring)
    assert taken(host) == [("untrained_entropy", f"i{number}") for number in range(3)]


def test_a_version_served_by_another_process_begins_a_round(scoring, host):
    scoring.look()
    done(scoring)
    taken(host)
    scoring.look()
    assert scoring.status()["total"] == 3
    assert taken(host) == []
    host.models["served"].told["version"] = "v2"
    scoring.look()
    assert done(scoring)["scored"] == 3
    assert {info["uncertainty.served"]["version"] for info in host.infos.values()} == {"v2"}


def test_only_new_images_are_scored(scoring, host):
    scoring.look()
    done(scoring)
    taken(host)
    del host.infos["i0"]
    host.infos["new"] = {}
    scoring.look()
    assert done(scoring)["total"] == 1
    assert taken(host) == [("served_entropy", "new")]


def test_images_with_a_score_by_the_served_version_are_skipped(scoring, host):
    host.infos["i0"] = write_score(Score("served", "v1", 0.1))
    host.infos["i1"] = {**write_score(Score("served", "v0", 0.1)), **write_score(Score("other", "v1", 0.1))}
    scoring.restart()
    assert done(scoring)["total"] == 3
    assert taken(host) == [("served_entropy", "i1"), ("served_entropy", "i2"), ("whole", "")]
    del host.scoring_methods["whole"]
    assert scoring.restart() is None, "no job without work"
    assert done(scoring)["total"] == 3


def test_an_image_that_cannot_be_scored_is_not_tried_again_until_that_is_asked_for(scoring, host):
    host.infos["unreadable"] = {}
    scoring.look()
    assert done(scoring)["failed"] == 1
    taken(host)
    host.infos["new"] = {}
    scoring.look()
    done(scoring)
    assert taken(host) == [("served_entropy", "new")]
    scoring.restart()
    done(scoring)
    assert taken(host) == [("served_entropy", "unreadable"), ("whole", "")]


def test_rounds_asked_for_at_once_never_run_side_by_side(scoring, host):
    host.infos = {f"i{number}": {} for number in range(40)}
    host.delay_s = 0.002
    barrier = threading.Barrier(8)

    def ask(number):
        barrier.wait()
        for _ in range(5):
            scoring.restart() if number % 2 else scoring.look()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done(scoring)["status"] == "DONE"
    images = [image for method, image in host.calls if method != "whole"]
    assert set(images) == set(host.infos)
    assert len(images) <= len(host.infos) + 20  # the one that is being scored when a round is asked for may be repeated


def test_a_round_that_a_server_left_goes_on_in_the_next_and_none_is_begun_beside_it(host, tmp_path):
    host.infos = {f"i{number}": {} for number in range(20)}
    host.delay_s = 0.02
    seen = []
    for _ in range(2):
        executor, jobs = Executor(HereSlot), Jobs(tmp_path / "jobs.sqlite")
        scoring = BackgroundScoring(host, executor, jobs, apart=apart)
        jobs.start()
        scoring.look()
        while len(host.calls) < 5:
            time.sleep(0.005)
        if seen:
            done(scoring)
        seen.append(scoring.status()["id"])
        jobs.close()
        executor.close()
    assert seen[0] == seen[1]
    images = [image for _, image in host.calls]
    assert set(images) == set(host.infos)
    assert len(images) <= len(host.infos) + 1, "only what was in flight may be repeated"
    assert len(jobs.table.jobs()) == 1
    jobs.table.close()


def test_a_stopped_round_stays_stopped_until_there_is_something_new(scoring, host):
    host.delay_s = 0.05
    scoring.look()
    scoring.stop()
    assert done(scoring)["status"] == "STOPPED"
    scoring.look()
    assert scoring.status()["status"] == "STOPPED"
    host.infos["new"] = {}
    scoring.look()
    assert done(scoring)["status"] == "DONE"


def test_a_method_somebody_asks_for_does_not_wait_for_the_round(scoring, host, monkeypatch):
    monkeypatch.setattr(host, "running", threading.Semaphore(2))
    host.infos = {f"i{number}": {} for number in range(40)}
    host.delay_s = 0.05
    scoring.look()
    job = scoring.submit("whole", {"say": "hello"}, asked_by="reader")
    ended = scoring._jobs.wait(job.id, 300)
    assert (ended.state, ended.asked_by) == ("succeeded", "reader")
    assert scoring.results(ended) == {"whole": {"dice": 0.5}}
    assert ("whole", "hello") in host.calls
    assert scoring.running()["scored"] < 40


def test_a_method_that_is_run_in_one_go_keeps_no_worker_from_whoever_wants_an_inference(host, tmp_path):
    host.delay_s = 3.0
    executor, jobs = Executor(HereSlot), Jobs(tmp_path / "jobs.sqlite")
    scoring = BackgroundScoring(host, executor, jobs, apart=apart)
    jobs.start()
    try:
        job = scoring.submit("whole", {})
        while host.running.acquire(blocking=False):
            host.running.release()
            time.sleep(0.005)
        assert executor.submit(len, "abc").result(60) == 3, "the only worker is free"
        assert jobs.table.get(job.id).state == "running"
        assert jobs.wait(job.id, 300).state == "succeeded"
    finally:
        jobs.close()
        executor.close()


def test_an_asked_for_job_whose_only_method_fails_says_why(scoring, host):
    host.infos = {"unreadable": {}}
    ended = scoring._jobs.wait(scoring.submit("served_entropy", {}).id, 300)
    assert (ended.state, ended.error) == ("failed", "cannot be read")


def test_looking_never_raises(scoring, host, caplog):
    host.models["served"].info = lambda: [][0]
    scoring.look()
    scoring.look()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    del host.models["served"].info
    scoring.look()
    assert done(scoring)["scored"] == 3


def test_our_own_app_notices_a_promotion_in_another_process(tmp_path, monkeypatch):
    app_dir = Path(__file__).parents[2] / "apps" / "hepatic"
    (tmp_path / "studies").mkdir()
    write_image(tmp_path / "studies" / "case0.nrrd")
    host = Host(AppSpec(str(app_dir), str(tmp_path / "studies")))
    calls = []
    ours = SimpleNamespace(datastore=lambda: host.datastore, scoring=calls.append)
    monkeypatch.setattr(worker, "_app", ours)
    executor, jobs = Executor(HereSlot), Jobs(tmp_path / "jobs.sqlite")
    scoring = BackgroundScoring(host, executor, jobs, apart=apart)
    jobs.start()
    scoring.look()
    done(scoring)
    assert {call["method"] for call in calls} == set(host.scoring_methods)
    calls.clear()
    elsewhere = Registry(host.spec.data_dir / "models", shipped=app_dir / "models")
    shipped = elsewhere.served("dsa_unet")
    version = elsewhere.publish(shipped.load(), shipped.card).version
    scoring.look()
    assert calls == []
    elsewhere.promote("dsa_unet", version)
    scoring.look()
    done(scoring)
    assert calls == [{"method": "dsa_unet_entropy", "images": ["case0"]}]
    jobs.close()
    executor.close()


@pytest.fixture
def slow(tmp_path):
    """A server over an app with a method for single images, and a stock one that takes as long as it is told."""
    for number in range(2):
        write_image(tmp_path / f"case{number}.nrrd", number)
    app = create_app(FOREIGN_APP, tmp_path, workers=1, score_in_background=False)
    with running(app) as address:
        yield f"{address}/scoring/"


def test_methods_run_as_jobs_that_can_be_watched_and_stopped(slow):
    assert requests.get(slow, timeout=10).status_code == 404
    assert requests.post(f"{slow}count", params={"run_sync": True}, timeout=60).json() == {"images": 2}
    by_image = requests.post(f"{slow}size", params={"run_sync": True}, json={"images": ["case1"]}, timeout=60).json()
    assert by_image == {"case1": {"scored": ["case1"]}}
    record = requests.post(f"{slow}count", json={"sleep_s": 60}, timeout=10).json()
    assert record["status"] == "SUBMITTED"
    now = requests.get(slow, params={"check_if_running": True}, timeout=10)
    assert (now.status_code, now.json()["id"]) == (200, record["id"])
    stopped = requests.delete(slow, timeout=20).json()
    assert (stopped["id"], stopped["status"]) == (record["id"], "STOPPED")
    assert requests.get(slow, params={"check_if_running": True}, timeout=10).status_code == 404
    told = requests.get(slow, params={"all": True}, timeout=10).json()
    assert [task["status"] for task in told] == ["DONE", "DONE", "STOPPED"]


def test_all_methods_of_an_app_are_run_each_with_its_options(slow):
    answer = requests.post(slow, params={"run_sync": True}, json={"count": {"add": 5}}, timeout=60).json()
    assert answer["count"] == {"result": {"images": 7}, "detail": None}
    assert answer["size"]["result"] == {f"case{number}": {"scored": [f"case{number}"]} for number in range(2)}
    told = requests.post(slow, json={}, timeout=10).json()
    assert told["count"]["result"]["id"] == told["size"]["result"]["id"]


def test_a_server_notices_an_image_that_came_later(tmp_path, monkeypatch):
    monkeypatch.setattr(services, "_LOOK_S", 0.1)
    file = write_image(tmp_path / "case0.nrrd")
    app = create_app(FOREIGN_APP, tmp_path, score_in_background=True)
    with running(app):
        scoring = app.state.services.scoring
        assert done(scoring)["scored"] == 1
        with app.state.services.host.storing() as datastore:
            datastore.add_image("late", str(file), {})
        deadline = time.monotonic() + 60
        first = scoring.status()
        while scoring.status() == first:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert done(scoring)["total"] == 1
