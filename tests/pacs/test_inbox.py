"""The record of what was found: what is new, what is tried again and when, what waits."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from hepatic.pacs import inbox as module
from hepatic.pacs.inbox import Inbox


@pytest.fixture
def clock(monkeypatch):
    """Time as the record sees it."""
    now = SimpleNamespace(at=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now.at))
    return now


@pytest.fixture
def inbox(tmp_path, clock):
    with closing(Inbox(tmp_path / "inbox.sqlite")) as made:
        yield made


def none_there(series_uids):
    return {}


def test_what_was_looked_at_is_new_again_when_it_changes(inbox):
    found = [("a", "1"), ("b", "1")]
    assert inbox.new(found) == ["a", "b"]
    inbox.note("a", "1", "read")
    assert inbox.new(found) == ["b"]
    assert inbox.new([("a", "2")]) == ["a"]


def test_what_fails_is_tried_again_ever_later_and_then_left(inbox, clock):
    waited = []
    while inbox.note("a", "1", "later", "it is not there") == "later":
        start = clock.at
        assert inbox.due(none_there) == []
        while not inbox.due(none_there):
            clock.at += 60
        waited.append(clock.at - start)
    assert waited == sorted(waited)
    assert (waited[0], waited[-1], len(waited)) == (60, 24 * 3600, 5)
    clock.at += 1e9
    assert inbox.due(none_there) == []
    assert inbox.new([("a", "1")]) == []
    assert inbox.note("a", "2", "later") == "later", "changed, it has as many tries again"


def test_what_waits_is_due_when_the_images_of_its_series_are_others(inbox, clock):
    inbox.note("a", "1", "waits", awaits={"1.2": 0, "1.3": 1})
    clock.at += 1e9
    assert inbox.due(lambda series: {"1.3": 1}) == []
    assert inbox.due(lambda series: dict.fromkeys(series, 1)) == ["a"]
    inbox.note("a", "1", "read")
    assert inbox.due(lambda series: dict.fromkeys(series, 2)) == []


def test_a_record_of_the_version_before_is_taken_over(tmp_path):
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as connection:
        connection.executescript(f"{module._SCHEMA.statements}; PRAGMA user_version = 1;")
        connection.execute("INSERT INTO seen VALUES ('a', '1', 'read', '', 0)")
        connection.commit()
    with closing(Inbox(tmp_path / "inbox.sqlite")) as inbox:
        assert inbox.new([("a", "1")]) == ["a"], "everything is looked at again"
        assert inbox.origins("image") == []


def test_what_gave_no_label_and_is_gone_is_forgotten_and_looked_at_when_it_comes_back(inbox, clock):
    for key, outcome in (("a", "left"), ("b", "later"), ("c", "read"), ("d", "left"), ("e", "other")):
        inbox.note(key, "1", outcome)
    inbox.note("f", "1", "waits", awaits={"1.2": 0})
    assert inbox.unread_counts() == {"left": 2, "later": 1, "waits": 1}
    inbox.forget(lambda key: key != "d")
    assert inbox.unread_counts() == {"left": 1, "later": 0, "waits": 0}
    assert [one.key for one in inbox.unread(limit=9)] == ["d"]
    clock.at += 1e9
    assert inbox.due(lambda series: dict.fromkeys(series, 1)) == []
    assert inbox.new((key, "1") for key in "abcdef") == ["a", "b", "f"], "a label is not read twice"
