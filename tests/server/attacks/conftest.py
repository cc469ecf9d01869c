"""A server with a canary beside its studies: after each attack it answers, and nothing lies where nothing should."""

import hashlib
import http.client
import socket
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
import SimpleITK

from hepatic.settings import settings
from server.app import create_app
from server.running import running

TINY_APP = Path(__file__).parents[2] / "tiny_app"
CANARY = "canary-9d1f"


def image(folder, name="sent.nrrd", value=2, shape=(4, 8, 8)):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.full(shape, value, np.uint8)), str(folder / name))
    return (folder / name).read_bytes()


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """``studies`` is served; ``outside`` holds what nobody may read or change."""
    folder = tmp_path_factory.mktemp("attacked") / "base"
    (folder / "studies").mkdir(parents=True)
    (folder / "outside").mkdir()
    image(folder / "studies", "case.nrrd")
    image(folder / "outside", "secret.nrrd", value=7)
    (folder / "outside" / "secret.txt").write_text(CANARY)
    (folder / "studies" / "link.nrrd").symlink_to(folder / "outside" / "secret.nrrd")
    (folder / "studies" / "linked").symlink_to(folder / "outside")
    return folder


@pytest.fixture(scope="session")
def attacked(base):
    """The server's address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEPATIC_INSPECT_MIB", "256")
        settings.cache_clear()
        app = create_app(TINY_APP, base / "studies", score_in_background=False, max_upload_mib=8)
        with running(app) as address:
            patch.undo()
            settings.cache_clear()
            yield address


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
        if (folder / "studies") not in path.parents
    }


def listed(attacked):
    objects = requests.get(f"{attacked}/datastore/?output=all", timeout=10).json()["objects"]
    return {image: sorted(kept["labels"]) for image, kept in objects.items()}


@pytest.fixture(autouse=True)
def _unharmed(attacked, base):
    before = tree(base), sorted(path.name for path in base.parent.iterdir())
    known = listed(attacked)
    yield
    assert requests.get(f"{attacked}/info/", timeout=10).status_code == 200
    assert (tree(base), sorted(path.name for path in base.parent.iterdir())) == before
    left = [path for path in (base / "studies" / ".hepatic" / "scratch").rglob("*") if path.is_file()]
    assert [path for path in left if path.suffix != ".lock"] == []
    assert listed(attacked) == known


def send(address, method, target, body=b"", headers=()):
    """Send a request whose target is taken literally; return its status and its body."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        connection.putrequest(method, "/", skip_accept_encoding=True)
        connection._buffer[0] = f"{method} {target} HTTP/1.1".encode("latin-1")
        for name, value in headers:
            connection.putheader(name, value)
        if body or method in ("POST", "PUT"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def raw(address, request, timeout_s=10.0):
    """Send bytes, and return what comes back until the server closes or is silent."""
    parts = urlsplit(address)
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout_s) as connection:
        connection.sendall(request)
        connection.settimeout(timeout_s)
        try:
            while b"\r\n\r\n" not in received:
                chunk = connection.recv(65536)
                if not chunk:
                    break
                received += chunk
        except TimeoutError:
            pass
    return received
