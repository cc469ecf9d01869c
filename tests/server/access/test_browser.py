"""Logging in with a browser: the page, the cookie, and pages of others that would misuse it."""

import re

import pytest

from server.access.access import tokens_dir
from server.access.roles import Role
from server.access.session import COOKIE, BrowserSessions
from server.access.token import Tokens
from server.access.user import User

from .conftest import asked

PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def cookie_of(locked):
    """Log in; return the header a browser sends from then on."""

    def log_in(secret):
        answer = asked("POST", locked, "/login", data={"password": secret, "next": "/docs"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/docs")
        return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}

    return log_in


def test_a_page_leads_to_the_login_and_the_login_back(locked):
    answer = asked("GET", locked, "/logs/?refresh=5", headers=PAGE)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Flogs%2F%3Frefresh%3D5"
    page = asked("GET", locked, answer.headers["location"]).text
    assert 'name="next" value="/logs/?refresh=5"' in page
    assert "User name" not in page  # there is no issuer


def test_the_cookie_is_not_the_token_and_no_script_can_read_it(locked, secrets_of):
    answer = asked("POST", locked, "/login", data={"password": f" {secrets_of['reader']}\n"})
    sent = answer.headers["set-cookie"]
    assert secrets_of["reader"] not in sent
    assert {"httponly", "samesite=strict", "path=/"} <= set(sent.lower().split("; "))
    assert "secure" not in sent.lower()  # plain http here
    assert re.search(rf"{COOKIE}=[\w-]{{43}};", sent)


def test_over_https_the_cookie_is_sent_over_https_only(secrets_of, served, tmp_path):
    address, app = served(behind_proxy=True, trusted_proxies=["127.0.0.1"])
    secret = app.state.access.tokens.create("Dr. K", Role.READER, expires=None)[1]
    https = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.1.2.3"}
    answer = asked("POST", address, "/login", data={"password": secret}, headers=https)
    assert "; secure" in answer.headers["set-cookie"].lower()
    assert answer.headers["strict-transport-security"].startswith("max-age=")


def test_whoever_is_logged_in_sees_the_pages_their_role_allows(locked, secrets_of, cookie_of):
    cookie = cookie_of(secrets_of["reader"])
    page = asked("GET", locked, "/", headers={**PAGE, **cookie})
    assert page.status_code == 200
    assert "Rita (reader)" in page.text
    assert "Log out" in page.text
    for path in ("/docs", "/info/", "/ohif/", "/datastore/?output=all"):
        assert asked("GET", locked, path, headers=cookie).status_code in (200, 404), path
    assert asked("GET", locked, "/logs/", headers={**PAGE, **cookie}).status_code == 403
    assert asked("GET", locked, "/logs/", headers={**PAGE, **cookie_of(secrets_of["admin"])}).status_code == 200


def test_a_page_of_this_server_may_change_things_and_no_other_may(locked, secrets_of, cookie_of):
    cookie = cookie_of(secrets_of["reviewer"])

    def change(**headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return asked("DELETE", locked, "/train/", headers={**cookie, **sent}).status_code

    assert change(Origin=locked) == 200
    assert change(Sec_Fetch_Site="same-origin") == 200
    assert change() == 403
    assert change(Origin="https://evil.example") == 403
    assert change(Origin="null") == 403
    assert change(Origin=locked.replace("127.0.0.1", "localhost")) == 403
    assert change(Sec_Fetch_Site="same-site") == 403
    assert change(Sec_Fetch_Site="cross-site") == 403
    assert change(Sec_Fetch_Site="none") == 403
    assert change(Origin="https://evil.example", Sec_Fetch_Site="same-origin") == 403


def test_an_inference_from_the_viewer_works_by_the_cookie(locked, secrets_of, cookie_of):
    headers = {**cookie_of(secrets_of["reader"]), "Origin": locked}
    answer = asked("POST", locked, "/infer/threshold?image=case0&output=image", headers=headers)
    assert answer.content.startswith(b"NRRD")


def test_a_session_ends_by_logging_out(locked, secrets_of, cookie_of, trail):
    cookie = cookie_of(secrets_of["reader"])
    assert asked("GET", locked, "/info/", headers=cookie).status_code == 200
    out = asked("POST", locked, "/logout", headers={**cookie, "Origin": locked})
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert "max-age=0" in out.headers["set-cookie"].lower()
    assert asked("GET", locked, "/info/", headers=cookie).status_code == 401
    assert [(entry["event"], entry["who"]) for entry in trail()[-2:]] == [("login", "Rita"), ("logout", "Rita")]


def test_a_session_ends_with_its_token(locked, locked_app, data_dir, cookie_of):
    tokens = locked_app.state.access.tokens
    token, secret = tokens.create("Guest", Role.READER, expires=None)
    cookie = cookie_of(secret)
    assert asked("GET", locked, "/info/", headers=cookie).status_code == 200
    tokens.revoke(token.id)
    assert asked("GET", locked, "/info/", headers=cookie).status_code == 401
    assert token.id not in {one.id for one in Tokens(tokens_dir(data_dir)).all()}


def test_a_session_ends_after_its_time_and_sessions_do_not_pile_up(monkeypatch):
    now = [0.0]
    sessions = BrowserSessions(lambda token: True, clock=lambda: now[0])
    user = User("Dr. K", Role.READER, "oidc")
    first = sessions.begin(user, lasts_s=10)
    now[0] = 9.9
    assert sessions.find(first).name == "Dr. K"
    now[0] = 10.0
    assert sessions.find(first) is None
    monkeypatch.setattr("server.access.session._MOST", 3)
    ids = [sessions.begin(user, lasts_s=10) for _ in range(5)]
    assert [sessions.find(one) is not None for one in ids] == [False, False, True, True, True]


@pytest.mark.parametrize("cookie", ["", "x", "a" * 5000, "é", f"{'0' * 43}"])
def test_a_made_up_session_is_nobodys(locked, cookie):
    headers = {"Cookie": f"{COOKIE}={cookie}".encode()}
    assert asked("GET", locked, "/info/", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "next",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "\t//evil",
        "/a\nb",
        "http:x",
        "x",
    ],
)
def test_a_login_leads_nowhere_else(locked, secrets_of, next):
    answer = asked("POST", locked, "/login", data={"password": secrets_of["reader"], "next": next})
    assert answer.headers["location"] == "/"
    assert 'value="/"' in asked("GET", locked, "/login", params={"next": next}).text


def test_a_wrong_token_is_explained_on_the_page_and_nothing_of_it_is_shown(locked):
    sent = {"password": "<script>hep_x", "next": '/"><script>'}
    answer = asked("POST", locked, "/login", data=sent)
    assert answer.status_code == 401
    assert "not known here" in answer.text
    assert "hep_x" not in answer.text
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers


def test_a_page_of_another_origin_cannot_log_somebody_in(locked, secrets_of):
    headers = {"Origin": "https://evil.example"}
    answer = asked("POST", locked, "/login", data={"password": secrets_of["reader"]}, headers=headers)
    assert answer.status_code == 403


def test_where_no_login_is_needed_the_login_page_leads_on(served):
    address, _ = served(auth=False)
    assert asked("GET", address, "/login?next=/docs").headers["location"] == "/docs"
    assert asked("POST", address, "/login", data={"next": "/docs"}).headers["location"] == "/docs"
    assert "Log out" not in asked("GET", address, "/").text
    assert asked("GET", address, "/auth/token/valid").json()["username"] == "anonymous"
