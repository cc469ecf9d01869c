"""A real PACS that wants a login: studies are sent to it by our server, listed, fetched and read with it alone."""

import io
import zipfile
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pydicom
import pytest
import requests

from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import PacsDownError
from hepatic.pacs.spec import PacsSpec
from sample_data.pacs.orthanc import Orthanc
from tests.pacs.conftest import Uids
from tests.pacs.served import served

LOGINS = {"basic": {"username": "reader", "password": "Käse:1"}, "bearer": {"token": "abc.def-123"}}
WRONG = {"basic": {"username": "reader", "password": "other"}, "bearer": {"token": "abc"}, "none": {}}


@contextmanager
def asking_for_a_token(behind, token):
    """Pass requests with the token on to a server, as the gateway before a hospital's PACS does; yield its URL."""

    class Gateway(BaseHTTPRequestHandler):
        def _pass_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers["Authorization"] != f"Bearer {token}":
                self._answer(401, {"WWW-Authenticate": "Bearer"}, b"")
                return
            sent = {name: self.headers[name] for name in ("Accept", "Content-Type") if name in self.headers}
            there = requests.request(self.command, behind + self.path, headers=sent, data=body, timeout=60)
            self._answer(there.status_code, {"Content-Type": there.headers.get("Content-Type", "")}, there.content)

        def _answer(self, status, headers, body):
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _pass_on  # noqa: N815 - so http.server calls them

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module", params=LOGINS)
def locked(request, orthanc):
    """The URL of a PACS that wants a login of some kind, and this login."""
    login = LOGINS[request.param]
    with ExitStack() as stack:
        if request.param == "basic":
            users = {login["username"]: login["password"]}
            pacs = stack.enter_context(Orthanc(AuthenticationEnabled=True, RegisteredUsers=users))
            yield pacs.dicomweb_url, login
        else:
            yield f"{stack.enter_context(asking_for_a_token(orthanc.url, login['token']))}/dicom-web", login


def test_a_study_is_sent_listed_fetched_and_read_with_the_login(locked, pacs_files, tmp_path):
    url, login = locked
    slices = [file for name, file in pacs_files.items() if name.startswith("ct")]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in slices:
            archive.write(file, file.name)
    with served(url, tmp_path / "data", stow=True, **login) as address:

        def put(name, content):
            return requests.put(f"{address}/datastore/image", files={"file": (name, content)}, timeout=60)

        answer = put("ct.zip", packed.getvalue())
        assert (answer.status_code, answer.json()) == (200, {"image": Uids.ct})
        assert put("us.dcm", pacs_files["us.dcm"].read_bytes()).status_code == 200
        told = requests.get(f"{address}/info/", timeout=30).json()["datastore"]
        assert (told["total"], "trouble" in told) == (2, False)
        answer = requests.post(f"{address}/infer/bright", params={"image": Uids.ct, "output": "image"}, timeout=120)
        assert answer.status_code == 200, answer.text
        studies = requests.get(f"{address}/proxy/dicom/qido/studies", timeout=30).json()
        assert [one["0020000D"]["Value"] for one in studies] == [[Uids.study]]
        (kept,) = (tmp_path / "data" / "cache" / "pacs" / Uids.ct).glob("[!.]*")
        sent = {pydicom.dcmread(file).SOPInstanceUID: pydicom.dcmread(file).PixelData for file in slices}
        assert {
            pydicom.dcmread(file).SOPInstanceUID: pydicom.dcmread(file).PixelData for file in kept.iterdir()
        } == sent


@pytest.mark.parametrize("login", WRONG.values(), ids=WRONG)
def test_with_another_login_nothing_is_had_and_the_settings_are_named(locked, login, pacs_files):
    client = PacsClient(PacsSpec(locked[0], **login))
    asked = (
        lambda: client.has_instance(Uids.study, Uids.ct, "1.2.3"),
        lambda: client.store([pacs_files["us.dcm"]]),
    )
    try:
        for ask in asked:
            with pytest.raises(PacsDownError, match=r"refuses this server \(401\): check HEPATIC_DICOMWEB_USERNAME"):
                ask()
    finally:
        client.close()
