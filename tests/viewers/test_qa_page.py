"""The page on which candidates are judged, in a real browser: keys, undo, no network, two readers, boxes."""

import json
import shutil
import time
from contextlib import ExitStack as Stack
from contextlib import contextmanager
from dataclasses import replace

import pytest

from hepatic.harvest.places import prepared_folder
from server.app import create_app
from server.routes.qa_pictures import pictures_of
from server.running import running
from tests.harvest.proposed import decide

from .browser import browsing
from .conftest import ROOT
from .qa_studies import put, study

pytestmark = pytest.mark.viewer

DEAD_S = 0.3
"""Longer than the page lets keys go after a card has come up."""
AT = "[...document.querySelectorAll('#study, #place')].map(one => one.innerText)"
NOTHING_LEFT = "document.body.innerText.includes('Nothing is left')"
FETCHED = "performance.getEntriesByType('resource').filter(one => one.name.includes('card.png')).length"


class Page:
    """A reader's page and what a reader sees of it."""

    def __init__(self, browser, address, reader, app=None):
        self.browser, self.address, self.reader, self.app = browser, address, reader, app

    def open(self, query=""):
        self.browser.open(f"{self.address}/qa?reader={self.reader}{query}")
        self.until("document.querySelector('#study').textContent && document.querySelector('#badge').textContent")
        self.settle()

    def settle(self):
        """Wait until the card is drawn, and takes keys."""
        self.until("document.querySelector('#stage').ariaBusy == 'false'")
        time.sleep(DEAD_S)

    def until(self, script):
        return self.browser.until(script, limit_s=90)

    def text(self, selector):
        return self.browser.run(f"document.querySelector({selector!r})?.innerText || ''")

    @property
    def where(self):
        return self.text("#study"), self.text("#place")

    def press(self, key):
        """Press a key, and wait until another card or study is there, or none is left."""
        before = json.dumps(self.where, separators=(",", ":"), ensure_ascii=False)
        self.browser.press(key)
        self.until(f"({AT}[0] || {NOTHING_LEFT}) && JSON.stringify({AT}) != {before!r}")
        self.settle()

    def card(self):
        return int(self.text("#place").split()[1])

    def judge_all(self, keys):
        """Judge the cards that are left with these keys, one each."""
        for key in keys:
            self.press(key)
        self.until("document.querySelector('#place').innerText.includes('decided')")

    def saved(self):
        self.until("document.querySelector('#badge').innerText == 'Saved'")


@pytest.fixture
def opened(tmp_path, tool):
    """Start a server over some proposed studies; then open pages of readers."""
    chromium = tool("chromium", "chromium")

    @contextmanager
    def open_(*seeds, readers=("rita",), **options):
        (tmp_path / "studies").mkdir()
        app = create_app(ROOT / "tests" / "tiny_app", tmp_path / "studies", score_in_background=False)
        with running(app) as address:
            store = app.state.services.harvest.store
            put(app, *(study(seed, **options) for seed in seeds))
            pages = []
            with Stack() as stack:
                for reader in readers:
                    (tmp_path / reader).mkdir()
                    browser = stack.enter_context(browsing(chromium, tmp_path / reader, size="1500,950"))
                    pages.append(Page(browser, address, reader, app))
                yield (*pages, store)

    return open_


def verdicts(store, uid, reader="rita"):
    reading = store.reviews.reading(uid, reader)
    return {candidate: str(event.verdict) for candidate, event in reading.verdicts.items()} if reading else {}


def box_by_keys(page):
    """Draw a box with the crosshair, where a study opens for that."""
    page.until("document.querySelector('#slice').clientWidth > 500")
    page.browser.press(" ")
    for key in ["ArrowRight"] * 6 + ["ArrowDown"] * 6:
        page.browser.press(key)
    page.browser.press(" ")
    page.until("document.querySelector('#box-hint').innerText.includes('mm, slices')")
    page.browser.press("Enter")
    page.browser.press("Escape")
    page.until("document.querySelector('#note').innerText.includes('1 box drawn')")
    time.sleep(DEAD_S)


