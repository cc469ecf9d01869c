"""Many clients, slow models, lost workers: who waits for whom."""

import json
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests

from server.app import create_app
from server.running import running

from .conftest import FOREIGN_APP, write_image


def infer(server, image="case0", timeout=60, **params):
    form = {"params": (None, json.dumps(params))}
    query = {"image": image, "output": "json"}
    return requests.post(f"{server}/infer/threshold", params=query, files=form, timeout=timeout)


def until(condition, limit_s=120.0):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def idle(services):
    until(lambda: services.executor.ready and not services.executor.running and not services.executor.waiting, 120)


def test_everything_else_stays_quick_while_a_model_runs(server, services):
    times = []
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(infer, server, sleep_s=3)
        until(lambda: services.executor.running)
        while not slow.done():
            for path in ("info/", "datastore/", "logs/?text=true", "train/?check_if_running=true"):
                started = time.perf_counter()
                requests.get(f"{server}/{path}", timeout=10)
                times.append(time.perf_counter() - started)
        assert slow.result().status_code == 200
    assert len(times) > 20
    print(f"{len(times)} requests, median {statistics.median(times):.4f} s, longest {max(times):.4f} s")
    assert max(times) < 2.5, "nobody waited for the model"


def test_many_clients_get_their_own_answers(server):
    thresholds = [10, 30, 50, 70]
    expected = [infer(server, threshold=threshold).json()["voxels"] for threshold in thresholds]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            answers = pool.map(lambda threshold: infer(server, threshold=threshold).json()["voxels"], thresholds)
            assert list(answers) == expected


def test_a_full_queue_says_come_back_later(server, services):
    with ThreadPoolExecutor(8) as pool:
        blocker = pool.submit(infer, server, sleep_s=1.5)
        until(lambda: services.executor.running)
        waiting = [pool.submit(infer, server) for _ in range(4)]
        until(lambda: services.executor.waiting == 4)
        refused = infer(server)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert "4 requests" in refused.json()["detail"]
        unread = requests.post(f"{server}/infer/threshold", files={"file": ("a.nrrd", b"no image")}, timeout=10)
        assert unread.status_code == 503
        assert [answer.result().status_code for answer in (blocker, *waiting)] == [200] * 5


def test_a_crowd_at_a_small_queue_is_answered_or_told_to_come_back_and_nobody_hangs(server, services):
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: infer(server, sleep_s=0.2, timeout=30), range(32)))
    counts = Counter(answer.status_code for answer in answers)
    refused = [answer for answer in answers if answer.status_code == 503]
    assert set(counts) == {200, 503}
    assert counts[200] >= 5  # one that ran and four that waited
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)


def test_an_inference_whose_client_left_while_it_ran_is_finished_and_its_result_deleted(server, services):
    results = services.scratch.results_dir
    with pytest.raises(requests.Timeout):
        infer(server, timeout=0.5, sleep_s=1.0)
    assert services.executor.running == 1
    until(lambda: not services.executor.running)
    until(lambda: not any(results.iterdir()))
    assert infer(server).status_code == 200


def test_the_request_of_a_client_that_left_is_dropped(server, services):
    with ThreadPoolExecutor(2) as pool:
        blocker = pool.submit(infer, server, sleep_s=2)
        until(lambda: services.executor.running)
        with pytest.raises(requests.Timeout):
            infer(server, timeout=0.3)
        until(lambda: services.executor.waiting == 0, 1.5)
        assert not blocker.done()
        assert blocker.result().status_code == 200


def test_a_request_is_answered_although_its_worker_was_killed(server, services, flags):
    before = {child.pid for child in psutil.Process().children()}
    answer = infer(server, die_once="first")
    assert answer.status_code == 200
    assert (flags / "first").exists()
    assert {child.pid for child in psutil.Process().children()} - before


def test_waiting_requests_survive_a_kill_from_outside(server, services):
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(infer, server, sleep_s=0.3) for _ in range(3)]
        until(lambda: services.executor.running)
        for slot in services.executor._slots.values():
            slot.kill()
        assert [answer.result().status_code for answer in answers] == [200] * 3


def test_interactive_requests_pass_background_scoring(tmp_path, monkeypatch):
    monkeypatch.setenv("FOREIGN_SCORING_S", "0.5")
    for number in range(12):
        write_image(tmp_path / f"case{number}.nrrd", number)
    app, others = create_app(FOREIGN_APP, tmp_path, score_in_background=True), set(threading.enumerate())
    with running(app) as address:
        services = app.state.services
        until(lambda: services.scoring.status()["scored"] >= 1)
        for _ in range(3):  # on a busy machine, an answer may travel for as long as several are scored
            before = services.scoring.status()["scored"]
            assert infer(address).status_code == 200
            scored_meanwhile = services.scoring.status()["scored"] - before
            if scored_meanwhile <= 2:  # the one under way, and one that began while the answer travelled
                break
        status = requests.get(f"{address}/scoring/", timeout=10).json()
        assert status["status"] == "RUNNING"
        assert status["total"] == 12
        assert scored_meanwhile <= 2
        until(lambda: services.scoring.status()["status"] == "DONE")
        assert services.scoring.status()["scored"] == 12
        until(lambda: not services.executor.running)
        processes = psutil.Process().children(recursive=True)
        threads = [one for one in set(threading.enumerate()) - others if one.name in ("scoring", "jobs", "slot-0")]
        assert len(threads) >= 3
        assert processes
    assert [thread.name for thread in threads if thread.is_alive()] == []
    left = [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    own = [process for process in left if str(tmp_path) in " ".join(process.environ().values())]
    assert own == []
