"""Asking a DICOMweb server, well and broken."""

import hashlib
import io
import pickle
import socket
import threading
import time

import pydicom
import pytest

from hepatic.errors import BadInputError, NotFoundError
from hepatic.pacs.attributes import number, text
from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import PacsError
from hepatic.pacs.spec import PacsSpec
from tests.pacs.conftest import Uids
from tests.pacs.fake_pacs import series_in_json, serving
from tests.store.studies import write_ct_slice


def uids(found, keyword="SeriesInstanceUID"):
    return {text(one, keyword) for one in found}


# Search


def test_series_are_found_by_modality(client):
    assert uids(client.series({"Modality": "CT"})) == {Uids.ct}
    assert uids(client.series({"Modality": "XA"}, study_uid=Uids.study)) == {Uids.xa}
    assert client.series({"Modality": "MR"}) == []
    (ct,) = client.series({"Modality": "CT"}, fields=["NumberOfSeriesRelatedInstances"])
    assert (text(ct, "PatientID"), text(ct, "SeriesDescription")) == ("P1", "portal venous")
    assert number(ct, "NumberOfSeriesRelatedInstances") == 3


def test_instances_tell_their_frames(client):
    frames = [number(one, "NumberOfFrames") for one in client.instances(Uids.study, Uids.xa)]
    assert sorted(frames) == [5, 6]


@pytest.mark.parametrize(("page", "limit"), [(2, None), (7, 3), (1000, 4)])
def test_pages_are_put_together_however_long_the_server_makes_them(pacs, pacs_url, page, limit):
    pacs.listed = [series_in_json(f"1.2.{n}", study="1.9", patient="P") for n in range(9)]
    pacs.limit = limit
    client = PacsClient(PacsSpec(pacs_url), page=page)
    assert uids(client.series({"Modality": "CT"})) == {Uids.ct, *(f"1.2.{n}" for n in range(9))}


@pytest.mark.parametrize("page", [3, 100])
def test_a_server_that_takes_no_notice_of_pages_is_asked_twice_at_most(pacs, pacs_url, page):
    pacs.listed = [series_in_json(f"1.2.{n}", study="1.9", patient="P") for n in range(9)]
    pacs.trouble = {"search": "no paging"}
    assert len(PacsClient(PacsSpec(pacs_url), page=page).series({"Modality": "CT"})) == 10
    assert len(pacs.asked) <= 2


def test_a_list_without_an_end_is_given_up(pacs, client, monkeypatch):
    monkeypatch.setattr("hepatic.pacs.client._MOST", 100)
    pacs.trouble = {"search": "endless"}
    with pytest.raises(PacsError, match="more than 100"):
        client.series()


def test_it_is_known_whether_an_instance_is_there(pacs, client):
    (uid,) = (uid for uid, (_, dataset) in pacs.instances.items() if dataset.Modality == "US")
    assert client.has_instance(Uids.study, Uids.us, uid)
    assert not client.has_instance(Uids.study, Uids.us, "1.2.3")
    assert not client.has_instance(Uids.study, "1.2.3", uid)


# Fetch


def test_an_instance_comes_as_the_file_the_server_has(pacs, client):
    for uid, (file, dataset) in pacs.instances.items():
        assert client.instance(dataset.StudyInstanceUID, dataset.SeriesInstanceUID, uid) == file


def test_an_instance_may_come_without_parts(pacs, client):
    pacs.trouble = {"file": "plain"}
    uid, (file, _) = next(iter(pacs.instances.items()))
    assert client.instance(Uids.study, Uids.ct, uid) == file


def test_a_series_comes_in_one_answer(pacs, client):
    files = []
    count = client.save_series(
        Uids.study, Uids.ct, io.BytesIO, lambda file: files.append(file.getvalue()), at_most_bytes=1 << 20
    )
    wanted = [file for file, dataset in pacs.instances.values() if dataset.Modality == "CT"]
    assert count == 3
    assert {hashlib.sha256(file).hexdigest() for file in files} == {hashlib.sha256(file).hexdigest() for file in wanted}


def test_an_answer_that_is_larger_than_allowed_is_given_up(pacs, client):
    uid = next(iter(pacs.instances))
    with pytest.raises(PacsError, match="larger than"):
        client.save_instance(Uids.study, Uids.ct, uid, io.BytesIO(), at_most_bytes=100)


def test_metadata_is_read_without_pixels(client):
    slices = client.metadata(Uids.study, Uids.ct)
    assert sorted(one.InstanceNumber for one in slices) == [1, 2, 3]
    assert all("PixelData" not in one for one in slices)


def test_what_is_not_there_is_said_to_be_missing(client):
    with pytest.raises(NotFoundError):
        client.instance("1.2", "1.3", "1.4")
    with pytest.raises(NotFoundError):
        client.metadata("1.2", "1.3")


def test_a_uid_that_is_none_is_not_asked_for(pacs, client):
    for bad in ("../../patients", "1.2/..", "", "1.2?x=1"):
        with pytest.raises(BadInputError):
            client.instance(bad, Uids.ct, "1.2")
    assert not pacs.asked


# Send


