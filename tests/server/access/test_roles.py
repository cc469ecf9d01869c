"""What each role may do, over HTTP, route by route."""

import socket
from urllib.parse import urlsplit

import pytest
from fastapi.routing import iter_route_contexts

from hepatic.errors import BadInputError
from server.access.roles import Role, is_listed, needed

from .conftest import asked

ROLES = ["reader", "annotator", "reviewer", "admin"]
IMAGE = "/datastore/image"
TAKES = [
    ("reader", "GET", "/info/"),
    ("reader", "GET", "/"),
    ("reader", "GET", "/datastore/?output=all"),
    ("reader", "GET", f"{IMAGE}?image=case0"),
    ("reader", "HEAD", f"{IMAGE}?image=case0"),
    ("reader", "POST", "/infer/nobody?image=case0"),
    ("reader", "GET", "/auth/token/valid"),
    ("annotator", "POST", "/activelearning/nobody"),
    ("annotator", "PUT", IMAGE),
    ("annotator", "PUT", "/datastore/"),
    ("annotator", "PUT", "/datastore/label?image=nobody"),
    ("annotator", "PUT", "/session/"),
    ("annotator", "GET", "/session/x"),
    ("reviewer", "POST", "/train/nobody"),
    ("reviewer", "DELETE", "/train/"),
    ("reviewer", "POST", "/scoring/nobody"),
    ("reviewer", "DELETE", "/datastore/label?id=nobody&tag=final"),
    ("reviewer", "GET", "/model/nobody"),
    ("reviewer", "POST", "/batch/infer/nobody"),
    ("reader", "GET", "/jobs"),
    ("reader", "GET", "/jobs/none"),
    ("reviewer", "DELETE", "/jobs/none"),
    ("reader", "GET", "/metrics"),
    ("reader", "GET", "/proxy/dicom/studies"),
    ("admin", "DELETE", f"{IMAGE}?id=nobody"),
    ("admin", "DELETE", "/datastore/?id=nobody"),
    ("admin", "PUT", "/model/nobody"),
    ("admin", "DELETE", "/model/nobody"),
    ("admin", "GET", "/logs/"),
    ("admin", "GET", "/audit"),
]


@pytest.mark.parametrize(("role", "method", "path"), TAKES, ids=lambda value: str(value))
def test_a_route_takes_its_role_and_every_higher_one(locked, secrets_of, role, method, path):
    assert asked(method, locked, path).status_code == 401
    for one in ROLES:
        status = asked(method, locked, path, secret=secrets_of[one]).status_code
        enough = ROLES.index(one) >= ROLES.index(role)
        assert (status != 403) == enough, f"{one}: {status}"
        assert status not in (401, 500)


def test_every_route_is_in_the_table(locked_app):
    missing = [
        f"{method} {route.path_format}"
        for route in iter_route_contexts(locked_app.routes)
        for method in sorted(route.methods or ())
        if not is_listed(method, route.path_format)
    ]
    assert missing == [], "say in server/access/roles.py which role these take"


def test_a_route_that_is_not_in_the_table_is_for_admins():
    assert needed("GET", "/a/new/route") is Role.ADMIN
    assert needed("PATCH", "/info/") is Role.ADMIN
    assert needed("HEAD", "/info/") is Role.READER
    assert needed("GET", "/jobs/{whatever}") is needed("GET", "/jobs/{job}")


@pytest.mark.parametrize("path", ["/health", "/ready", "/auth/", "/login", "/favicon.ico"])
def test_what_is_asked_before_a_login_is_open_and_tells_nothing_of_studies(locked, path):
    answer = asked("GET", locked, path)
    assert answer.status_code in ((200, 503) if path == "/ready" else (200,))  # 503 while the first worker starts
    assert "case0" not in answer.text


def test_nothing_else_answers_without_a_login(locked, locked_app):
    for route in iter_route_contexts(locked_app.routes):
        for method in route.methods or ():
            if needed(method, route.path_format) is Role.NOBODY:
                continue
            path = route.path_format.replace("{", "").replace("}", "")
            assert asked(method, locked, path).status_code == 401, f"{method} {path}"
    assert asked("GET", locked, "/no/such/route").status_code == 401


def test_a_websocket_is_refused(locked):
    address = urlsplit(locked)
    upgrade = (
        f"GET /info/ HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), 10) as raw:
        raw.sendall(upgrade.encode())
        assert raw.recv(4096).split()[1] in (b"401", b"403")


def test_paths_and_methods_that_are_not_there_say_so_to_who_is_logged_in(locked, secrets_of):
    assert asked("GET", locked, "/no/such/route", secret=secrets_of["reader"]).status_code == 404
    assert asked("PATCH", locked, "/info/", secret=secrets_of["reader"]).status_code == 405
    moved = asked("GET", locked, "/info", secret=secrets_of["reader"])
    assert moved.status_code == 307
    assert moved.headers["location"].endswith("/info/")


@pytest.mark.parametrize("path", ["//info/", "/info/../logs/", "/%69nfo/", "/info/%2e%2e/logs/", "/LOGS/", "/logs//"])
def test_a_path_written_otherwise_leads_to_no_more(locked, secrets_of, path):
    answer = asked("GET", locked, path, secret=secrets_of["reader"])
    assert answer.status_code in (200, 307, 403, 404)
    assert "serving the app" not in answer.text


def test_an_inference_that_saves_takes_an_annotator(locked, secrets_of):
    form = {"params": (None, '{"save_label": true}')}
    path = "/infer/threshold?image=case1"
    assert asked("POST", locked, path, secret=secrets_of["reader"], files=form).status_code == 403
    assert asked("POST", locked, path, secret=secrets_of["reader"]).status_code == 200
    assert asked("POST", locked, path, secret=secrets_of["annotator"], files=form).status_code == 200
    info = asked("GET", locked, "/datastore/label/info?label=case1&tag=original", secret=secrets_of["reader"]).json()
    assert info["user"] == "Anna"


def test_the_author_of_a_label_is_who_logged_in_whatever_the_client_says(locked, secrets_of, new_image):
    mask = asked("POST", locked, "/infer/threshold?image=case2&output=image", secret=secrets_of["reader"]).content
    form = {"label": ("m.nrrd", mask), "params": (None, '{"user": "Ada", "author": "Ada", "client_id": "Ada"}')}
    saved = asked("PUT", locked, "/datastore/label?image=case2", secret=secrets_of["annotator"], files=form)
    assert saved.status_code == 200
    note = {"info": (None, '{"user": "Ada", "author": "Ada", "quality": "good"}')}
    path = "/datastore/label/info?label=case2&tag=final"
    assert asked("PUT", locked, path, secret=secrets_of["annotator"], files=note).status_code == 200
    info = asked("GET", locked, path, secret=secrets_of["reader"]).json()
    assert (info["user"], info["client_id"], info["quality"]) == ("Anna", "Ada", "good")
    assert "author" not in info


def test_the_schema_says_how_to_log_in_and_which_role_an_operation_takes(locked, secrets_of):
    schema = asked("GET", locked, "/openapi.json", secret=secrets_of["reader"]).json()
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert schema["paths"]["/train/{model}"]["post"]["x-role"] == "reviewer"
    assert schema["paths"]["/train/{model}"]["post"]["security"]
    assert "security" not in schema["paths"]["/health"]["get"]


def test_a_role_is_named_by_its_word():
    assert Role.named(" Admin ") is Role.ADMIN
    with pytest.raises(BadInputError, match="reader, annotator, reviewer or admin"):
        Role.named("nobody")