def test_a_reader_finishes_three_studies_with_the_keyboard_alone(opened):
    with opened(1, 2, 3) as (page, store):
        page.open()
        for number in range(3):
            page.judge_all("1222" if number else "p222")
            if number == 1:
                page.browser.press("m")
                page.until("document.querySelector('#bar [data-do=missed]').ariaPressed == 'true'")
            if number < 2:
                page.press(" ")
        page.press(" ")  # nothing is left but to box the missed lesion
        box_by_keys(page)
        page.browser.press(" ")
        page.until("document.body.innerText.includes('Nothing is left to read')")
        shown = page.text("body")
        assert not [word for word in ("detector", "True", "Unsure", "Primary", "Get boxes") if word in shown]
        assert page.text("#class-bar").split() == ["Z", "Undo", "H", "Help"]
        page.saved()
        uids = store.proposals.studies()
        readings = [next(one for one in store.reviews.readings(uid) if one.kind == "first") for uid in uids]
        [boxed] = [one for uid in uids for one in store.reviews.readings(uid) if one.kind == "boxing"]
    assert len(boxed.boxes) == 1
    assert boxed.finished
    assert all(reading.finished for reading in readings)
    assert sorted(reading.missed is not None for reading in readings) == [False, False, True]
    assert sum(reading.primary is not None for reading in readings) == 1
    assert [sorted(str(event.verdict) for event in one.verdicts.values()) for one in readings] == [
        ["false", "false", "false", "true"]
    ] * 3
    looks = [event for one in readings for event in one.verdicts.values()]
    assert {event.device for event in looks} == {"key"}
    assert all(DEAD_S * 0.8 < event.seconds < 20 for event in looks)


def test_undo_takes_back_one_step_at_a_time_also_in_the_study_before(opened):
    with opened(1, 2) as (page, store):
        page.open()
        first = page.text("#study")
        page.judge_all("1212")
        page.press(" ")
        assert page.text("#study") != first
        page.press("z")  # the finish
        assert page.where == (first, "4 of 4 decided")
        page.press("z")  # the last verdict
        assert page.where == (first, "candidate 4 of 4")
        page.press("3")
        page.press(" ")
        assert page.text("#study") != first  # the study that was begun is gone on with
        page.saved()
        uid = next(uid for uid in store.proposals.studies() if store.reviews.reading(uid, "rita").finished)
        assert sorted(verdicts(store, uid).values()) == ["false", "true", "true", "unsure"]


def test_a_study_whose_end_is_taken_back_is_held_again_once_the_server_knows(opened):
    with opened(1, 2) as (page, _):
        page.open()
        page.judge_all("1222")
        page.press(" ")
        page.saved()
        page.browser.run("""(() => {
          const real = window.fetch;
          window.asked = [];
          window.fetch = (to, how = {}) => {
            if (how.method === 'POST') window.asked.push(String(to).split('/').pop());
            return real(to, how);
          };
        })()""")
        page.press("z")
        page.until("window.asked.includes('lease') && window.asked.includes('events')")
        assert page.browser.run("window.asked.slice(0, 2)") == ["events", "lease"]


def test_undo_works_on_a_page_that_was_opened_again(opened):
    with opened(1) as (page, store):
        page.open()
        page.press("1")
        page.press("2")
        page.saved()
        page.open()
        assert page.card() == 3
        page.press("z")
        page.saved()
        assert page.card() == 2
        assert list(verdicts(store, store.proposals.studies()[0]).values()) == ["true"]


def test_what_is_decided_without_a_network_is_kept_over_a_closed_page_and_sent_later(opened):
    with opened(1, 2) as (page, store):
        page.open()
        page.press("1")
        page.saved()
        page.until(f"{FETCHED} >= 8")
        page.browser.offline(True)
        for key in "222":
            page.press(key)
        page.press(" ")  # to the next study, which was fetched before
        page.press("1")
        page.until("document.querySelector('#badge').innerText.startsWith('Offline')")
        assert page.text("#badge") == "Offline, 5 kept here"
        assert len([uid for uid in store.proposals.studies() if verdicts(store, uid)]) == 1
        page.browser.open("about:blank")
        page.browser.offline(False)
        page.open()
        page.saved()
        given = {uid: sorted(verdicts(store, uid).values()) for uid in store.proposals.studies()}
        assert sorted(given.values()) == [["false", "false", "false", "true"], ["true"]]
        assert page.card() == 2


