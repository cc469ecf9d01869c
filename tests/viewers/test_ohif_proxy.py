"""OHIF, as it comes in the wheel, in a real browser: it lists the studies of the DICOMweb server behind ours."""

import json
import os
import subprocess

import pytest

from hepatic.settings import settings
from server.app import create_app
from server.running import running

from .conftest import ROOT

pytestmark = pytest.mark.viewer

QUIET = (
    "--no-sandbox", "--headless", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
STUDY = {
    "00080020": {"vr": "DA", "Value": ["20260102"]},
    "00080061": {"vr": "CS", "Value": ["CT"]},
    "00081030": {"vr": "LO", "Value": ["Liver, four phases"]},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Phantom^One"}]},
    "00100020": {"vr": "LO", "Value": ["PH0001"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
}


async def pacs(scope, receive, send):
    """One study."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    body = json.dumps([STUDY] if scope["path"] == "/dicom-web/studies" else []).encode()
    headers = [(b"content-type", b"application/dicom+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def ohif(tmp_path, monkeypatch):
    with running(pacs) as behind:
        monkeypatch.setenv("HEPATIC_DICOMWEB_URL", f"{behind}/dicom-web")
        settings.cache_clear()
        app = create_app(ROOT / "tests" / "foreign_app", tmp_path / "studies", score_in_background=False)
        with running(app) as address:
            yield f"{address}/ohif/"
    settings.cache_clear()


def test_the_study_list_shows_what_the_dicom_server_has(ohif, tool, tmp_path):
    browser = tool("chromium", "chromium")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [str(browser), *QUIET, profile, "--virtual-time-budget=30000", "--dump-dom", ohif]
    shown = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "HOME": str(tmp_path)}
    ).stdout
    for words in ("Phantom, One", "PH0001", "Liver, four phases", "Jan-02-2026"):
        assert words in shown
