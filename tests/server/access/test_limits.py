"""Too many requests, too many wrong tokens, too large a body from a stranger; and what all of it costs."""

import http.client

import pytest

from hepatic.errors import BadInputError
from server.access.limits import Limits
from server.access.roles import Role

from .conftest import asked


def test_wrong_logins_wait_longer_and_longer(monkeypatch):
    now = [1_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    limits = Limits(requests="", logins="2/minute; 4/hour; 6/day")
    assert [limits.failed("10.0.0.1") for _ in range(3)] == [0, 0, 60]
    assert limits.blocked("10.0.0.1") == 60
    now[0] += 60
    assert limits.blocked("10.0.0.1") == 0
    assert [limits.failed("10.0.0.1") for _ in range(2)] == [0, 3540]
    now[0] += 3540
    assert [limits.failed("10.0.0.1") for _ in range(2)] == [0, 82800]
    assert limits.blocked("10.0.0.1") == 82800
    assert limits.blocked("10.0.0.2") == 0


@pytest.mark.parametrize("text", ["x", "5 per", "often"])
def test_a_limit_that_cannot_be_read_is_explained(text):
    with pytest.raises(BadInputError, match="HEPATIC_LOGIN_LIMIT"):
        Limits(requests="", logins=text)


def test_too_many_requests_are_told_when_to_come_again(set_up, served):
    set_up(request_limit="5/day")
    address, app = served()
    tokens = app.state.access.tokens
    one, other = (tokens.create(name, Role.READER, expires=None)[1] for name in ("Anna", "Rita"))
    statuses = [asked("GET", address, "/info/", secret=one).status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    waits = asked("GET", address, "/info/", secret=one)
    assert 1 <= int(waits.headers["retry-after"]) <= 86400
    assert asked("GET", address, "/info/", secret=other).status_code == 200
    assert [asked("GET", address, "/health").status_code for _ in range(6)] == [200] * 5 + [429]


def test_wrong_tokens_have_to_wait_and_right_ones_do_not(set_up, served):
    set_up(login_limit="3/day")
    address, app = served()
    secret = app.state.access.tokens.create("Anna", Role.READER, expires=None)[1]
    statuses = [asked("GET", address, "/info/", secret="hep_wrong").status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert asked("POST", address, "/auth/token", data={"password": "hep_wrong"}).status_code == 429
    page = asked("POST", address, "/login", data={"password": "hep_wrong"})
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) >= 1
    assert "Come again in" in page.text
    assert asked("GET", address, "/info/", secret=secret).status_code == 200


def test_where_no_login_is_needed_nothing_is_counted(set_up, served):
    set_up(request_limit="5/day")
    address, _ = served(auth=False)
    assert {asked("GET", address, "/health").status_code for _ in range(20)} == {200}


@pytest.mark.parametrize("path", ["/auth/token", "/login"])
def test_a_stranger_cannot_send_much(locked, path):
    answer = asked("POST", locked, path, data={"password": "x" * (1 << 20)})
    assert answer.status_code == 413


def test_a_stranger_is_refused_before_an_upload_is_read(locked, locked_app):
    headers = {"content-type": "multipart/form-data; boundary=b", "content-length": "1000000"}
    host = locked.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.putrequest("PUT", "/datastore/image")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 401  # nothing of it was sent
    connection.close()


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_proxy_in_front_of_a_server_without_a_login_is_refused(served, name):
    address, _ = served(auth=False)
    answer = asked("GET", address, "/info/", headers={name: "10.0.0.1"})
    assert answer.status_code == 403
    assert "--auth" in answer.json()["detail"]


def test_a_client_cannot_choose_its_address(locked, secrets_of, trail):
    forged = {"X-Forwarded-For": "10.9.9.9"}
    asked("DELETE", locked, "/scoring/", secret=secrets_of["reviewer"], headers=forged)
    assert trail()[-1]["address"] == "127.0.0.1"