REFUSING = """(() => {
  const real = window.fetch;
  window.refusing = true; window.asked = 0;
  window.fetch = async (to, how = {}) => {
    if (!String(to).endsWith('/events')) return real(to, how);
    if (WHEN) { window.asked += 1; return ANSWER; }
    return real(to, how);
  };
})()"""


@pytest.mark.parametrize(
    ("status", "words"),
    [(408, "Server busy"), (429, "Server busy"), (500, "Server fails"), (507, "Server's disk is full")],
)
def test_what_the_server_cannot_take_now_is_sent_again_later(opened, status, words):
    with opened(1) as (page, store):
        page.open()
        answer = f"new Response('{{}}', {{status: {status}}})"
        page.browser.run(REFUSING.replace("WHEN", "window.refusing").replace("ANSWER", answer))
        page.judge_all("1222")
        page.browser.press(" ")
        page.until("document.querySelector('#badge').innerText.includes('5 kept here')")
        assert page.text("#badge") == f"{words}, trying again, 5 kept here"
        page.browser.run("window.refusing = false")
        page.saved()
        [uid] = store.proposals.studies()
        assert sorted(verdicts(store, uid).values()) == ["false", "false", "false", "true"]
        assert store.reviews.reading(uid, "rita").finished


def test_the_server_is_left_alone_as_long_as_it_asks(opened):
    with opened(1) as (page, store):
        page.open()
        answer = "new Response('{}', {status: 429, headers: {'Retry-After': '4'}})"
        page.browser.run(REFUSING.replace("WHEN", "window.refusing").replace("ANSWER", answer))
        page.press("1")
        page.until("window.asked == 1")
        page.press("2")
        time.sleep(1.5)
        assert page.browser.run("window.asked") == 1
        page.browser.run("window.refusing = false")
        page.saved()
        assert len(verdicts(store, store.proposals.studies()[0])) == 2


def test_a_study_is_not_finished_past_a_decision_that_was_refused(opened):
    with opened(1, 2) as (page, store):
        page.open()
        answer = """new Response(JSON.stringify({results: JSON.parse(how.body).events.map(
            ({id}) => ({id, status: 'refused', reason: 'No.'}))}), {status: 200})"""
        when = "JSON.parse(how.body).events[0].type === 'decide' && !window.asked"
        page.browser.run(REFUSING.replace("WHEN", when).replace("ANSWER", answer))
        page.judge_all("1222")
        page.press(" ")
        page.press("1")  # of the next study: it is not held up
        page.until("document.querySelector('#badge').innerText.includes('refused')")
        uids = store.proposals.studies()
        deadline = time.monotonic() + 60
        while not any(list(verdicts(store, uid).values()) == ["true"] for uid in uids) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert sorted(len(verdicts(store, uid)) for uid in uids) == [0, 1]
        assert not any(store.reviews.reading(uid, "rita").finished for uid in uids)
        page.browser.run("document.querySelector('#badge button, button#badge')?.click()")
        page.until("document.querySelector('#refused').open")
        page.browser.run("document.querySelector('dialog[open] [value=retry]').click()")
        page.saved()
        assert sorted(len(verdicts(store, uid)) for uid in uids) == [1, 4]
        assert sum(store.reviews.reading(uid, "rita").finished is not None for uid in uids) == 1


def elsewhere(page, store, uid, candidate, verdict):
    """Say something of a candidate on another page of the same reader."""
    [taken], _ = store.reviews.take([decide(candidate, verdict, uid)], page.reader)
    assert taken.status == "stored"


