"""A server that asks for a login, with a token of each role."""

import pytest
import requests

from hepatic.settings import settings
from server.access.access import audit_dir, tokens_dir
from server.access.roles import Role
from server.access.token import Tokens
from server.access.trail import entries
from server.app import create_app
from server.running import running
from tests.server.conftest import FOREIGN_APP, write_image


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def asked(method, address, path, *, secret="", headers=None, **more):
    sent = {**(bearer(secret) if secret else {}), **(headers or {})}
    return requests.request(method, address + path, headers=sent, timeout=30, allow_redirects=False, **more)


@pytest.fixture
def set_up(monkeypatch):
    """Set settings for what is made next."""

    def change(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"HEPATIC_{name.upper()}", str(value))
        settings.cache_clear()

    yield change
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture(scope="session")
def locked_studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    for number in range(12):
        write_image(folder / f"case{number}.nrrd", number)
    return folder


@pytest.fixture(scope="session")
def data_dir(locked_studies):
    return settings().data_dir(locked_studies)


@pytest.fixture(scope="session")
def secrets_of(data_dir):
    """The secret of a token of each role."""
    tokens = Tokens(tokens_dir(data_dir))
    names = {Role.READER: "Rita", Role.ANNOTATOR: "Anna", Role.REVIEWER: "Viktor", Role.ADMIN: "Ada"}
    return {role.word: tokens.create(name, role, expires=None)[1] for role, name in names.items()}


@pytest.fixture(scope="session")
def locked_app(locked_studies, flags, secrets_of):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEPATIC_LOGIN_LIMIT", "1000/minute")
        settings.cache_clear()
        app = create_app(FOREIGN_APP, locked_studies, auth=True, score_in_background=False, max_upload_mib=2)
    settings.cache_clear()
    return app


@pytest.fixture(scope="session")
def locked(locked_app):
    """The address of a server that asks for a login."""
    with running(locked_app) as address:
        yield address


@pytest.fixture
def trail(data_dir):
    """Return the audit log's entries."""
    return lambda **chosen: list(entries(audit_dir(data_dir), **chosen))


@pytest.fixture
def served(tmp_path, flags):
    """Serve an application over a folder of its own; return its address and the application."""
    stack = []

    def start(**options):
        trusted = options.pop("trusted_proxies", ())
        write_image(tmp_path / "case0.nrrd")
        app = create_app(FOREIGN_APP, tmp_path, score_in_background=False, **{"auth": True, **options})
        context = running(app, trusted_proxies=trusted)
        stack.append(context)
        return context.__enter__(), app

    yield start
    for context in reversed(stack):
        context.__exit__(None, None, None)
