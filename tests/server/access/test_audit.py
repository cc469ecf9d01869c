"""The audit log: what is in it, that it holds together, and what happens when it cannot be written."""

import csv
import io
import json
import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hepatic.errors import BadInputError
from server.access import audit
from server.access.access import audit_dir
from server.access.audit import AuditFailedError, AuditLog, Entry, files_of
from server.access.roles import Role
from server.access.trail import entries, moment, verify, write_csv

from .conftest import asked


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "audit"


def opened(folder, **options):
    log = AuditLog(folder, **options)
    log.open()
    return log


def write(folder, *names, **options):
    log = opened(folder, **options)
    for name in names:
        log.add(Entry("request", "PUT /x", who=name)).result(10)
    log.close()


def whos(folder):
    return [entry["who"] for entry in entries(folder)]


def test_entries_are_kept_in_order_and_for_the_owner_only(folder):
    write(folder, "a", "b", "c")
    assert whos(folder) == ["a", "b", "c"]
    assert verify(folder).problems == ()
    [file] = files_of(folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_chain_goes_on_after_a_restart_and_across_files(folder):
    for name in "abcde":
        write(folder, name, file_bytes=1)
    assert len(files_of(folder)) == 5
    assert whos(folder) == list("abcde")
    assert verify(folder).problems == ()
    assert verify(folder).last == 5


def test_a_new_month_begins_a_new_file(folder, monkeypatch):
    write(folder, "a")

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=40)

    monkeypatch.setattr(audit, "datetime", Later)
    write(folder, "b")
    monkeypatch.undo()
    write(folder, "c")  # the clock was put back
    first, second = files_of(folder)
    assert first.name[:7] < second.name[:7]
    assert verify(folder).problems == ()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: [lines[0], lines[1].replace('"b"', '"x"'), *lines[2:]], "entry 2 was changed"),
        (lambda lines: [lines[0], *lines[2:]], "entry 2 should be here"),
        (lambda lines: lines[1:], "entry 1 should be here"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "entry 1 should be here"),
        (lambda lines: [*lines[:2], "{}", *lines[2:]], "this is no entry"),
        (lambda lines: [*lines, lines[1]], "entry 5 should be here"),
    ],
)
def test_tampering_shows(folder, damage, said):
    write(folder, "a", "b", "c", "d")
    [file] = files_of(folder)
    file.write_text("\n".join(damage(file.read_text().splitlines())) + "\n")
    assert said in "\n".join(verify(folder).problems)


def test_a_cut_end_or_a_log_written_anew_shows_by_a_hash_that_was_noted(folder, tmp_path):
    write(folder, "a", "b", "c")
    noted = verify(folder).hash
    write(folder, "d")
    assert verify(folder, contains=noted).problems == ()
    [file] = files_of(folder)
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    assert verify(folder).problems == ()
    assert "cut off" in verify(folder, contains=noted).problems[0]


def test_the_unfinished_line_of_a_crash_is_dropped_and_the_chain_goes_on(folder):
    write(folder, "a", "b")
    [file] = files_of(folder)
    with file.open("a") as stream:
        stream.write('{"number": 3, "at": "20')
    write(folder, "c")
    assert whos(folder) == ["a", "b", "c"]
    assert verify(folder).problems == ()


@pytest.mark.parametrize("damage", ["\n", "{}\n", "[1]\n", '{"number": "x", "hash": 1}\n', "\0\xff\n"])
def test_behind_a_damaged_end_it_goes_on_in_another_file_and_says_so(folder, damage):
    log = opened(folder)
    log.add(Entry("request", "x", who="a")).result(10)
    with files_of(folder)[0].open("a", encoding="latin-1") as stream:
        stream.write(damage)
    log.add(Entry("request", "x", who="b")).result(10)
    log.close()
    write(folder, "c")
    assert [(entry["event"], entry["who"]) for entry in entries(folder)] == [
        ("request", "a"), ("damaged", ""), ("request", "b"), ("request", "c")
    ]  # fmt: skip
    assert len(files_of(folder)) == 2
    assert "this is no entry" in verify(folder).problems[0]


def test_a_log_whose_end_was_damaged_while_nothing_ran_can_be_opened(folder):
    write(folder, "a")
    with files_of(folder)[0].open("a") as stream:
        stream.write("\n")
    write(folder, "b")
    assert whos(folder) == ["a", "", "b"]


