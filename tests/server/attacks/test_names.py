"""Names that would lead elsewhere, wherever a name may stand."""

import json
from urllib.parse import quote

import pytest
import requests

from tests.server.attacks.conftest import CANARY, image, send

EVIL = {
    "climbs": "../../outside/secret.txt",
    "climbs far": "../" * 40 + "etc/passwd",
    "is absolute": "/etc/passwd",
    "climbs as Windows does": "..\\..\\outside\\secret.txt",
    "is absolute as Windows has it": "C:\\Windows\\win.ini",
    "is on a share": "\\\\host\\share\\secret",
    "is a URL": "file:///etc/passwd",
    "is encoded once more": "..%2f..%2foutside%2fsecret.txt",
    "is encoded twice more": "%252e%252e%252foutside",
    "has a NUL": "case\0.nrrd",
    "is two dots": "..",
    "is a dot": ".",
    "hides": ".hepatic",
    "is the index": ".hepatic/index.db",
    "is too long": "x" * 5000,
    "is no Unicode": "\udce4",
    "is a device of Windows": "CON",
    "is a command": "$(touch x)|`id`;",
    "is a link": "link",
    "goes through a link": "linked/secret",
}

BY_QUERY = [
    ("POST", "infer/nothing?image={}", 404),
    ("POST", "infer/nothing?session_id={}", 404),
    ("GET", "datastore/image?image={}", 404),
    ("HEAD", "datastore/image?image={}", 404),
    ("DELETE", "datastore/image?id={}", 404),
    ("DELETE", "datastore/?id={}", 404),
    ("GET", "datastore/image/info?image={}", 404),
    ("PUT", "datastore/image/info?image={}", 404),
    ("GET", "datastore/label?tag=final&label={}", 404),
    ("HEAD", "datastore/label?tag=final&label={}", 404),
    ("DELETE", "datastore/label?tag=final&id={}", 404),
    ("GET", "datastore/label/info?tag=final&label={}", 404),
    ("PUT", "datastore/label/info?tag=final&label={}", 404),
    ("PUT", "datastore/updatelabelinfo?tag=final&label={}", 404),
]
BY_TAG = [
    ("GET", "datastore/label?label=case&tag={}"),
    ("HEAD", "datastore/label?label=case&tag={}"),
    ("DELETE", "datastore/label?id=case&tag={}"),
    ("GET", "datastore/label/info?label=case&tag={}"),
    ("PUT", "datastore/label/info?label=case&tag={}"),
    ("PUT", "datastore/updatelabelinfo?label=case&tag={}"),
]
BY_PATH = [
    ("GET", "session/{}"),
    ("DELETE", "session/{}"),
    ("GET", "model/{}"),
    ("PUT", "model/{}"),
    ("DELETE", "model/{}"),
    ("GET", "model/info/{}"),
    ("POST", "infer/{}?image=case"),
    ("POST", "train/{}"),
    ("POST", "scoring/{}"),
    ("POST", "activelearning/{}"),
    ("POST", "batch/infer/{}"),
    ("GET", "static/{}"),
    ("GET", "proxy/dicom/{}"),
]


def encoded(name):
    return quote(name.encode("utf-8", "surrogateescape"), safe="")


@pytest.mark.parametrize("what", EVIL)
def test_an_id_that(attacked, what):
    for method, target, status in BY_QUERY:
        got, body = send(attacked, method, "/" + target.format(encoded(EVIL[what])))
        assert got == status, (method, target)
        assert CANARY.encode() not in body


@pytest.mark.parametrize("what", EVIL)
def test_a_tag_that(attacked, base, what):
    plain = EVIL[what] in ("CON", "link")  # harmless in a tag, and then there is no such label
    for method, target in BY_TAG:
        got, body = send(attacked, method, "/" + target.format(encoded(EVIL[what])))
        assert got == (404 if plain else 422), (method, target)
        assert CANARY.encode() not in body
    if not plain:
        url = f"{attacked}/datastore/label?image=case&tag={encoded(EVIL[what])}"
        files = {"label": ("label.nrrd", image(base / "studies" / ".hepatic", "label.nrrd", 1))}
        assert requests.put(url, files=files, timeout=10).status_code == 422


