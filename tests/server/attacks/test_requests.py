"""Requests that are too large, too slow, or no requests."""

import json
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hepatic.store.archive import write_archive
from tests.server.attacks.conftest import image, raw

MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
DISPOSITION = b'Content-Disposition: form-data; name="files"; filename="x.nrrd"\r\n\r\n'


def head(address, method, path, *lines):
    host = urlsplit(address).netloc
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")


def status(received):
    return int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/1.1 ") else 0


@pytest.mark.parametrize("length", [4 << 30, 2**63, 10**40])
@pytest.mark.parametrize("path", ["/session/", "/datastore/image", "/datastore/label?image=case", "/model/nothing"])
def test_a_body_that_says_it_is_huge_is_refused_before_it_is_sent(attacked, path, length):
    request = head(attacked, "PUT", path, f"Content-Length: {length}", "Content-Type: multipart/form-data; boundary=b")
    began = time.monotonic()
    answer = raw(attacked, request)
    assert status(answer) == 413 or (length > 10**19 and status(answer) == 400)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("lines", [["Content-Length: -1"], ["Content-Length: 4e9"], ["Content-Length: \xb2"],
                                   ["Content-Length: 5", "Content-Length: 6"],
                                   ["Transfer-Encoding: gzip"]])  # fmt: skip
def test_a_length_that_is_none_is_refused(attacked, lines):
    assert status(raw(attacked, head(attacked, "PUT", "/session/", *lines) + b"x" * 10)) in (400, 422, 501)


@pytest.mark.parametrize("path", ["/session/", "/train/nothing", "/info/"])
def test_a_body_without_end_is_cut_off(attacked, path):
    address = urlsplit(attacked)
    sent = 0
    with socket.create_connection((address.hostname, address.port), 20) as connection:
        method = "PUT" if path == "/session/" else "POST"
        lines = ["Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=b"]
        connection.sendall(head(attacked, method, path, *lines))
        chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
        start = b"--b\r\n" + DISPOSITION
        try:
            connection.sendall(f"{len(start):x}\r\n".encode() + start + b"\r\n")
            while sent < 200 << 20:
                connection.sendall(chunk)
                sent += 1 << 16
        except OSError:
            pass
    assert sent < 100 << 20  # 8 MiB are read, the rest is what lay in the sockets' buffers


