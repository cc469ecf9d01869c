"""The headers of every answer: pages, data, errors, refusals, crashes."""

import pytest
import requests

from .conftest import asked

PATHS = [
    "/",
    "/docs",
    "/login",
    "/info/",
    "/ohif/",
    "/datastore/image?image=case0",
    "/no/such",
    "/logs/",
    "/audit",
    "/health",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("role", ["", "reader", "admin"])
def test_every_answer_is_guarded(locked, secrets_of, path, role):
    headers = asked("GET", locked, path, secret=secrets_of.get(role, "")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] in ("DENY", "SAMEORIGIN")
    assert "frame-ancestors" in headers["content-security-policy"]
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"]
    assert "strict-transport-security" not in headers


@pytest.mark.parametrize("path", ["/info/", "/datastore/?output=all", "/datastore/image?image=case0", "/", "/audit"])
def test_patients_data_is_not_kept_by_browsers_and_proxies(locked, secrets_of, path):
    assert asked("GET", locked, path, secret=secrets_of["admin"]).headers["cache-control"] == "no-store"


def test_an_answer_to_a_crash_is_guarded_too(locked, secrets_of):
    form = {"params": (None, '{"fail": 1}')}
    answer = asked("POST", locked, "/infer/threshold?image=case0", secret=secrets_of["reader"], files=form)
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_no_other_origin_is_let_in_unless_it_was_named(served):
    origin = "http://viewer.example:3000"
    address, _ = served(auth=False)
    assert not [name for name in asked("GET", address, "/info/", headers={"Origin": origin}).headers if "allow" in name]


def test_a_named_origin_is_let_in_without_its_cookies(served):
    origin = "http://viewer.example:3000"
    address, _ = served(origins=[origin])
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = requests.options(f"{address}/infer/threshold", headers=preflight, timeout=10)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    refused = asked("GET", address, "/info/", headers={"Origin": origin})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == origin  # so that the page can read why
    for one in (answer, refused):
        assert "access-control-allow-credentials" not in one.headers
    strange = requests.options(f"{address}/info/", headers={**preflight, "Origin": "https://evil.example"}, timeout=10)
    assert strange.status_code == 400
