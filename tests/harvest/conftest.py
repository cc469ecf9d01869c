"""Every test of a review store runs on the file of one server and on a PostgreSQL database that several share."""

import inspect

import pytest

from hepatic.harvest import store as store_module
from hepatic.harvest.review_database import open_reviews
from tests import postgres


@pytest.fixture(scope="session")
def postgres_server():
    running = postgres.server()
    yield running
    running.remove()


def pytest_generate_tests(metafunc):
    module = inspect.getmodule(metafunc.function)
    if "ReviewStore" in vars(module) and "psycopg" not in vars(module):
        metafunc.fixturenames.append("kept_in")
        metafunc.parametrize("kept_in", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def kept_in(request, monkeypatch):
    if request.param == "sqlite":
        return
    server = request.getfixturevalue("postgres_server")
    addresses, opened = {}, []

    def on_postgres(folder, url=""):
        if folder not in addresses:
            addresses[folder] = server.database()
        opened.append(open_reviews(folder, url or addresses[folder]))
        return opened[-1]

    monkeypatch.setattr(store_module, "open_reviews", on_postgres)
    yield
    for database in opened:
        database.close()