def test_a_page_that_is_behind_overwrites_nothing_unseen_and_shows_both_verdicts(opened):
    with opened(1) as (page, store):
        page.open()
        [uid] = store.proposals.studies()
        order = page.browser.run(
            f"fetch('/qa/api/v1/lease', {{method: 'POST', headers: {{'Content-Type': 'application/json', "
            f"'X-Hepatic-Reader': 'rita'}}, body: JSON.stringify({{study: {uid!r}}})}}).then(one => one.json())"
            ".then(told => told.study.cards.sort((a, b) => a.order - b.order).map(card => card.candidate))"
        )
        elsewhere(page, store, uid, order[3], "true")
        page.press("1")  # nothing of the other page's is overwritten
        page.saved()
        assert "Another page of yours" in page.text("#told")
        elsewhere(page, store, uid, order[1], "false")
        for key, name in (("1", "retry"), ("3", "discard")):
            page.press(key)
            page.until("document.querySelector('#badge').innerText == '1 refused'")
            assert "on another page" in page.text("#told")
            page.browser.run("document.querySelector('#badge button').click()")
            page.until("document.querySelector('#refused').open")
            mine, other = ("true lesion", "false") if name == "retry" else ("unsure", "true lesion")
            assert f"“{mine}” here, “{other}” on another page" in page.text("#refused")
            page.browser.run(f"document.querySelector('#refused [value={name}]').click()")
            page.saved()
            elsewhere(page, store, uid, order[2], "true") if name == "retry" else None
        page.until("document.querySelectorAll('#dots .true').length == 4")  # what is stored is shown
        assert verdicts(store, uid) == dict.fromkeys(order, "true")


def test_boxes_go_to_3d_slicer_and_come_back_as_files(opened):
    with opened(1) as (page, _):
        page.open()
        page.press("2")
        page.browser.run("""(() => {
          const [url, real] = [URL.createObjectURL.bind(URL), window.fetch];
          URL.createObjectURL = (blob) => {
            blob.text().then((text) => (window.given = JSON.parse(text)));
            return url(blob);
          };
          window.fetch = async (to, how = {}) => {
            if (new URL(to).pathname !== '/datastore/label') return real(to, how);
            window.sent = [String(to), JSON.parse(await how.body.get('label').text())];
            return new Response(JSON.stringify({detail: 'One was not taken. The label is saved.'}), {status: 409});
          };
        })()""")
        page.browser.run("document.querySelector('#slicer-get').click()")
        page.until("window.given")
        assert page.browser.run("window.given.markups.length") == 3, "the one that was rejected is left out"
        page.browser.run("""(() => {
          const data = new DataTransfer();
          for (const one of window.given.markups)
            data.items.add(new File([JSON.stringify({markups: [one]})], 'R.mrk.json'));
          document.querySelector('#slicer-files').files = data.files;
          document.querySelector('#slicer-files').dispatchEvent(new Event('change'));
        })()""")
        page.until("document.querySelector('#told').innerText.includes('The label is saved')")
        address, sent = page.browser.run("window.sent")
        assert f"image={study(1)[1].image_ids['venous']}" in address
        assert sent == {"markups": page.browser.run("window.given.markups")}


def test_a_study_to_be_boxed_ends_without_a_lesion_only_if_the_reader_says_so(opened, tmp_path):
    with opened(1, candidates=0) as (page, store):
        page.open()
        page.until("document.querySelector('#slice').clientWidth > 500")
        page.browser.press("Escape")
        page.until("document.querySelector('#note').innerText.includes('N finishes the study')")
        time.sleep(DEAD_S)
        page.browser.press(" ")
        page.until("document.querySelector('#told').innerText.includes('No box was drawn')")
        page.browser.picture(tmp_path / "empty.png")
        [uid] = store.proposals.studies()
        assert store.reviews.reading(uid, "rita").finished is None
        page.browser.press("n")
        page.until("document.body.innerText.includes('Nothing is left to read')")
        page.saved()
        assert store.reviews.reading(uid, "rita").finished


def test_the_row_of_digits_decides_on_a_french_keyboard_too(opened):
    with opened(1) as (page, store):
        page.open()
        for key, code in (("&", "Digit1"), ("é", "Digit2"), ('"', "Digit3")):
            before = page.card()
            page.browser.press(key, code=code)
            page.until(f"document.querySelector('#place').innerText.includes('{before + 1} of 4')")
            page.settle()
        page.saved()
        assert list(verdicts(store, store.proposals.studies()[0]).values()) == ["true", "false", "unsure"]


def test_a_network_that_comes_back_is_used_without_a_word_from_the_reader(opened):
    with opened(1) as (page, store):
        page.open()
        page.until(f"{FETCHED} >= 4")
        page.browser.offline(True)
        page.press("1")
        page.press("2")
        page.until("document.querySelector('#badge').innerText == 'Offline, 2 kept here'")
        page.browser.offline(False)
        page.saved()
        assert sorted(verdicts(store, store.proposals.studies()[0]).values()) == ["false", "true"]