def test_instances_are_sent_as_files_and_as_datasets(pacs, client, pacs_files, tmp_path):
    path = tmp_path / "new.dcm"
    first = write_ct_slice(path, series=Uids.ct, study=Uids.study, k=9)
    write_ct_slice(tmp_path / "second.dcm", series=Uids.ct, study=Uids.study, k=10)
    second = pydicom.dcmread(tmp_path / "second.dcm")
    second.preamble = None  # as of one that was made in memory
    stored = client.store([path, second])
    assert stored.uids == (first, str(second.SOPInstanceUID))
    assert not stored.failed
    assert client.instance(Uids.study, Uids.ct, first) == path.read_bytes()
    again = pydicom.dcmread(io.BytesIO(client.instance(Uids.study, Uids.ct, second.SOPInstanceUID)))
    assert again.PixelData == second.PixelData
    assert second.preamble is None


@pytest.mark.parametrize(("trouble", "failures"), [("first", 1), ("refused", 2)])
def test_it_is_told_which_instances_were_not_taken(pacs, client, pacs_files, trouble, failures):
    pacs.trouble = {"store": trouble}
    sent = [pacs_files["ct0.dcm"], pacs_files["ct1.dcm"]]
    stored = client.store(sent)
    assert len(stored.uids) == 2 - failures
    assert set(stored.failed.values()) == {"out of resources"}


def test_a_server_that_says_nothing_of_what_it_took_is_believed_where_it_has_it(pacs, client, pacs_files):
    pacs.trouble = {"store": "says nothing"}
    assert len(client.store([pacs_files["ct0.dcm"]]).uids) == 1


def test_a_page_that_answers_a_store_is_no_success(pacs, client, pacs_files, monkeypatch):
    monkeypatch.setattr(pacs, "take", lambda file: "1.2.3")  # a proxy's page: nothing came to the server
    pacs.instances.clear()
    pacs.trouble = {"store": "html"}
    stored = client.store([pacs_files["ct0.dcm"]])
    assert stored.uids == ()
    assert len(stored.failed) == 1


def test_a_broken_store_is_no_success(pacs, client, pacs_files):
    pacs.trouble = {"store": "failing"}
    with pytest.raises(PacsError, match="could not answer"):
        client.store([pacs_files["ct0.dcm"]])


# A server in trouble

TROUBLES = {
    "slow": (504, "said nothing for 0.5 s"),
    "html": (502, "cannot be understood"),
    "truncated": (502, "breaks off"),
    "locked": (502, r"refuses this server \(401\)"),
    "elsewhere": (502, r"points elsewhere \(302\)"),
    "failing": (502, r"could not answer \(500\)"),
    "numbers": (502, "cannot be understood"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_trouble_has_its_sentence_and_passes(pacs, client, trouble):
    status, sentence = TROUBLES[trouble]
    uid = next(iter(pacs.instances))
    asks = {
        "search": lambda: client.series({"Modality": "CT"}),
        "metadata": lambda: client.metadata(Uids.study, Uids.ct),
        "file": lambda: client.instance(Uids.study, Uids.ct, uid),
    }
    for what, ask in asks.items():
        pacs.trouble, started = {what: trouble}, time.monotonic()
        with pytest.raises(PacsError, match=sentence) as failure:
            ask()
        assert failure.value.status == status
        assert time.monotonic() - started < pacs.slow_s
        pacs.trouble = {}
        assert ask()


def test_a_stopped_server_cannot_be_reached_and_is_when_it_is_back(pacs):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = PacsClient(PacsSpec(f"http://127.0.0.1:{port}/dicom-web", "u", "pacs-secret"))
    with pytest.raises(PacsError, match="cannot be reached") as failure:
        client.series()
    assert str(port) not in str(failure.value)
    assert "pacs-secret" not in str(failure.value)
    with serving(pacs, port):
        assert uids(client.series({"Modality": "CT"})) == {Uids.ct}
    with pytest.raises(PacsError, match="cannot be reached"):
        client.series()


def test_a_server_that_trickles_is_given_up():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        client = PacsClient(PacsSpec(f"http://127.0.0.1:{listening.getsockname()[1]}", silence_s=0.5))

        def trickle():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n["
                )
                for _ in range(60):
                    time.sleep(0.1)
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        threading.Thread(target=trickle, daemon=True).start()
        with pytest.raises(PacsError, match="said nothing"):
            client.series()


# Who asks


def test_name_and_password_or_a_token_are_sent_and_nothing_else_of_this_machine(pacs, pacs_url, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for spec in (
        PacsSpec(pacs_url),
        PacsSpec(pacs_url, "reader", "s\u00e9same"),
        PacsSpec(pacs_url, "reader", "x", token="abc"),
    ):
        PacsClient(pickle.loads(pickle.dumps(spec))).series({"Modality": "US"})  # noqa: S301
    assert pacs.received[0] == ""
    assert pacs.received[-1] == "Bearer abc"
    assert "Basic cmVhZGVyOnPDqXNhbWU=" in pacs.received


def test_prefixes_are_put_in(pacs, pacs_url):
    root, _, last = pacs_url.rpartition("/")
    client = PacsClient(PacsSpec(root, prefixes={"qido": last, "wado": last, "stow": last}))
    assert uids(client.series({"Modality": "CT"})) == {Uids.ct}
    assert client.instance(Uids.study, Uids.ct, next(iter(pacs.instances)))
    assert client.metadata(Uids.study, Uids.ct)
