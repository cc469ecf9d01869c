"""The file of the reviews, of this version and of others."""

import dataclasses
import sqlite3

import pytest

from hepatic.harvest.review_database import REVIEWS
from hepatic.harvest.store import ReviewStore as Store
from hepatic.store.database import Database
from hepatic.store.disk import StorageError
from tests.harvest.proposed import proposed, read_all

BEFORE_CLASSES = dataclasses.replace(REVIEWS, version=2, upgrades=REVIEWS.upgrades[:1])


def test_a_store_from_before_classes_is_taken_over_and_the_hepatic_of_then_is_told_so(tmp_path):
    file = tmp_path / "reviews.sqlite"
    Database(file, BEFORE_CLASSES).close()
    store = Store(tmp_path)
    store.proposals.add(proposed())
    read_all(store, "anna", c1="true")
    store.close()
    again = Store(tmp_path)
    assert again.review("1.2.3").readings[0].verdict("2.25.1") == "true"
    again.close()
    with pytest.raises(StorageError, match=r"newer hepatic \(schema 3, this one knows 2\)\. Update hepatic"):
        Database(file, BEFORE_CLASSES)
    with sqlite3.connect(file) as connection, pytest.raises(sqlite3.IntegrityError, match="only ever added"):
        connection.execute("DELETE FROM event")
