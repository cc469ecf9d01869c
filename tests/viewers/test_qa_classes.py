"""Ultrasound images that are classified at the page, in a real browser: keys alone, undo, frames, labels."""

import os
import time
from pathlib import Path

import pytest

from hepatic.settings import settings
from sample_data.ceus import write_ceus
from sample_data.us import write_us
from server.app import create_app
from server.running import running

from .browser import browsing
from .conftest import ROOT
from .test_qa_page import DEAD_S, Page

pytestmark = pytest.mark.viewer


@pytest.fixture
def opened(tmp_path, tool, monkeypatch):
    """A page at a server whose classifiers have proposed three stills and a cine, and nothing by themselves."""
    monkeypatch.setenv("HEPATIC_PROPOSE_IN_BACKGROUND", "false")
    settings.cache_clear()
    chromium = tool("chromium", "chromium")
    write_us(tmp_path, 3, seed=3, size=os.environ.get("HEPATIC_TEST_PHANTOMS", "tiny"))
    write_ceus(tmp_path, 1, seed=1, size="tiny")
    app = create_app(ROOT / "apps" / "hepatic", tmp_path / "studies", score_in_background=False)
    with running(app) as address, browsing(chromium, tmp_path, size="1500,950") as browser:
        services = app.state.services
        cases = {one.study_uid: one for one in services.cases.images()}
        stills = [uid for uid, one in cases.items() if one.patient_id.startswith("US")]
        cines = [uid for uid in cases if uid not in stills]
        jobs = [services.harvest_jobs.propose(u, model=m) for m, u in (("us_fll", stills), ("us_ceus", cines))]
        while any(services.jobs.table.get(job.id).state in ("queued", "running") for job in jobs):
            time.sleep(0.1)
        yield Page(browser, address, "rita", app), services
    settings.cache_clear()


def keep(page, name):
    """Keep a picture of the page, where somebody wants to look at it."""
    if folder := os.environ.get("HEPATIC_TEST_PICTURES"):
        page.browser.picture(Path(folder) / name)


def noted(services):
    told = {one.id: one.info for one in services.cases.images()}
    return {image: info["lesion_type"] for image, info in told.items() if info.get("lesion_type")}


def test_a_reader_classifies_three_images_with_keys_alone_and_takes_one_back(opened):
    page, services = opened
    page.open("&kind=classification")
    said = []
    while len(said) < 3:
        page.until("document.querySelector('#verdict').innerText == 'not decided'")  # the next study has come
        names = page.text("#class-names").lower().replace("\n", " ").replace("no lesion", "absent").split()
        if "absent" not in names:
            keep(page, "qa-cine.png")
            page.judge_all("u" * int(page.text("#place").split()[-1]))
            page.press(" ")
            continue
        assert page.browser.run("document.querySelector('#bar').hidden")
        keep(page, f"qa-classes-{len(said)}.png")
        page.press(str(2 + len(said)))
        said.append(names[2 * (1 + len(said)) + 1])
        page.press(" ")
    page.saved()
    assert sorted(noted(services).values()) == sorted(said)

    page.browser.press("z")  # the end of the last study, and then its class
    page.until("document.querySelector('#told').innerText.includes('finish')")
    time.sleep(DEAD_S)
    page.browser.press("z")
    page.until("document.querySelector('#verdict').innerText == 'not decided'")
    page.saved()
    page.until("document.querySelector('#badge').innerText == 'Saved'")
    assert sorted(noted(services).values()) == sorted(said[:2])
    page.settle()
    page.press("6")
    page.press(" ")
    page.saved()
    assert len(noted(services)) == 3


def test_a_cine_is_scrolled_through_and_a_reviewer_settles_that_it_shows_none_of_the_classes(opened):
    page, services = opened
    reviews = services.harvest.store.reviews_of("classification")
    study = next(uid for uid, one in reviews.items() if one.study.note != "lesion_type")
    page.open(f"&study={study}")
    card = "document.querySelector('#card')"
    grid = page.browser.run(f"{card}.toDataURL()")
    page.browser.press("ArrowDown")
    page.until(f"{card}.toDataURL() != {grid!r}")
    keep(page, "qa-cine-frame.png")
    page.browser.press("Home")
    page.until(f"{card}.toDataURL() == {grid!r}")
    page.browser.press("h")
    page.until("document.querySelector('#help').open")
    assert page.browser.run("document.querySelector('#help').scrollTop") == 0
    help_ = page.text("#help")
    assert "the class of the image" in help_
    assert not [word for word in ("lesion was missed", "primary tumour", "3D Slicer") if word in help_]
    page.browser.press("Escape")
    page.until("!document.querySelector('#help').open")
    page.press("u")
    page.press(" ")
    page.saved()

    [cine] = services.harvest.store.review(study).study.candidates
    page.browser.open(f"{page.address}/qa/dashboard?reader=vera")
    page.until("document.querySelector('#disputed canvas')?.width > 300")
    assert page.browser.run("[...document.querySelectorAll('.lesions, #reject')].every((one) => one.hidden)")
    keep(page, "qa-disputed.png")
    page.browser.run("[...document.querySelectorAll('#disputed button')].at(-1).click()")
    page.until("/leave the image out/.test(document.querySelector('#said').innerText)")
    [settled] = services.harvest.store.review(study).adjudicated
    assert (settled.candidate, str(settled.verdict)) == (cine.uid, "false")
    page.browser.run("document.querySelector('#disputed a').click()")
    page.until(f"location.pathname.endsWith('/cases/{cine.image_id}')")