def test_headers_that_are_too_large_are_refused(attacked):
    assert status(raw(attacked, head(attacked, "GET", "/info/", "X-Long: " + "x" * 200_000))) in (400, 431, 0)
    many = [f"X-{number}: y" for number in range(20_000)]
    assert status(raw(attacked, head(attacked, "GET", "/info/", *many))) in (400, 431, 0)
    assert status(raw(attacked, b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")) in (400, 414, 0)


@pytest.mark.parametrize(
    "line", [b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET /info/ HTTP/9.9\r\n\r\n", b"GET\r\n\r\n"]
)
def test_what_is_no_request_is_no_trouble(attacked, line):
    assert status(raw(attacked, line, timeout_s=1.0)) in (0, 400, 505)


FORMS = {
    "a thousand parts": (b"--b\r\n" + DISPOSITION + b"\r\n") * 1001 + b"--b--",
    "no end": b"--b\r\n" + DISPOSITION + b"x" * 100,
    "no name": b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    "a field of 2 MiB": b"--b\r\n" + DISPOSITION.replace(b'; filename="x.nrrd"', b"") + b"x" * (2 << 20) + b"\r\n--b--",
    "a header of 1 MiB": b"--b\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\nx\r\n--b--\r\n",
    "no parts": b"--b--\r\n",
    "another boundary": b"--c\r\n" + DISPOSITION + b"x\r\n--c--\r\n",
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("what", FORMS)
def test_a_form_is_refused_that_has(attacked, what):
    for method, path in (("PUT", "session/"), ("PUT", "datastore/image"), ("POST", "infer/nothing")):
        answer = requests.request(method, f"{attacked}/{path}", data=FORMS[what], headers=MULTIPART, timeout=20)
        assert answer.status_code in (400, 413, 422), answer.text
        assert "detail" in answer.json()


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "text/plain", "application/json", "multipart/form-data; boundary="]
)
def test_a_form_of_another_kind_is_refused(attacked, kind):
    answer = requests.put(f"{attacked}/session/", data=b"x", headers={"content-type": kind}, timeout=10)
    assert answer.status_code in (400, 415, 422)


BOMBS = {
    "deep": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "deep lists": '{"a":' + "[" * 100_000,
    "a long number": '{"a": ' + "9" * 100_000 + "}",
    "no object": "[1]",
    "no JSON": "{'a': 1}",
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_json_bomb_is_refused_that_is(attacked, what):
    url = f"{attacked}/datastore/image/info?image=case"
    assert requests.put(url, data={"info": BOMBS[what]}, timeout=20).status_code == 422
    for path in ("infer/nothing?image=case", "infer/nothing"):
        answer = requests.post(f"{attacked}/{path}", files={"params": (None, BOMBS[what])}, timeout=20)
        assert answer.status_code == 422
    if what != "no object":
        headers = {"content-type": "application/json"}
        for path in ("train/", "activelearning/random", "scoring/nothing", "batch/infer/nothing", "train/nothing"):
            answer = requests.post(f"{attacked}/{path}", data=BOMBS[what], headers=headers, timeout=20)
            assert answer.status_code in (400, 404, 422), (path, answer.text)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", '"\\ud800"', '"\\u0000"', "1" + "0" * 4000])
def test_what_json_does_not_have_is_kept_out_of_answers(attacked, value):
    url = f"{attacked}/datastore/image/info?image=case"
    answer = requests.put(url, data={"info": '{"odd": ' + value + "}"}, timeout=20)
    assert answer.status_code in (200, 422), answer.text
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200

    def refuse(text):
        raise ValueError(text)

    json.loads(answer.text, parse_constant=refuse)
    assert requests.get(f"{attacked}/datastore/?output=all", timeout=10).status_code == 200
    assert requests.put(url, data={"info": '{"odd": null}'}, timeout=20).status_code == 200
    form = {"params": (None, '{"odd": ' + value + "}")}
    answer = requests.post(f"{attacked}/infer/nothing?image=case&output=json", files=form, timeout=30)
    assert answer.status_code in (200, 422), answer.text


CHARACTERS = st.text(st.characters(codec=None), max_size=6)  # halves of them, too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CHARACTERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CHARACTERS, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["user", "author", "client_id", "model", "model_hash", "params", "label_info", "restored_from", "result_extension",
     "result_dtype", "result_compress", "device", "label", "logging", "name", "save_label", "strategy", "odd"]
)  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
@example({"result_extension": []})
@example({"model_hash": "\ud800"})
@example({"user": "\ud800"})
def test_whatever_object_is_said_nothing_fails(attacked, base, said):
    text = json.dumps(said)
    sent = (base / "studies" / "case.nrrd").read_bytes()
    label = f"{attacked}/datastore/label"
    saved = requests.put(
        f"{label}?image=case&tag=odd", files={"label": ("l.nrrd", sent)}, data={"params": text}, timeout=20
    )
    inferred = requests.post(f"{attacked}/infer/nothing?image=case", files={"params": (None, text)}, timeout=20)
    noted = requests.put(f"{attacked}/datastore/image/info?image=case", data={"info": text}, timeout=20)
    listed_all = requests.get(f"{attacked}/datastore/?output=all", timeout=10)
    for answer in (saved, inferred, noted, listed_all):
        assert answer.status_code in (200, 422), answer.text
    if saved.ok:
        assert requests.get(f"{label}/info?label=case&tag=odd", timeout=10).ok
        assert requests.delete(f"{label}?id=case&tag=odd", timeout=10).ok


def test_one_archive_of_the_dataset_is_written_at_a_time(attacked, base, monkeypatch):
    sent, label = (base / "studies" / "case.nrrd").read_bytes(), f"{attacked}/datastore/label"
    assert requests.put(f"{label}?image=case&tag=final", files={"label": ("l.nrrd", sent)}, timeout=20).ok
    going_on, answers = threading.Event(), []

    def write_slowly(*given, **options):
        going_on.wait(20)
        return write_archive(*given, **options)

    def fetch():
        answers.append(requests.get(f"{attacked}/datastore/dataset", timeout=30))

    monkeypatch.setattr("hepatic.release.dataset.write_archive", write_slowly)
    threads = [threading.Thread(target=fetch) for _ in range(5)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while len(answers) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    going_on.set()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [503] * 4 + [200]
    assert all("Retry-After" in answer.headers for answer in answers[:4])
    assert requests.delete(f"{label}?id=case&tag=final", timeout=10).ok


def test_slow_uploads_keep_nobody_waiting(attacked, base):
    address = urlsplit(attacked)
    connections = []
    for _ in range(50):  # more than there are threads
        connection = socket.create_connection((address.hostname, address.port), 10)
        lines = ["Content-Length: 1000000", "Content-Type: multipart/form-data; boundary=b"]
        connection.sendall(head(attacked, "PUT", "/session/", *lines) + b"--b\r\n" + DISPOSITION)
        connections.append(connection)
    try:
        began = time.monotonic()
        assert requests.get(f"{attacked}/info/", timeout=10).status_code == 200
        sent = {"file": ("x.nrrd", image(base / "studies" / ".hepatic"))}
        assert requests.post(f"{attacked}/infer/nothing", files=sent, timeout=20).status_code == 200
        assert time.monotonic() - began < 10
    finally:
        for connection in connections:
            connection.close()


def test_many_uploads_at_once_are_taken_or_told_to_come_back(attacked, base):
    data = image(base / "studies" / ".hepatic")
    statuses = []

    def open_session():
        answer = requests.put(f"{attacked}/session/", files={"files": ("x.nrrd", data)}, timeout=60)
        statuses.append(answer.status_code)
        if answer.status_code == 200:
            requests.delete(f"{attacked}/session/{answer.json()['session_id']}", timeout=20)

    threads = [threading.Thread(target=open_session) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
