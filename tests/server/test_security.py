"""Requests that should not get anywhere."""

import hashlib
import io
import json
import socket
import struct
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from fastapi import UploadFile
from pydicom.uid import generate_uid
from safetensors.numpy import save

from hepatic.errors import BadInputError
from server.intake.scratch import Scratch
from server.intake.uploads import Uploads
from server.routes.model import info, upload
from tests.store.studies import write_xa_run

TRAVERSALS = ["../../etc/passwd", "/etc/passwd", "..", "..\\..\\x", "case0.nrrd/../case0", "a\0b", "."]


@pytest.mark.parametrize("image", [*TRAVERSALS, ""])
def test_an_image_is_an_id_and_never_a_path(server, image):
    calls = [
        requests.post(f"{server}/infer/threshold", params={"image": image}, timeout=10),
        requests.get(f"{server}/datastore/image", params={"image": image}, timeout=10),
        requests.get(f"{server}/datastore/image/info", params={"image": image}, timeout=10),
        requests.delete(f"{server}/datastore/image", params={"id": image}, timeout=10),
        requests.get(f"{server}/datastore/label", params={"label": image, "tag": "final"}, timeout=10),
        requests.put(
            f"{server}/datastore/label", params={"image": image}, files={"label": ("a.nrrd", b"x")}, timeout=10
        ),
    ]
    assert {call.status_code for call in calls} <= {404, 422}
    assert all("detail" in call.json() for call in calls)


def test_a_file_of_the_server_is_not_an_image(server, studies):
    path = str(studies / "case0.nrrd")
    assert requests.post(f"{server}/infer/threshold", params={"image": path}, timeout=10).status_code == 404


@pytest.mark.parametrize("tag", ["../up", "/x", "a/b", "..", ".hidden", "a" * 100])
def test_a_tag_is_a_plain_name(server, tag):
    url = f"{server}/datastore/label"
    query = {"image": "case0", "tag": tag}
    assert requests.put(url, params=query, files={"label": ("a.nrrd", b"x")}, timeout=10).status_code == 422
    assert requests.get(url, params={"label": "case0", "tag": tag}, timeout=10).status_code == 422


@pytest.mark.parametrize("session_id", ["..", "....", "%2e%2e%2f%2e%2e", "x", "urn:uuid:" + "0" * 32])
def test_a_session_is_one_that_was_opened(server, session_id):
    assert requests.delete(f"{server}/session/{session_id}", timeout=10).status_code in (404, 405)
    query = {"session_id": session_id}
    assert requests.post(f"{server}/infer/threshold", params=query, timeout=10).status_code == 404


def test_params_cannot_change_what_is_read_or_written(server, studies):
    evil = {
        "image": "/etc/passwd",
        "model": "grade",
        "label": "/etc/passwd",
        "session": {"image": "/etc/passwd"},
        "image_path": "/etc/passwd",
        "result_extension": "/../../x.nrrd",
        "device": "/dev/sda",
    }
    form = {"params": (None, json.dumps(evil))}
    query = {"image": "case0", "output": "json"}
    answer = requests.post(f"{server}/infer/threshold", params=query, files=form, timeout=30).json()
    assert answer["seen"] == {
        "image": str(studies / "case0.nrrd"),
        "label": "None",
        "session": "None",
        "image_path": "None",
        "model": "threshold",
    }


@pytest.mark.parametrize("params", ["[1]", "{", '"x"', "7"])
def test_params_that_are_no_object_are_refused(server, params):
    form = {"params": (None, params)}
    answer = requests.post(f"{server}/infer/threshold", params={"image": "case0"}, files=form, timeout=10)
    assert answer.status_code == 422
    assert "JSON object" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["x.exe", "x.nii.gz.sh", "x", "x.mhd", "../../x", "x.zip"])
def test_uploads_of_other_kinds_are_refused(server, name, studies):
    before = sorted(studies.rglob("*"))
    answer = requests.put(f"{server}/datastore/image", files={"file": (name, b"x")}, timeout=10)
    assert answer.status_code == 422
    assert requests.put(f"{server}/session/", files={"files": (name, b"x")}, timeout=10).status_code == 422
    assert sorted(studies.rglob("*")) == before