def test_whatever_goes_wrong_is_told_and_the_next_are_served(folder, monkeypatch):
    log = opened(folder)
    with monkeypatch.context() as patch:
        patch.setattr(AuditLog, "_find_end", lambda _: 1 / 0)
        with pytest.raises(AuditFailedError):
            log.add(Entry("request", "x", who="a")).result(10)
    given_up = log.add(Entry("request", "x", who="b"))
    given_up.cancel()
    log.add(Entry("request", "x", who="c")).result(10)
    log.close()
    assert whos(folder) == ["a", "b", "c"]


def test_entries_that_were_lost_are_counted(folder, monkeypatch):
    monkeypatch.setattr(audit, "_WAITING", 2)
    log = opened(folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        for name in "abcde":
            with pytest.raises(AuditFailedError):
                log.add(Entry("request", "x", who=name)).result(10)
    log.retry().result(10)
    log.close()
    told = [(entry["event"], entry["who"], entry["what"]) for entry in entries(folder)]
    assert told[0] == ("lost", "", "3 entries that could not be written")
    assert [who for _, who, _ in told[1:]] == ["d", "e"]


def test_many_threads_and_another_process_make_one_chain(folder):
    first, second = opened(folder), opened(folder)

    def work(log, name):
        for _ in range(20):
            log.add(Entry("request", "x", who=name)).result(30)

    threads = [threading.Thread(target=work, args=(log, name)) for log, name in ((first, "a"), (second, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first.close(), second.close()
    assert sorted(whos(folder)) == ["a"] * 20 + ["b"] * 20
    assert verify(folder).problems == ()


def test_what_a_full_disk_kept_out_is_written_later(folder, monkeypatch):
    log = opened(folder)
    log.add(Entry("request", "x", who="a")).result(10)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(AuditFailedError):
            log.add(Entry("request", "x", who="b")).result(10)
        assert not log.works
    log.retry().result(10)
    assert log.works
    log.close()
    assert whos(folder) == ["a", "b"]
    assert verify(folder).problems == ()


def test_entries_are_chosen_by_time_and_user(folder):
    write(folder, "a", "b", "a")
    now = datetime.now(UTC)
    assert [entry["number"] for entry in entries(folder, user="a")] == [1, 3]
    assert list(entries(folder, since=now + timedelta(hours=1))) == []
    assert len(list(entries(folder, since=now - timedelta(hours=1), until=now + timedelta(hours=1)))) == 3
    assert list(entries(folder, until=now - timedelta(hours=1))) == []
    day = moment("2026-11-21", "--until", end=True) - moment("2026-11-21", "--since")
    assert day == timedelta(days=1)
    with pytest.raises(BadInputError):
        moment("soon", "--since")


def test_a_spreadsheet_runs_nothing_that_a_client_wrote(folder):
    log = opened(folder)
    log.add(Entry("request", "PUT /x", who="=HYPERLINK(1)", ids={"image": '=1+1,"\n'})).result(10)
    log.close()
    text = io.StringIO()
    assert write_csv(entries(folder), text) == 1
    [row] = csv.DictReader(io.StringIO(text.getvalue()))
    assert row["who"] == "'=HYPERLINK(1)"
    assert row["ids"] == 'image==1+1,"\n'


# over HTTP


def test_who_changed_what_is_noted_before_it_is_answered(locked, secrets_of, trail):
    answer = asked(
        "PUT",
        locked,
        "/datastore/image/info?image=case0",
        secret=secrets_of["annotator"],
        files={"info": (None, '{"quality": "secret words"}')},
        headers={"X-Request-ID": "abcdef0123456789"},
    )
    assert answer.status_code == 200
    entry = trail()[-1]
    assert entry["what"] == "PUT /datastore/image/info"
    assert (entry["event"], entry["who"], entry["status"]) == ("request", "Anna", 200)
    assert (entry["ids"], entry["address"]) == ({"image": "case0"}, "127.0.0.1")
    assert entry["request"] == answer.headers["x-request-id"] == "abcdef0123456789"
    assert entry["by"].startswith("token ")
    assert "secret words" not in json.dumps(entry)


def test_changes_that_fail_and_refusals_and_wrong_tokens_are_noted(served, tmp_path):
    address, app = served()
    create = app.state.access.tokens.create
    ada, rita = create("Ada", Role.ADMIN, expires=None)[1], create("Rita", Role.READER, expires=None)[1]
    asked("DELETE", address, "/datastore/image?id=nobody", secret=ada)
    asked("DELETE", address, "/datastore/image?id=case0", secret=rita)
    asked("GET", address, "/info/", secret="hep_wrong")
    asked("POST", address, "/train/x")
    noted = [
        (entry["event"], entry["what"], entry["who"], entry["status"])
        for entry in entries(audit_dir(tmp_path / ".hepatic"))
    ]
    assert noted == [
        ("request", "DELETE /datastore/image", "Ada", 404),
        ("refused", "DELETE /datastore/image", "Rita", 403),
        ("login failed", "GET /info/", "", 401),
        ("refused", "POST /train/{model}", "", 401),
    ]


def test_reading_is_not_noted(locked, secrets_of, trail):
    before = len(trail())
    for path in ("/info/", "/datastore/", "/datastore/image?image=case0"):
        asked("GET", locked, path, secret=secrets_of["reader"])
    asked("POST", locked, "/infer/threshold?image=case0", secret=secrets_of["reader"])
    assert len(trail()) == before


def test_an_admin_can_read_it(locked, secrets_of):
    asked("DELETE", locked, "/scoring/", secret=secrets_of["reviewer"])
    told = asked("GET", locked, "/audit?user=Viktor&limit=1", secret=secrets_of["admin"]).json()
    assert [(entry["who"], entry["what"]) for entry in told] == [("Viktor", "DELETE /scoring/")]
    assert asked("GET", locked, "/audit?since=soon", secret=secrets_of["admin"]).status_code == 422


def test_where_no_login_is_needed_changes_are_noted_too(served, tmp_path):
    address, _ = served(auth=False)
    asked("DELETE", address, "/train/")
    [entry] = entries(audit_dir(tmp_path / ".hepatic"))
    assert (entry["what"], entry["who"], entry["by"]) == ("DELETE /train/", "", "open")


def test_nothing_is_changed_while_nothing_can_be_noted(served, tmp_path, monkeypatch):
    address, _ = served(auth=False)
    with monkeypatch.context() as patch:
        patch.setattr(AuditLog, "_write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert asked("DELETE", address, "/train/").status_code == 200  # done already when the disk was full
        refused = asked("DELETE", address, "/scoring/")
        assert refused.status_code == 507
        assert "audit log" in refused.json()["detail"]
        assert asked("GET", address, "/info/").status_code == 200
        waits = asked("GET", address, "/ready")
        assert (waits.status_code, "audit log" in str(waits.json()["missing"])) == (503, True)
    assert asked("DELETE", address, "/scoring/").status_code == 200
    whats = [entry["what"] for entry in entries(audit_dir(tmp_path / ".hepatic"))]
    assert whats == ["DELETE /train/", "DELETE /scoring/"]


def test_an_attacker_cannot_fill_the_disk_with_refusals(locked, trail):
    before = len(trail())
    for _ in range(100):
        asked("GET", locked, "/info/", secret="hep_wrong")
    assert len(trail()) - before <= 2 * 30, "thirty a minute, and a new minute may begin meanwhile"


def test_no_token_is_in_any_file_of_the_server(locked, secrets_of, data_dir, locked_studies):
    for secret in [*secrets_of.values(), "hep_wrong-but-still-secret"]:
        asked("GET", locked, "/info/", secret=secret)
        asked("GET", locked, f"/no/such/{secret}", secret=secrets_of["reader"])
        asked("POST", locked, "/auth/token", data={"username": "x", "password": secret})
        asked("POST", locked, "/login", data={"password": secret, "next": "/"})
        asked("PUT", locked, f"/datastore/label?image={secret}", secret=secret)
        asked("DELETE", locked, f"/session/{secret}", secret=secrets_of["admin"])
    found = [path for path in Path(locked_studies).rglob("*") if path.is_file()]
    texts = {path: path.read_bytes() for path in found}
    assert any(path.name == "server.log" for path in found)
    for secret in [*secrets_of.values(), "hep_wrong-but-still-secret"]:
        assert [str(path) for path, text in texts.items() if secret.encode() in text] == []