def test_two_readers_never_hold_one_study(opened):
    with opened(1, 2, 3, readers=("anna", "otto")) as (anna, otto, store):
        anna.open()
        otto.open()
        assert anna.text("#study") != otto.text("#study")
        held = {lease.study: lease.reader for lease in store.leases.held().values()}
        theirs = next(uid for uid, reader in held.items() if reader == "anna")
        otto.browser.open(f"{otto.address}/qa?reader=otto&study={theirs}")
        otto.until("document.body.innerText.includes('another reader has')")
        anna.press("1")
        anna.saved()
        assert list(verdicts(store, theirs, "anna").values()) == ["true"]
        assert verdicts(store, theirs, "otto") == {}


def test_held_keys_double_clicks_and_keys_meant_for_the_card_before_decide_nothing(opened):
    with opened(1) as (page, store):
        page.open()
        page.browser.press("1", held=True)
        page.until("document.querySelector('#place').innerText.includes('2 of 4')")
        page.browser.press("2")  # at once: the second card has only just come up
        time.sleep(DEAD_S)
        assert page.card() == 2
        button = page.browser.run(
            "(b => [b.x + b.width / 2, b.y + b.height / 2])"
            "(document.querySelector('#bar [data-do=unsure]').getBoundingClientRect())"
        )
        page.browser.click(*button, times=2)
        page.until("document.querySelector('#place').innerText.includes('3 of 4')")
        time.sleep(DEAD_S)
        assert page.card() == 3
        page.press(" ")  # the space bar is the page's, not that of the button that was clicked
        assert page.card() == 4
        page.saved()
        assert list(verdicts(store, store.proposals.studies()[0]).values()) == ["true", "unsure"]


def test_scrolling_windows_and_ticks_need_no_round_trip_once_fetched(opened):
    with opened(1) as (page, _):
        page.open()
        page.until(f"{FETCHED} >= 4")
        shown = "document.querySelector('#card').toDataURL()"
        fetched = "performance.getEntriesByType('resource').length"
        before, count = page.browser.run(shown), page.browser.run(fetched)
        page.browser.press("ArrowUp")
        page.until(f"{shown} != {before!r}")
        page.browser.press("Home")
        page.until(f"{shown} == {before!r}")
        page.browser.press("t")
        page.until(f"{shown} != {before!r}")
        assert page.browser.run(fetched) == count
        page.browser.press("t")
        page.browser.press("w")
        page.until("document.querySelector('#window').innerText.startsWith('Narrow')")
        page.until(f"{shown} != {before!r}")


def test_studies_of_one_patient_are_told_apart_by_their_dates(opened):
    with opened(1, 2) as (page, store):
        images = [review.study.image_ids[review.study.reference] for review in store.book.reviews().values()]
        dates = dict(zip(images, ("2026-05-04", "2026-11-21"), strict=True))
        page.app.state.services.harvest._date_of = lambda image: dates.get(image, "")
        page.open()
        assert page.text("#study") in ("P-001 · 2026-05-04", "P-002 · 2026-11-21")
        page.browser.run("document.querySelector('#studies-open').click()")
        page.until("document.querySelector('#studies').open")
        rows = page.browser.run(
            "[...document.querySelectorAll('#studies tbody tr')].map("
            "row => row.cells[0].innerText + row.cells[1].innerText)"
        )
    assert sorted(rows) == ["P-0012026-05-04", "P-0022026-11-21"]


def test_pictures_of_a_study_that_was_prepared_anew_are_those_that_were_judged_or_say_so(opened):
    prepared, made = study(1)
    shorter = replace(prepared.grid, size=(*prepared.grid.size[:2], prepared.grid.size[2] - 3))
    with opened(1) as (page, _):
        page.open()
        shown = "document.querySelector('#card').toDataURL()"
        before = page.browser.run(shown)
        phases = {phase: replace(one, hu=one.hu[:-3]) for phase, one in prepared.phases.items()}
        anew = replace(prepared, grid=shorter, phases=phases, liver=prepared.liver[:-3], content="e" * 64)
        put(page.app, (anew, replace(made, size=shorter.size, content="e" * 64, candidates=())))
        page.open()  # and goes on with what was begun
        assert page.browser.run(shown) == before
        assert page.browser.run("document.querySelector('#warnings').hidden")
        cache = prepared_folder(page.app.state.services.spec.data_dir)
        shutil.rmtree(cache / prepared.content)
        pictures_of(page.app.state.services)._kept.clear()
        page.open()
        assert "prepared anew" in page.text("#warnings")
        shutil.rmtree(cache / anew.content)
        pictures_of(page.app.state.services)._kept.clear()
        page.browser.open(f"{page.address}/qa?reader=rita")
        page.until("document.querySelector('#note').innerText.includes('Propose the study again')")
        page.browser.run("document.querySelector('[data-do=studies]').click()")
        page.until("document.querySelector('#studies').open")