@pytest.mark.parametrize("name", ["x.mha", "x.png", "x.mhd", "x.nii.gz.7z", "1.2.840.113", "IM0001"])
def test_what_the_store_does_not_take_is_refused_before_it(server, name, services):
    for path, field in (("datastore/image", "file"), ("session/", "files")):
        answer = requests.put(f"{server}/{path}", files={field: (name, b"no image")}, timeout=10)
        assert answer.status_code == 422
        assert ".nii.gz" in answer.json()["detail"]
    answer = requests.post(f"{server}/infer/threshold", files={"file": (name, b"no image")}, timeout=10)
    assert answer.status_code == 422
    answer = requests.put(
        f"{server}/datastore/label", params={"image": "case0"}, files={"label": ("x.png", b"x")}, timeout=10
    )
    assert answer.status_code == 422
    assert [path for path in services.scratch.dir.glob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.113", "C:\\a.b\\IM 7", "x.DCM"])
def test_a_dicom_file_needs_no_suffix(server, name, tmp_path, services):
    write_xa_run(tmp_path / "run", series=generate_uid(), study=generate_uid())
    sent = {"file": (name, (tmp_path / "run").read_bytes())}
    answer = requests.put(f"{server}/datastore/image", files=sent, timeout=10)
    assert answer.status_code == 200
    query = {"image": answer.json()["image"]}
    assert requests.get(f"{server}/datastore/image", params=query, timeout=10).content == sent["file"][1]
    assert requests.delete(f"{server}/datastore/image", params={"id": query["image"]}, timeout=10).status_code == 200
    services.host.datastore.refresh()  # the stock one does not watch files of this kind
    answer = requests.put(f"{server}/session/", files={"files": sent["file"]}, timeout=10)
    assert answer.json()["session_info"]["image"] == "image.dcm"


def test_deeply_nested_params_are_refused(server):
    deep = '{"a":' * 50_000 + "1" + "}" * 50_000
    form = {"params": (None, deep)}
    answer = requests.post(f"{server}/infer/threshold", params={"image": "case0"}, files=form, timeout=10)
    assert answer.status_code == 422
    headers = {"content-type": "application/json"}
    shallower = '{"a":' * 200 + "1" + "}" * 200
    for body, path in ((deep, "train/slow"), (shallower, "train/slow"), (shallower, "activelearning/random")):
        answer = requests.post(f"{server}/{path}", data=body, headers=headers, timeout=10)
        assert answer.status_code in (400, 422)
        assert answer.json()["detail"]


def test_weights_are_not_read_into_memory(tmp_path, monkeypatch, inspector):
    target = tmp_path / "models" / "model.safetensors"
    sent = save({"weight": np.zeros(250, np.float32)})
    host = SimpleNamespace(models={"m": 1}, app=SimpleNamespace(model_file=lambda name, validate=True: str(target)))
    scratch = Scratch(tmp_path / "scratch")
    services = SimpleNamespace(host=host, scratch=scratch, uploads=Uploads(scratch, inspector))
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("the whole file was read"))
    told = upload(services, "m", UploadFile(io.BytesIO(sent), filename="m.safetensors"))
    monkeypatch.undo()
    assert told["checksum"] == f"SHA256:{hashlib.sha256(sent).hexdigest()}"
    assert target.read_bytes() == sent
    assert [path.name for path in target.parent.iterdir()] == ["model.safetensors"]
    nested = b"[" * 100_000
    with pytest.raises(BadInputError, match="safetensors"):
        upload(services, "m", UploadFile(io.BytesIO(struct.pack("<Q", len(nested)) + nested), filename="m.safetensors"))
    assert target.read_bytes() == sent
    assert list(services.scratch.dir.iterdir()) == []


@pytest.mark.parametrize("packed", [False, True])
def test_weights_are_read_once_however_often_somebody_asks_for_their_checksum(tmp_path, packed):
    weights, card, read = tmp_path / "model.safetensors", tmp_path / "card.json", []

    def pack(file):
        read.append(file)
        if packed:
            file.write_bytes(card.read_bytes() + weights.read_bytes())
        return packed

    host = SimpleNamespace(
        models={"m": SimpleNamespace(pack=pack)},
        trainers={},
        app=SimpleNamespace(model_file=lambda name, validate=True: str(weights)),
    )
    services = SimpleNamespace(host=host, scratch=Scratch(tmp_path / "scratch"), model_checksums={})
    card.write_bytes(b"{}")
    weights.write_bytes(b"one")
    told = [info(services, "m")["checksum"] for _ in range(3)]
    weights.with_suffix(".new").write_bytes(b"two")
    weights.with_suffix(".new").replace(weights)
    told += [info(services, "m")["checksum"] for _ in range(3)]
    expected = [hashlib.sha256(b"{}" * packed + now).hexdigest() for now in (b"one", b"two")]
    assert told == [f"SHA256:{one}" for one in expected for _ in range(3)]
    assert len(read) == 2


