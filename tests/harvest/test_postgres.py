"""A review store that servers on two machines share."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest

from hepatic.errors import BadInputError
from hepatic.harvest import review_database
from hepatic.harvest.review_database import REVIEWS
from hepatic.harvest.store import ReviewStore
from hepatic.store.disk import StorageError
from tests.harvest.proposed import decide, finish, proposed


@pytest.fixture
def two_servers(postgres_server, tmp_path, monkeypatch):
    monkeypatch.setattr("hepatic.store.postgres.WAIT_S", 1.0)
    url = postgres_server.database()
    first, second = (ReviewStore(tmp_path / name, url=url) for name in ("first", "second"))
    yield first, second, url
    first.close()
    second.close()


def wait_until(done):
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def said(server, candidate):
    [taken], _ = server.reviews.take([decide(candidate, "true")], "Rita")
    return taken.status


def test_readers_on_two_servers_never_read_one_study_and_each_server_knows_what_was_said_at_the_other(two_servers):
    first, second, _ = two_servers
    first.proposals.add(proposed("1.2.3"))
    second.proposals.add(proposed("1.2.4"))
    taken = {first.lease("Rita").study, second.lease("Otto").study}
    assert taken == {"1.2.3", "1.2.4"}
    assert second.lease("Anna") is None
    for study, server, reader in (("1.2.3", first, "Rita"), ("1.2.4", second, "Otto")):
        if server.leases.held()[study].reader != reader:
            reader = "Otto" if reader == "Rita" else "Rita"
        finish(server, reader, decide("2.25.1", "true", study), study=study)
    for server in (first, second):
        known = {uid: one.readings[0].verdict("2.25.1") for uid, one in server.book.reviews().items()}
        assert known == {"1.2.3": "true", "1.2.4": "true"}
    assert first.snapshot().sha256 == second.snapshot().sha256


def test_a_writer_sees_what_was_committed_while_it_waited_whatever_the_database_defaults_to(two_servers):
    first, second, url = two_servers
    first.proposals.add(proposed())
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    first.close()
    second.close()
    with ThreadPoolExecutor(1) as pool:
        with first.database.write() as connection:
            waiting = pool.submit(second.lease, "Otto")
            with first.database.read() as other:
                wait_until(lambda: other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone())
            connection.execute(
                "INSERT INTO lease (study, id, reader, round, expires) VALUES ('1.2.3', 'x', 'Rita', 1, 1e12)"
            )
        assert waiting.result() is None


def test_a_database_that_is_down_is_said_and_loses_nothing(two_servers, postgres_server):
    first, second, _ = two_servers
    first.proposals.add(proposed())
    first.lease("Rita")
    assert said(first, "2.25.1") == "stored"
    postgres_server.stop()
    try:
        with pytest.raises(StorageError, match="try again when it answers") as told:
            said(second, "2.25.2")
        assert "secret" not in str(told.value)
        assert "connection to server on socket" in str(told.value)
    finally:
        postgres_server.start()
    assert said(second, "2.25.2") == "stored"
    reading = first.reviews.reading("1.2.3", "Rita")
    assert {uid: one.verdict for uid, one in reading.verdicts.items()} == {"2.25.1": "true", "2.25.2": "true"}


def test_the_first_request_after_a_restart_of_the_database_is_answered(two_servers, postgres_server):
    first, _, _ = two_servers
    with ExitStack() as several:
        for _ in range(6):
            several.enter_context(first.database.read()).execute("SELECT 1")
    postgres_server.stop()
    postgres_server.start()
    assert first.book.reviews() == {}


def test_a_database_that_is_not_there_is_said_at_once(postgres_server, tmp_path, caplog):
    address = postgres_server.database().replace("/test_", "/nope_")
    with pytest.raises(StorageError, match="does not exist"):
        review_database.open_reviews(tmp_path, address)
    assert not caplog.records


def test_what_was_written_cannot_be_changed_even_with_sql(two_servers):
    first, _, url = two_servers
    first.proposals.add(proposed())
    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error, match="only ever added"):
        connection.execute("DELETE FROM proposal")


def test_a_database_of_the_version_before_is_taken_over(two_servers, tmp_path):
    first, _, url = two_servers
    first.proposals.add(proposed())
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE hepatic_schema SET version = 2")
        connection.execute("ALTER TABLE event DROP COLUMN may_label")
    now = ReviewStore(tmp_path / "third", url=url)
    assert list(now.book.reviews()) == ["1.2.3"]
    now.close()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT version FROM hepatic_schema").fetchall() == [(REVIEWS.version,)]


def test_a_database_of_a_newer_hepatic_is_left_alone(two_servers, tmp_path):
    _, _, url = two_servers
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE hepatic_schema SET version = version + 1")
    with pytest.raises(StorageError, match="Update hepatic on every server"):
        review_database.open_reviews(tmp_path, url)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:pa/SECRET@host/db",
        "postgresql://user:12/SECRET@host/db",
        "postgresql://user:p@SECRET@host/db",
        "postgresql://user:p%SECRET@host/db",
        "postgresql://user:p@SECRET/1@host/db",
        "postgresql://user:pa/x?SECRET=1@host/db",
        "postgresql://user:p@SECRET:1@host/db",
    ],
)
def test_of_a_password_that_is_not_percent_encoded_nothing_is_said_nor_logged(tmp_path, address, caplog):
    with caplog.at_level("DEBUG"), pytest.raises(BadInputError, match="percent-encode the password") as told:
        review_database.open_reviews(tmp_path, address)
    assert "SECRET" not in f"{told.value!r} {told.value.__cause__!r} {caplog.text}"


def test_an_address_that_is_none_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="HEPATIC_REVIEWS_DATABASE"):
        review_database.open_reviews(tmp_path, "not an address")