def test_a_missed_lesion_is_boxed_on_the_page_and_lies_where_it_was_drawn(opened):
    with opened(5) as (page, store):
        prepared, proposed = study(5)
        page.open()
        page.browser.press("b")
        page.until("document.querySelector('#slice').clientWidth > 500")  # it is drawn
        left, top, wide, high = page.browser.run(
            "(e => [e.x, e.y, e.width, e.height])(document.querySelector('#slice').getBoundingClientRect())"
        )
        page.browser.press("f")  # the whole slice, whose middle is that of the grid
        time.sleep(DEAD_S)
        for x, y in ((0.45, 0.5), (0.55, 0.5), (0.5, 0.42), (0.5, 0.58)):
            page.browser.click(left + x * wide, top + y * high)
        page.until("document.querySelector('#box-hint').innerText.includes('mm, slices')")
        page.browser.press(".")
        page.browser.press("PageUp")
        page.browser.press("PageUp")
        page.browser.press("PageDown")
        page.browser.press(".")
        told = page.text("#box-hint")
        page.browser.press("Enter")
        page.saved()
        page.browser.press("Escape")
        page.until("document.querySelector('#slice').hidden")
        [drawn] = store.reviews.reading(proposed.study_uid, "rita").boxes
    (i, j, _), (step_i, step_j, step_k) = prepared.grid.size, prepared.grid.spacing
    mm_per_px = max(i * step_i / wide, j * step_j / high)
    expected = (0.1 * wide * mm_per_px, 0.16 * high * mm_per_px)
    size = [drawn.box[n + 3] - drawn.box[n] for n in range(3)]
    assert size[:2] == pytest.approx(expected, rel=0.03)
    assert size[2] / step_k == pytest.approx(round(size[2] / step_k), abs=0.01)
    assert told.startswith(" × ".join(f"{edge:.0f}" for edge in size))
    middle = [(drawn.box[n] + drawn.box[n + 3]) / 2 for n in range(2)]
    centre = (prepared.grid.affine @ [(i - 1) / 2, (j - 1) / 2, 0, 1])[:2]
    assert middle == pytest.approx(centre, abs=3)


CONTRASTS = """(() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => parts(text).slice(0, 3).map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, n) => sum + one * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (node) => { for (; node; node = node.parentElement) {
    const told = getComputedStyle(node).backgroundColor; if (parts(told)[3] !== 0) return told; }
    return 'rgb(0, 0, 0)'; };
  const bad = [];
  for (const node of document.querySelectorAll('body *')) {
    if (![...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim()) || !node.checkVisibility()) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(node.outerHTML.slice(0, 80));
  }
  return bad;
})()"""


def test_words_stand_out_everything_has_a_name_and_help_opens_with_a_key(opened, tmp_path):
    with opened(2, without=("arterial",)) as (page, _):
        page.open()
        page.press("1")
        assert page.browser.run(CONTRASTS) == []
        assert "Not scanned: arterial" in page.text("#told")
        assert page.browser.run("document.querySelector('#told').ariaLive") == "polite"
        unnamed = """[...document.querySelectorAll('button, canvas, a')].filter(
            one => !(one.innerText || one.ariaLabel || '').trim() && one.checkVisibility()).length"""
        assert page.browser.run(unnamed) == 0
        page.browser.press("h")
        page.until("document.querySelector('#help').open")
        assert page.browser.run(CONTRASTS) == []
        page.browser.press("1")  # says nothing while the help is open
        page.browser.press("Escape")
        page.until("!document.querySelector('#help').open")
        assert page.card() == 2
        page.browser.picture(tmp_path / "page.png")
