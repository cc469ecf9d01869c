"""From the page of a case, and from the review, to the study in OHIF by a key, where images come from a PACS."""

import os
import time
from pathlib import Path

import pytest

from hepatic.settings import settings
from sample_data.us import write_us
from server.app import create_app
from server.running import running

from .browser import browsing
from .conftest import ROOT
from .ohif import Ohif

pytestmark = pytest.mark.viewer

LINK = "[...document.querySelectorAll('a.viewer')].find(one => one.checkVisibility())"


@pytest.fixture(scope="module")
def served(orthanc, tmp_path_factory):
    """Our app over stills in a PACS, one of them proposed for review: its address, and that image."""
    out = tmp_path_factory.mktemp("us")
    write_us(out, 1, seed=3, size="tiny", kind="hcc")
    orthanc.store(sorted((out / "studies").rglob("*.dcm")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEPATIC_DICOMWEB_DATA_DIR", str(out / "data"))
        patch.setenv("HEPATIC_PROPOSE_IN_BACKGROUND", "false")
        settings.cache_clear()
        app = create_app(ROOT / "apps" / "hepatic", orthanc.dicomweb_url, score_in_background=False, auth=False)
        with running(app) as address:
            services = app.state.services
            until(services.cases.images)
            (image,) = services.cases.images()
            job = services.harvest_jobs.propose([image.study_uid], model="us_fll")
            until(lambda: services.jobs.table.get(job.id).state not in ("queued", "running"))
            yield address, image
    settings.cache_clear()


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def keep(browser, name):
    """Keep a picture of the page, where somebody wants to look at it."""
    if folder := os.environ.get("HEPATIC_TEST_PICTURES"):
        browser.picture(Path(folder) / f"viewer-link-{name}.png")


@pytest.mark.parametrize("page", ["case", "qa"])
def test_a_key_opens_the_study_in_ohif(served, page, tool, tmp_path):
    address, image = served
    with browsing(tool("chromium", "chromium"), tmp_path, size="1500,950") as browser:
        browser.open(f"{address}/cases/{image.id}" if page == "case" else f"{address}/qa")
        browser.until(f"Boolean({LINK})")
        browser.until("document.querySelector('#stage').ariaBusy == 'false'")
        assert browser.run(f"{LINK}.innerText") == "V OHIF"
        keep(browser, page)
        browser.press("v")
        browser.follow("/ohif/")
        Ohif(browser, address).until_shown(1)
        assert browser.run("location.pathname + location.search") == f"/ohif/viewer?StudyInstanceUIDs={image.study_uid}"
        shown = "services.displaySetService.getActiveDisplaySets().map(one => one.StudyInstanceUID)"
        assert set(browser.run(shown)) == {image.study_uid}
        keep(browser, f"{page}-ohif")
