"""API tokens: made, used, shown, revoked."""

import json
import multiprocessing
import stat
import time
from datetime import UTC, datetime, timedelta

import pytest

from hepatic.errors import BadInputError, ConflictError, NotFoundError
from server.access.access import tokens_dir
from server.access.roles import Role
from server.access.token import PREFIX, Tokens, age

from .conftest import asked


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path / "access")


def test_a_secret_is_long_random_and_kept_nowhere(tokens, tmp_path):
    token, secret = tokens.create("Dr. K", Role.ANNOTATOR, expires=timedelta(days=90))
    assert secret.startswith(PREFIX)
    assert len(secret) == len(PREFIX) + 43  # 256 bits in base64
    assert secret != tokens.create("Dr. K", Role.ANNOTATOR, expires=None)[1]
    kept = (tmp_path / "access" / "tokens.json").read_text()
    assert secret not in kept
    assert secret.removeprefix(PREFIX) not in kept
    assert tokens.find(secret).id == token.id


def test_only_the_owner_can_read_the_file(tokens, tmp_path):
    tokens.create("Dr. K", Role.READER, expires=None)
    assert stat.S_IMODE((tmp_path / "access").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "access" / "tokens.json").stat().st_mode) == 0o600


def test_a_token_that_is_over_is_not_taken(tokens, tmp_path):
    _, secret = tokens.create("Dr. K", Role.READER, expires=timedelta(days=1))
    file = tmp_path / "access" / "tokens.json"
    about = json.loads(file.read_text())
    about["tokens"][0]["expires"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    file.write_text(json.dumps(about))
    assert Tokens(tmp_path / "access").find(secret) is None
    assert Tokens(tmp_path / "access").usable() == []


@pytest.mark.parametrize("secret", ["", "hep_", "hep_x", "x", "hep_" + "A" * 43, "\ud800"])
def test_a_made_up_secret_is_nobodys(tokens, secret):
    tokens.create("Dr. K", Role.READER, expires=None)
    assert tokens.find(secret) is None


def test_a_token_is_revoked_by_its_id_or_by_a_name_that_only_one_has(tokens):
    first, secret = tokens.create("Dr. K", Role.READER, expires=None)
    tokens.create("Dr. K", Role.READER, expires=None)
    with pytest.raises(ConflictError, match=first.id):
        tokens.revoke("Dr. K")
    tokens.revoke(first.id)
    assert tokens.find(secret) is None
    tokens.revoke("Dr. K")
    assert tokens.all() == []
    with pytest.raises(NotFoundError):
        tokens.revoke("Dr. K")


@pytest.mark.parametrize("name", ["", " x", "a\nb", "x" * 65, "<b>", "=1+1", "a;b"])
def test_a_name_is_one_that_can_be_shown_anywhere(tokens, name):
    with pytest.raises(BadInputError, match="name"):
        tokens.create(name, Role.READER, expires=None)


@pytest.mark.parametrize(("text", "span"), [("12h", 0.5), ("90d", 90), ("4w", 28), ("1y", 365), ("never", None)])
def test_a_time_span_is_read(text, span):
    assert age(text) == (None if span is None else timedelta(days=span))


@pytest.mark.parametrize("text", ["", "90", "0d", "-1d", "x", "1.5d"])
def test_another_time_span_is_explained(text):
    with pytest.raises(BadInputError, match="90d"):
        age(text)


def create_some(folder):
    for _ in range(5):
        Tokens(folder).create("Dr. K", Role.READER, expires=None)


def test_several_processes_lose_none_of_each_others_tokens(tmp_path):
    started = [multiprocessing.get_context("fork").Process(target=create_some, args=(tmp_path,)) for _ in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert len(Tokens(tmp_path).all()) == 20


def test_a_file_of_tokens_that_is_damaged_lets_nobody_in(tokens, tmp_path):
    _, secret = tokens.create("Dr. K", Role.READER, expires=None)
    (tmp_path / "access" / "tokens.json").write_text("{")
    with pytest.raises(BadInputError, match="Put a copy back"):
        Tokens(tmp_path / "access").find(secret)


def test_a_running_server_takes_a_new_token_and_refuses_a_revoked_one(locked, data_dir):
    tokens = Tokens(tokens_dir(data_dir))  # what the command line does
    token, secret = tokens.create("Guest", Role.READER, expires=timedelta(hours=1))
    time.sleep(0.25)
    assert asked("GET", locked, "/info/", secret=secret).status_code == 200
    tokens.revoke(token.id)
    time.sleep(0.25)
    refused = asked("GET", locked, "/info/", secret=secret)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert secret not in refused.text


def test_when_a_token_was_last_used_is_known(locked, locked_app, secrets_of, data_dir):
    asked("GET", locked, "/info/", secret=secrets_of["reviewer"])
    locked_app.state.access.tokens.note_use()
    used = {token.name: token.used for token in Tokens(tokens_dir(data_dir)).all()}
    assert datetime.now(UTC) - datetime.fromisoformat(used["Viktor"]) < timedelta(minutes=5)


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic QWRhOng=", "Token x", "bearer hep_wrong", "Bearer a b"])
def test_what_is_no_token_is_refused(locked, header):
    assert asked("GET", locked, "/info/", headers={"Authorization": header}).status_code == 401


def test_a_token_in_the_address_is_not_taken(locked, secrets_of):
    secret = secrets_of["admin"]
    for name in ("token", "access_token", "api_key"):
        assert asked("GET", locked, f"/info/?{name}={secret}").status_code == 401
