"""The dashboard in a real browser: what an empty one says to do, the numbers, the plots, settling a dispute."""

import json
import random
import time
from types import SimpleNamespace

import httpx
import pytest
import torch

from hepatic.engine.card import ModelCard
from hepatic.engine.fit import SPLIT
from hepatic.engine.weights import Registry
from hepatic.harvest.leases import Wish, open_reading
from hepatic.harvest.primary import primary_of
from hepatic.harvest.progress import wilson
from server.app import create_app
from server.running import running
from tests.harvest.classified import images, name
from tests.harvest.proposed import candidate, decide, event, proposed

from .browser import browsing
from .conftest import ROOT
from .qa_studies import put, study
from .test_qa_page import CONTRASTS

pytestmark = pytest.mark.viewer


@pytest.fixture
def app(tmp_path):
    (tmp_path / "studies").mkdir()
    return create_app(ROOT / "tests" / "tiny_app", tmp_path / "studies", score_in_background=False)


@pytest.fixture
def address(app):
    with running(app) as where:
        yield where


@pytest.fixture
def browser(tool, tmp_path):
    with browsing(tool("chromium", "chromium"), tmp_path, size="1400,1800") as opened:
        yield opened


def read(store, reader, uid, verdicts, *, seconds=4.0, missed=False):
    """Let somebody read a study, so long a candidate."""
    store.lease(reader, uid, may_box=True)
    shown = time.time() * 1000
    uids = [one.uid for one in store.review(uid).study.candidates]
    said = [
        decide(one, verdict, uid, shown_at=shown, decided_at=shown + 1000 * seconds, device="key")
        for one, verdict in zip(uids, verdicts, strict=True)
    ]
    said += [event("missed", uid)] * missed + [event("finish", uid)]
    taken, _ = store.reviews.take(said, reader)
    assert [one.status for one in taken] == ["stored"] * len(said)


def version(number, p1td_10, snapshot=""):
    metrics = {"p1td_1": p1td_10 - 0.3, "p1td_10": p1td_10, "froc": 0.6, "froc_low": 0.5, "froc_high": 0.7, "cases": 60}
    card = SimpleNamespace(data={"snapshot": snapshot})
    return SimpleNamespace(version=number, created="2026-11-21", metrics=metrics, state="served", card=card)


@pytest.fixture
def reviewed(app, address):
    """Twelve studies, eight of them read, two of these sent to be boxed, and two versions of a detector."""
    services = app.state.services
    store = services.harvest.store
    put(app, study(1, candidates=2))
    rng = random.Random(0)
    for number in range(11):
        made = [candidate(f"2.25.{number}{c}", 10 + 20 * c, rng.random()) for c in range(2)]
        store.proposals.add(proposed(f"1.2.{number}", made))
    for number, uid in enumerate(store.proposals.studies()[:8]):
        read(store, "anna", uid, ["unsure" if number == 0 else "true", "false"], missed=number in (3, 4))
    before = store.snapshot(asked_by="anna")
    versions = [version(1, 0.8), version(2, 0.9, before.sha256)]
    services.host.app.registry = SimpleNamespace(versions=lambda model: versions)
    services.proposers.detector = lambda asked="": SimpleNamespace(model="ct_centernet3d")
    return store


def text(browser, selector):
    return browser.run(f"document.querySelector({selector!r}).innerText")


def test_an_empty_dashboard_says_what_to_do(address, browser):
    browser.open(f"{address}/qa/dashboard")
    browser.until("document.querySelector('#empty')?.hidden == false")
    assert "hepatic qa propose" in text(browser, "#empty")
    assert "No version" in text(browser, "#models-told")
    assert browser.run("document.querySelectorAll('#models svg').length") == 0
    assert browser.run(CONTRASTS) == []
    browser.run("document.querySelector('#train').click()")
    browser.until("document.querySelector('#said').innerText")
    assert "a trainer of a detector" in text(browser, "#said")  # this app has none


def test_exports_leave_without_patients_where_that_is_ticked(reviewed, address, browser):
    browser.open(f"{address}/qa/dashboard")
    links = "[...document.querySelectorAll('#exports a')].map(one => one.href)"
    browser.until("document.querySelectorAll('#models figure').length == 2")
    assert not [link for link in browser.run(links) if "deidentify" in link]
    browser.run("document.querySelector('#deidentify').click()")
    ticked = browser.run(links)
    assert len(ticked) == 8
    table = httpx.get(ticked[0], timeout=60).text
    assert ticked[0].endswith("format=csv&deidentify=true")
    assert "HEP-" in table
    assert "anna" not in table
    browser.run("document.querySelector('#deidentify').click()")
    assert not [link for link in browser.run(links) if "deidentify" in link]