def test_an_uploaded_name_leads_nowhere(server, new_image, studies, services):
    files = {"file": ("../../../escaped.nrrd", new_image.read_bytes())}
    answer = requests.put(f"{server}/datastore/image", files=files, timeout=10)
    assert answer.json() == {"image": "escaped"}
    files = {"file": ("x.nrrd", new_image.read_bytes())}
    answer = requests.put(f"{server}/datastore/", params={"image": "../../../../up"}, files=files, timeout=10)
    assert "/" not in answer.json()["image"]
    for image in ("escaped", answer.json()["image"]):
        assert requests.get(f"{server}/datastore/image", params={"image": image}, timeout=10).status_code == 200
        assert requests.delete(f"{server}/datastore/image", params={"id": image}, timeout=10).status_code == 200
    assert not [path for path in studies.parent.glob("*.nrrd") if path.name.startswith(("escaped", "up"))]
    services.host.datastore.refresh()  # the stock one may list what it saw coming after it was told that it has gone


def test_too_large_an_upload_is_refused(server):
    answer = requests.put(f"{server}/session/", files={"files": ("x.nrrd", bytes(3 << 20))}, timeout=10)
    assert answer.status_code == 413
    assert "2 MiB" in answer.json()["detail"]


def test_too_large_an_upload_that_hides_its_length_is_refused(server):
    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.nrrd"\r\n\r\n'
        for _ in range(48):
            yield bytes(1 << 16)
        yield b"\r\n--b--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = requests.put(f"{server}/session/", data=body(), headers=headers, timeout=10)
    assert answer.status_code == 413


def test_failures_say_what_and_no_more(server, services, studies):
    form = {"params": (None, '{"fail": 1}')}
    answer = requests.post(f"{server}/infer/threshold", params={"image": "case0"}, files=form, timeout=30)
    assert answer.status_code == 500
    told = answer.json()["detail"]
    assert "RuntimeError" in told
    assert "Traceback" not in told
    assert str(studies) not in told
    number = told.rstrip(".").rpartition(" ")[2]
    log = services.log.tail(200)
    assert number in log
    assert "cannot read" in log


def test_what_an_app_refuses_is_told_without_paths(server, studies):
    form = {"params": (None, '{"refuse": 1}')}
    answer = requests.post(f"{server}/infer/threshold", params={"image": "case0"}, files=form, timeout=30)
    assert answer.status_code == 400
    assert answer.json() == {"detail": "no liver in case0.nrrd"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "infer/nobody?image=case0"),
        ("POST", "train/nobody"),
        ("POST", "activelearning/nobody"),
        ("POST", "scoring/nobody"),
        ("GET", "model/nobody"),
        ("GET", "model/threshold"),
        ("GET", "model/info/threshold"),
    ],
)
def test_unknown_names_are_404(server, method, path):
    answer = requests.request(method, f"{server}/{path}", timeout=10)
    assert answer.status_code == 404
    assert answer.json()["detail"]


def test_weights_that_may_hold_code_are_refused(server):
    for name in ("model.pt", "model.ts", "model.pkl"):
        answer = requests.put(f"{server}/model/threshold", files={"file": (name, b"x")}, timeout=10)
        assert answer.status_code == 422
    answer = requests.put(f"{server}/model/threshold", files={"file": ("m.safetensors", b"x")}, timeout=10)
    assert answer.status_code == 409


def test_pages_of_other_origins_cannot_change_anything(server):
    headers = {"Origin": "https://evil.example"}
    assert requests.delete(f"{server}/train/", headers=headers, timeout=10).status_code == 403
    assert requests.delete(f"{server}/train/", headers={"Origin": server}, timeout=10).status_code == 200
    assert requests.get(f"{server}/info/", headers={"Host": "evil.example"}, timeout=10).status_code == 400


def test_raw_dots_in_the_path_reach_no_file(server):
    address = urlsplit(server)
    for path in ("/../../etc/passwd", "/session/../../../etc/passwd", "/static/../../../etc/passwd"):
        with socket.create_connection((address.hostname, address.port), 5) as raw:
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda raw=raw: raw.recv(4096), b""))
        assert b" 404 " in answer.splitlines()[0]
        assert b"root:" not in answer


def test_nothing_was_written_outside(studies):
    assert not Path("/x").exists()
    assert not [path for path in studies.parent.iterdir() if path.name in ("up", "escaped.nrrd", "x.nrrd")]
