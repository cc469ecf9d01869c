"""A server whose review store holds proposed studies; locked, with a token of each role."""

import pytest
import requests

from hepatic.settings import settings
from server.access.access import tokens_dir
from server.access.roles import Role
from server.access.token import Tokens
from server.app import create_app
from server.running import running
from tests.harvest.proposed import proposed
from tests.server.test_schema import TINY_APP

QA = "/qa/api/v1"
PEOPLE = {
    "Rita": Role.READER, "Otto": Role.READER, "Anna": Role.ANNOTATOR, "Viktor": Role.REVIEWER, "Ada": Role.ADMIN,
}  # fmt: skip


class Person:
    """Somebody with a token, at a server."""

    def __init__(self, address, secret):
        self._address, self._session = address, requests.Session()
        self._session.headers["Authorization"] = f"Bearer {secret}"

    def ask(self, method, path, **options):
        return self._session.request(method, self._address + QA + path, timeout=30, **options)

    def lease(self, study=None):
        return self.ask("POST", "/lease", json={} if study is None else {"study": study})

    def send(self, *events, **options):
        return self.ask("POST", "/events", json={"events": list(events)}, **options)


@pytest.fixture(scope="module")
def qa_app(tmp_path_factory):
    studies = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEPATIC_REQUEST_LIMIT", "")
        settings.cache_clear()
        app = create_app(TINY_APP, studies, auth=True, score_in_background=False)
    settings.cache_clear()
    tokens = Tokens(tokens_dir(settings().data_dir(studies)))
    app.state.secrets = {name: tokens.create(name, role, expires=None)[1] for name, role in PEOPLE.items()}
    return app


@pytest.fixture(scope="module")
def address(qa_app):
    with running(qa_app) as where:
        yield where


@pytest.fixture(scope="module")
def people(qa_app, address):
    return {name: Person(address, secret) for name, secret in qa_app.state.secrets.items()}


@pytest.fixture
def store(qa_app, address):
    return qa_app.state.services.harvest.store


@pytest.fixture
def new_study(store, request):
    """Propose a study nobody has seen; return its UID."""
    uid = f"1.2.{abs(hash(request.node.name))}"
    store.proposals.add(proposed(uid))
    return uid
