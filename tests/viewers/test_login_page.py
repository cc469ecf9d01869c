"""Logging in with a real browser: the page, then OHIF and its requests by the cookie alone."""

import pytest

from hepatic.settings import settings
from server.access.roles import Role
from server.app import create_app
from server.running import running
from tests.importers.dicom_files import write_ct
from tests.server.conftest import write_image

from .browser import browsing
from .conftest import ROOT

pytestmark = pytest.mark.viewer

STATUS = "fetch({path!r}, {{method: {method!r}}}).then(answer => answer.status)"


@pytest.fixture
def locked(orthanc, tmp_path, monkeypatch):
    """A server that asks for a login, with a PACS behind it; its address, and a reader's secret."""
    studies = tmp_path / "studies"
    studies.mkdir()
    write_image(studies / "case0.nrrd")
    orthanc.store(write_ct(tmp_path / "pacs", patient="PH0001", study="1.2.3"))
    monkeypatch.setenv("HEPATIC_DICOMWEB_URL", orthanc.dicomweb_url)
    settings.cache_clear()
    app = create_app(ROOT / "tests" / "foreign_app", studies, score_in_background=False, auth=True)
    secret = app.state.access.tokens.create("Dr. K", Role.READER, expires=None)[1]
    with running(app) as address:
        yield address, secret
    settings.cache_clear()


def test_a_reader_logs_in_and_ohif_works_by_the_cookie(locked, tool, tmp_path):
    address, secret = locked

    def status(method, path):
        return browser.run(STATUS.format(method=method, path=path))

    def log_in(typed):
        browser.until("document.querySelector('#password') !== null")
        browser.run(f"document.querySelector('#password').value = {typed!r}; document.querySelector('button').click()")

    with browsing(tool("chromium", "chromium"), tmp_path) as browser:
        browser.open(f"{address}/ohif/")
        browser.until("location.pathname == '/login'")
        assert browser.until("document.activeElement.id") == "password"
        browser.picture(tmp_path / "login.png")
        log_in("hep_wrong")
        browser.until("document.querySelector('[role=alert]')?.innerText.includes('not known here')")
        log_in(secret)
        browser.until("location.pathname.startsWith('/ohif') && document.body.innerText.includes('PH0001')")
        assert "hepatic" not in browser.run("document.cookie")  # no script can read it
        assert status("GET", "/info/") == 200
        assert status("POST", "/infer/threshold?image=case0&output=image") == 200
        assert status("POST", "/train/anything") == 403  # a reader's cookie is a reader's
        browser.open(f"{address}/")
        browser.until("document.body.innerText.includes('Dr. K (reader)')")
        browser.picture(tmp_path / "landing.png")
        browser.run("document.querySelector('form[action=logout] button').click()")
        browser.until("location.pathname == '/login'")
        browser.open(f"{address}/info/")
        browser.until("location.href.endsWith('/login?next=%2Finfo%2F')")