@pytest.mark.parametrize("what", EVIL)
@pytest.mark.parametrize("written", [encoded, lambda name: name.encode("utf-8", "replace").decode("latin-1")])
def test_a_part_of_the_path_that(attacked, what, written):
    name = written(EVIL[what])
    if any(character in name for character in "\0 ?") or not name.isascii():
        return  # not a request at all
    for method, target in BY_PATH:
        got, body = send(attacked, method, "/" + target.format(name))
        assert got in (307, 400, 404, 405, 422), (method, target, body[:200])  # 307 only adds or takes away a slash
        assert CANARY.encode() not in body
        assert b"root:" not in body


@pytest.mark.parametrize("what", EVIL)
def test_the_viewer_gives_its_own_files_only(attacked, what):
    status, body = send(attacked, "GET", f"/ohif/{encoded(EVIL[what])}")
    assert status in (200, 404)  # a page of the viewer's own: it has routes of its own below /ohif
    assert CANARY.encode() not in body
    assert b"root:" not in body


@pytest.mark.parametrize("what", EVIL)
def test_an_image_uploaded_under_a_name_that(attacked, base, what):
    name = EVIL[what].encode("utf-8", "replace").decode()
    sent = {"file": (f"{name}.nrrd", image(base / "studies" / ".hepatic", value=3))}
    url = f"{attacked}/datastore/image?image={encoded(EVIL[what])}"
    answer = requests.put(url, files=sent, timeout=10)
    assert answer.status_code in (200, 400, 409, 422), answer.text
    if answer.status_code == 200:
        made = answer.json()["image"]
        assert (base / "studies" / f"{made}.nrrd").is_file()
        assert requests.delete(f"{attacked}/datastore/image", params={"id": made}, timeout=10).status_code == 200


@pytest.mark.parametrize(
    "name", ["../../up.nrrd", "C:\\Users\\x\\up.nrrd", "/etc/up.nrrd", "a\r\nX: y.nrrd", "up.nrrd\0.sh"]
)
def test_a_file_name_of_a_client_is_never_a_path(attacked, base, name):
    data = image(base / "studies" / ".hepatic", value=4)
    for method, target, field in (("PUT", "session/", "files"), ("POST", "infer/nothing", "file")):
        answer = requests.request(method, f"{attacked}/{target}", files={field: (name, data)}, timeout=20)
        assert answer.status_code in (200, 422)
        if field == "files" and answer.status_code == 200:
            assert answer.json()["session_info"]["image"] == "image.nrrd"
            requests.delete(f"{attacked}/session/{answer.json()['session_id']}", timeout=10)


def test_links_in_the_studies_are_not_followed(attacked):
    listed = requests.get(f"{attacked}/datastore/?output=all", timeout=10).json()["objects"]
    assert set(listed) == {"case"}


def test_params_do_not_override_what_the_server_decides(attacked, base):
    secret = str(base / "outside" / "secret.nrrd")
    evil = dict.fromkeys(("image", "images", "label", "file", "image_path", "output_dir", "bundle", "studies"), secret)
    evil |= {"model": "../../x", "session": {"image": secret}, "result_extension": "/../../x.nrrd", "app_dir": "/"}
    form = {"params": (None, json.dumps(evil))}
    answer = requests.post(f"{attacked}/infer/nothing?image=case&output=json", files=form, timeout=30)
    assert answer.status_code == 200
    assert answer.json()["seen"] == {"image": str(base / "studies" / "case.nrrd"), "model": "nothing"}
    for route in ("train/nothing", "scoring/nothing", "batch/infer/../x"):
        assert requests.post(f"{attacked}/{route}", json=evil, timeout=10).status_code == 404
