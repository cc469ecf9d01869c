"""``/health`` and ``/ready``: what a supervisor or a load balancer asks."""

import threading
import time

import pytest
import requests

from server.app import create_app
from server.executor import Priority
from server.running import running
from server.slot import WorkerLostError

from .conftest import FOREIGN_APP


class Switched:
    """A slot that opens only while a switch is on."""

    alive = True

    def __init__(self, switch):
        self.switch = switch

    def open(self):
        if not self.switch.is_set():
            raise RuntimeError("no memory at /home/somebody")

    def call(self, work, args, timeout_s):
        return work(*args)

    def kill(self):
        pass


def ready(address, status):
    deadline = time.monotonic() + 60
    while True:
        answer = requests.get(f"{address}/ready", timeout=10)
        if answer.status_code == status:
            return answer
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_that_runs_is_alive_and_ready(server, services):
    services.executor.submit(time.sleep, 0.0, priority=Priority.INTERACTIVE).result(60)
    for path, said in [("/health", {"status": "ok"}), ("/ready", {"status": "ready", "missing": []})]:
        answer = requests.get(server + path, timeout=10)
        assert (answer.status_code, answer.json()) == (200, said)
        assert answer.headers["cache-control"] == "no-store"
        assert requests.head(server + path, timeout=10).status_code == 200  # what some balancers ask with


def test_a_server_without_a_worker_is_alive_but_not_ready_until_there_is_one(tmp_path, flags):
    switch = threading.Event()
    app = create_app(FOREIGN_APP, tmp_path, score_in_background=False, make_slot=lambda: Switched(switch))
    with running(app) as address:
        answer = ready(address, 503)
        assert answer.json()["status"] == "not ready"
        assert "a worker" in answer.json()["missing"][0]
        assert "somebody" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert requests.get(f"{address}/health", timeout=10).json() == {"status": "ok"}
        switch.set()
        assert ready(address, 200).json() == {"status": "ready", "missing": []}


class Slow(Switched):
    """A slot that takes as long to open as a switch is off, and is lost by its first work."""

    def open(self):
        self.switch.wait(30)

    def call(self, work, args, timeout_s):
        self.switch.clear()
        raise WorkerLostError("it is gone")


def test_a_server_is_ready_once_a_worker_is_warm_and_stays_so_while_that_is_replaced(tmp_path, flags):
    switch = threading.Event()
    app = create_app(FOREIGN_APP, tmp_path, score_in_background=False, make_slot=lambda: Slow(switch))
    with running(app) as address:
        assert ready(address, 503).json() == {"status": "not ready", "missing": ["a worker: it is starting"]}
        switch.set()
        assert ready(address, 200).json() == {"status": "ready", "missing": []}
        executor = app.state.services.executor
        lost = executor.submit(time.sleep, 0.0, priority=Priority.INTERACTIVE, retries=0)
        assert isinstance(lost.exception(30), WorkerLostError)
        assert not executor.ready
        assert requests.get(f"{address}/ready", timeout=10).status_code == 200
        switch.set()


def test_alive_needs_no_app_and_ready_says_that_there_is_none(server, app):
    services = app.state.services
    try:
        del app.state.services
        assert requests.get(f"{server}/health", timeout=10).status_code == 200
        answer = requests.get(f"{server}/ready", timeout=10)
        assert (answer.status_code, answer.json()["missing"]) == (503, ["the app: it is not loaded"])
    finally:
        app.state.services = services


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_both_are_in_the_schema(server, path):
    about = requests.get(f"{server}/openapi.json", timeout=10).json()["paths"][path]["get"]
    assert about["summary"]
    not_now = about["responses"]["503"]["content"]["application/json"]["schema"]["$ref"]
    assert not_now.endswith("/Readiness") == (path == "/ready")
