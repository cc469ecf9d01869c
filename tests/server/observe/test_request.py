"""The id of a request: in its answer, in the log, and in the worker."""

import logging
import time

import pytest
import requests

from server.executor import Executor
from server.observe.request import for_request, request_id
from server.slot import LocalSlot

OURS = "0123456789abcdef0123456789abcdef"


def lines(services, id):
    return [line for line in services.log.tail(500).splitlines() if id in line]


def test_every_answer_has_an_id_of_its_own(server):
    ids = {requests.get(f"{server}{path}", timeout=10).headers["x-request-id"] for path in ("/health", "/info/", "/no")}
    assert len(ids) == 3


@pytest.mark.parametrize("sent", [OURS, "5a1c6c1e-7f0b-4d0e-9a53-8f1d1d0c3f5e"])
def test_an_id_that_came_with_the_request_is_kept(server, sent):
    assert requests.get(f"{server}/health", headers={"X-Request-ID": sent}, timeout=10).headers["x-request-id"] == sent


@pytest.mark.parametrize(
    "sent",
    [
        "Mustermann",
        "0" * 65,
        "short",
        "12345678\tx",
        "4711081519450508",
        "19450508-4711-0815-4711",
        "abcdef01",
        "../../12345678",
    ],
)
def test_an_id_that_is_none_is_replaced_and_not_logged(server, services, sent):
    answer = requests.post(f"{server}/infer/nothing", headers={"X-Request-ID": sent}, timeout=10)
    given = answer.headers["x-request-id"]
    assert given != sent
    deadline = time.monotonic() + 60
    while not lines(services, given):  # written after the answer is sent
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert sent not in services.log.tail(50)


def test_what_is_told_of_a_failure_finds_it_in_the_log(server, services):
    answer = requests.post(
        f"{server}/infer/threshold", params={"image": "case0"}, files={"params": (None, '{"fail": 1}')}, timeout=30
    )
    assert answer.status_code == 500
    id = answer.headers["x-request-id"]
    assert id in answer.json()["detail"]
    assert any("RuntimeError" in line for line in lines(services, id))


def test_a_refusal_by_the_gate_and_a_failure_nobody_foresaw_have_one_too(app, server, monkeypatch):
    refused = requests.get(f"{server}/info/", headers={"Host": "evil.example"}, timeout=10)
    assert (refused.status_code, len(refused.headers["x-request-id"])) == (400, 16)

    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr(app.state.services.host.app, "info", broken)
    failed = requests.get(f"{server}/info/", headers={"X-Request-ID": OURS}, timeout=10)
    assert (failed.status_code, failed.headers["x-request-id"]) == (500, OURS)
    assert OURS in failed.json()["detail"]


def test_lines_of_the_threads_that_serve_a_request_have_its_id(server, services, monkeypatch):
    app, original = services.host.app, services.host.app.info

    def telling():
        logging.getLogger("foreign").info("asked for the info")
        return original()

    monkeypatch.setattr(app, "info", telling)
    requests.get(f"{server}/info/", headers={"X-Request-ID": OURS}, timeout=10)
    assert any("asked for the info" in line for line in lines(services, OURS))


def test_work_knows_in_its_process_whose_it_is_and_the_next_does_not():
    executor = Executor(lambda: LocalSlot(request_id))
    try:
        assert for_request(OURS, executor.submit, request_id).result(60) == OURS
        assert executor.submit(request_id).result(60) == ""
    finally:
        executor.close()
