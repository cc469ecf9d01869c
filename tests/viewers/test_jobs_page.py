"""The page of jobs in a real browser: its script runs under its own policy, and shows what there is."""

import re

import pytest
import requests

from server import harvest_jobs, scoring, training
from server.app import create_app
from server.jobs import batch
from server.running import running

from .browser import browsing
from .conftest import ROOT

pytestmark = pytest.mark.viewer


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    app = create_app(ROOT / "tests" / "foreign_app", tmp_path_factory.mktemp("studies"), score_in_background=False)
    with running(app) as address:
        yield address


def test_it_shows_what_runs_waits_and_failed_with_bars_and_buttons(foreign, tool, tmp_path):
    requests.post(f"{foreign}/train/slow?run_sync=true", json={"fail": "<b>odd</b>"}, timeout=60)
    requests.post(f"{foreign}/train/slow", json={"max_epochs": 200, "sleep_s": 0.3}, timeout=10)
    requests.post(f"{foreign}/train/other?enqueue=true", json={}, timeout=10)
    with browsing(tool("chromium", "chromium"), tmp_path) as browser:
        browser.open(f"{foreign}/jobs")
        browser.until("document.querySelectorAll('h2').length >= 3 && document.body.innerText.includes('broke')")
        shown = browser.run("document.documentElement.outerHTML")
        kinds = set(browser.run("[...document.querySelectorAll('[name=kind]')].map(one => one.value)"))
    assert kinds == {"", training.KIND, batch.KIND, scoring.KIND, harvest_jobs.KIND, harvest_jobs.KNOW}
    assert re.findall(r"<h2>(.*?)</h2><span class=\"state (\w+)\">", shown) == [
        ("Training other", "queued"),
        ("Training slow", "running"),
        ("Training slow", "failed"),
    ]
    assert "RuntimeError: training broke" in shown
    assert 'role="progressbar"' in shown
    assert re.search(r'<button type="button"(?! hidden)[^>]*aria-label="Stop Training slow"', shown)
    assert re.search(r'aria-label="Begin Training slow again">Begin again', shown)
    assert '<p id="trouble" role="alert" hidden' in shown
    requests.delete(f"{foreign}/train/", timeout=20)