def test_numbers_and_plots_are_those_of_the_reviews(reviewed, address, browser):
    browser.open(f"{address}/qa/dashboard")
    browser.until("document.querySelectorAll('#models figure').length == 2")
    tiles = text(browser, "#tiles")
    for told in ("6 of 12", "16 of 24", "25 %", "4.0 s", "2 wait to be boxed"):
        assert told in tiles
    assert "1.2" not in tiles  # no study is named at a glance
    first, froc = browser.run("[...document.querySelectorAll('#models svg[role]')].map(one => one.innerHTML)")
    assert first.count("<circle") == 4
    assert froc.count("<circle") == 2
    heights = browser.run(
        "[...document.querySelectorAll('#models svg[role] circle')].map(one => +one.getAttribute('cy'))"
    )
    assert heights[1] < heights[0] < heights[3] < heights[2]  # the better, the higher
    assert "version 2 (served): 90 %" in first
    numbers = browser.run("document.querySelector('#models table').textContent")
    low, high = wilson(54, 60)
    assert f"{low:.3f} to {high:.3f}" in numbers
    assert browser.run("document.querySelectorAll('#models .rule').length") >= 8
    assert "Mined: 8" in text(browser, "#negatives")
    assert browser.run(CONTRASTS) == []


def test_a_classifier_is_measured_by_images_of_others_and_each_of_its_points_says_of_how_many(
    app, address, browser, tmp_path
):
    services = app.state.services
    services.host.app._trainers = {"us_fll": SimpleNamespace(info=dict, recipe=None)}
    card = ModelCard(task="us_fll", preset="small", seed=0, key_metric="auc", metrics={"auc": 0.87, "cases": 200})
    came = Registry(tmp_path / "came").publish({"w": torch.zeros(1)}, card)
    registry = services.host.app.registry = Registry(tmp_path / "models", shipped=tmp_path / "came")
    metrics = {"auc": 0.62, "accuracy": 0.6, "cases": 3}
    here = registry.publish({"w": torch.ones(1)}, card.model_copy(update={"metrics": metrics}))
    split = {"patients": {"P-1.1": "train", "P-1.2": "validation"}}
    (registry.models / "us_fll" / SPLIT).write_text(json.dumps(split))
    store = services.harvest.store
    for model in (came, here):
        for number in (1, 2):
            store.proposals.add(images("image", study=f"1.{number}", model_hash=model.card.sha256))
    for number in (1, 2):
        name(store, "anna", "hcc", study=f"1.{number}")
    browser.open(f"{address}/qa/dashboard")
    browser.until("document.querySelectorAll('#classified figure').length == 1")
    cells = "row => [...row.cells].map(cell => cell.innerText)"
    rows = browser.run(f"[...document.querySelectorAll('#classified article > .scroll tr')].map({cells})")
    assert rows[-2:] == [
        [f"us_fll {came.card.sha256[:8]}", "2", "none", "100 %", "–"],
        [f"us_fll {here.card.sha256[:8]}", "1", "1 of patients it may have learnt from", "100 %", "–"],
    ]
    drawn = browser.run("document.querySelector('#classified svg[role]').innerHTML")
    assert [drawn.count(told) for told in (">200 images<", ">3 images<", "<circle", "<path")] == [1, 1, 3, 0]
    assert browser.run(CONTRASTS) == []


def test_a_reviewer_settles_what_a_reader_was_unsure_of_by_its_picture(reviewed, address, browser):
    browser.open(f"{address}/qa/dashboard")
    browser.until("document.querySelector('#disputed canvas')?.width > 300")
    uid = study(1)[1].study_uid
    unsure = study(1, candidates=2)[1].candidates[0].uid
    browser.run("document.querySelector('#disputed article button').click()")
    browser.until("document.querySelector('#said').innerText.includes('Settled')")
    [settled] = reviewed.review(uid).adjudicated
    assert (settled.candidate, str(settled.verdict)) == (unsure, "true")


def test_a_reviewer_chooses_the_primary_tumour_where_readers_named_different_ones(app, address, browser):
    store = app.state.services.harvest.store
    put(app, study(2, candidates=2))
    [uid] = store.proposals.studies()
    both = [one.uid for one in store.review(uid).study.candidates]
    for reader, primary in zip(("anna", "otto"), both, strict=True):
        with store.database.write() as connection:
            open_reading(connection, reader, Wish(uid), store.clock())
        said = [*(decide(one, "true", uid) for one in both), event("primary", uid, primary), event("finish", uid)]
        store.reviews.take(said, reader)
    browser.open(f"{address}/qa/dashboard")
    articles = "[...document.querySelectorAll('#disputed article')]"
    button = f"{articles}.find(one => one.innerText.includes('for otto'))?.querySelector('button')"
    assert browser.until(f"{button}?.innerText") == "This is the primary tumour"
    browser.run(f"{button}.click()")
    browser.until("document.querySelector('#said').innerText.includes('Settled')")
    assert primary_of(store.review(uid)).candidate.uid == both[1]


def test_many_are_rejected_at_once_only_where_known_cases_say_that_it_is_safe(reviewed, address, browser):
    browser.open(f"{address}/qa/dashboard")
    browser.until("document.querySelector('#tiles').innerText.includes('6 of 12')")
    browser.run("document.querySelector('#reject').click()")
    browser.until("document.querySelector('#rejecting').open")
    assert "Nothing can be rejected safely now" in text(browser, "#rejecting-told")
    assert browser.run("document.querySelector('#rejecting-apply').checkVisibility()") is False
