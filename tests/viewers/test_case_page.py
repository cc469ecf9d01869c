"""Ultrasound cases in a real browser: seen, believed or refused, corrected with keys and mouse, let go to an export."""

import json

import pytest
import requests

from .browser import browsing
from .ultrasound import ANSWERED, CURVE, PIXELS, PLACE, SAVED, CasePage, served_ultrasound

pytestmark = pytest.mark.viewer

NAMELESS = """[...document.querySelectorAll('button, a, input, select, canvas, img')]
    .filter(one => one.checkVisibility() && !(one.innerText || one.ariaLabel || one.alt || one.labels?.[0]?.innerText))
    .map(one => one.outerHTML)"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with served_ultrasound(tmp_path_factory.mktemp("us")) as found:
        yield found


@pytest.fixture(scope="module")
def page(served, tool, tmp_path_factory):
    with browsing(tool("chromium", "chromium"), tmp_path_factory.mktemp("browser"), size="1400,950") as browser:
        yield CasePage(browser, served)


def test_the_list_is_gone_through_with_keys_and_a_case_with_the_next(page):
    page.open("/cases")
    assert "4 images, 4 not read yet" in page.text("#count")
    first = page.browser.run("document.activeElement.innerText")
    page.press("ArrowDown", "ArrowUp", "Enter")
    page.until("document.querySelector('#patient')?.innerText")
    assert page.text("#patient").startswith(first)
    assert page.text("#place") == "Image 1 of 4"
    page.press("PageDown")
    page.until("document.querySelector('#place')?.innerText == 'Image 2 of 4'")
    page.press("l")
    page.until("document.querySelector('#count')?.innerText")


def test_a_still_has_classes_in_words_and_bars_and_where_the_model_looked(page):
    page.case("still")
    said = requests.get(f"{page.address}/cases/api/v1/images/{page.ids['still']}/models/us_fll", timeout=60).json()
    bars = page.text("#bars").split("\n")
    assert [name for name in bars if "%" not in name] == [
        "lesion", "malignant", "angioma", "metastasis", "HCC", "FNH", "cyst",
    ]  # fmt: skip
    assert f"{round(100 * said['probabilities']['lesion'])} %" in bars[1]
    assert "phantoms" in page.browser.run("document.querySelector('#notes').textContent")
    page.until("!document.querySelector('#opacity').hidden")
    with_map = page.browser.run(PIXELS)
    page.press("a")
    assert page.browser.run(PIXELS) != with_map
    page.press("a", "]")
    assert page.browser.run("document.querySelector('#strength').value") == "45"
    page.press("[")
    assert page.browser.run(PIXELS) == with_map
    assert "where the model looked" in page.browser.run("document.querySelector('#picture').ariaLabel")


def test_a_key_says_the_class_and_another_takes_it_back(page):
    page.case("still")
    page.says("5")
    assert page.told("still")["reading"]["classes"] == {"lesion_type": "fnh"}
    assert page.told("still")["history"][0]["by"] == "anna"
    assert page.text("#classes [aria-pressed='true']") == "5 FNH"
    page.says("4")
    assert page.told("still")["reading"]["classes"] == {"lesion_type": "hcc"}
    page.says("z")
    assert page.told("still")["reading"]["classes"] == {"lesion_type": "fnh"}
    page.says("z")
    assert page.told("still")["reading"]["classes"] == {}
    page.press("z")
    page.until("document.querySelector('#told').innerText.includes('Nothing to take back')")


def test_why_an_image_is_not_fit_to_learn_from_is_shown_and_a_reader_has_the_last_word(page):
    page.case("still")
    asked = "performance.getEntriesByType('resource').filter(one => one.name.endsWith('/eligibility')).length"
    assert page.browser.run(asked) == 0, "the whole study may have to be read for it"
    page.browser.run("document.querySelector('#eligibility').open = true")
    page.until("document.querySelector('#fit').innerText.startsWith('Paper 002 leaves it out, for ')")
    assert "no cine of the study fills with contrast (inclusion b, exclusion g)" in page.text("#flags")
    page.browser.run("document.querySelector('#badge').textContent = ''")
    page.browser.run("document.querySelectorAll('#sayings button')[1].click()")
    page.until(SAVED)
    page.until("document.querySelector('#flags').innerText.includes('shadow over the lesion: a reader says so')")
    assert page.text("#fit") == "Not fit to learn from, you say:"
    assert page.text("#sayings [aria-pressed='true']").endswith("shadow over the lesion")
    assert page.told("still")["reading"]["classes"] == {"eligibility": "shadow"}
    page.browser.run("document.querySelector('#badge').textContent = ''")
    page.browser.run("document.dispatchEvent(new KeyboardEvent('keydown', {code: 'Digit1', key: '!', shiftKey: true}))")
    page.until(SAVED)
    page.until("document.querySelector('#fit').innerText == 'Fit to learn from, you say, in spite of:'")
    assert "no cine of the study fills with contrast" in page.text("#flags")
    for _ in range(2):
        page.says("z")
    assert page.told("still")["reading"]["classes"] == {}


def test_what_speaks_against_an_image_is_brought_into_view(page):
    with page.browser.sized(1400, 600):
        page.case("still")
        page.browser.run("document.querySelector('#fit').click()")
        shown = "document.querySelector('#sayings').getBoundingClientRect().bottom"
        page.until(f"{shown} > 0 && {shown} <= document.querySelector('aside').getBoundingClientRect().bottom")


def test_a_cine_is_scrubbed_with_its_curve_beside_it(page):
    page.case("cine")
    page.until(CURVE)
    onset = page.browser.run("Number(document.querySelector('#frame').value)")
    assert onset > 0, "it opens where the echo begins"
    marked = "parseFloat(document.querySelector('#now').style.left)"
    at_onset = page.browser.run(marked)
    page.press("ArrowRight", "ArrowRight")
    assert page.text("#time").startswith(f"frame {onset + 3} of")
    assert page.browser.run(marked) > at_onset
    page.press("Home")
    assert page.text("#time").startswith("frame 1 of")
    first = page.until(f"document.querySelector('#stage').ariaBusy == 'false' && {PIXELS}")
    page.press("End")
    page.until(f"{PIXELS} != {first}")
    page.press("o")
    assert page.text("#time").startswith(f"frame {onset + 1} of")


def test_a_box_is_drawn_with_keys_or_mouse_and_the_model_asked_again(page):
    page.case("cine")
    assert "No box is drawn" in page.text("#warnings")
    assert page.text("#result") == "Draw the lesion's box"
    assert page.browser.run("document.querySelectorAll('#bars > div:not(.dim)').length") == 0
    frame = page.browser.run("Number(document.querySelector('#frame').value)")
    page.press("b", "ArrowUp", "ArrowLeft")
    page.says("Enter")
    (box,) = page.told("cine")["reading"]["boxes"]
    assert page.told("cine")["reading"]["frame"] == frame
    page.until(f"{ANSWERED} && document.querySelector('#warnings').hidden")
    assert page.text("#result").startswith(("HCC", "not HCC"))
    assert page.browser.run("document.querySelectorAll('#bars > div.dim').length") == 0

    page.press(" ")
    assert page.browser.run(PLAYS) == "true"
    page.drag("cine", [box[0] + 5, box[1] + 5, box[2] + 8, box[3] + 8])
    assert page.browser.run(PLAYS) == "false", "who draws wants to see what is drawn on"
    (moved,) = page.told("cine")["reading"]["boxes"]
    assert moved == pytest.approx([box[0] + 5, box[1] + 5, box[2] + 8, box[3] + 8], abs=1)
    page.says("z")
    assert page.told("cine")["reading"]["boxes"] == [box]
    page.says("x")
    assert page.told("cine")["reading"]["boxes"] == []
    page.until("document.querySelector('#result').innerText == \"Draw the lesion's box\"")


def test_a_second_box_on_another_frame_leaves_the_first_on_its_own_from_which_it_is_followed(page):
    page.case("cine")
    page.press("Home", "ArrowRight")
    page.drag("cine", (20, 30, 60, 70))
    page.press("ArrowRight", "ArrowRight")
    page.drag("cine", (65, 75, 80, 90), shift=True)
    reading = page.told("cine")["reading"]
    assert (len(reading["boxes"]), reading["frames"]) == (2, [1, 3])
    assert page.text("#boxes").startswith("2 boxes, drawn on frames 2 and 4")
    page.case("cine")
    assert page.text("#time").startswith("frame 2 of")
    asked = page.browser.run("performance.getEntriesByType('resource').map(one => one.name)")
    asked = [one for one in asked if "/models/us_ceus?" in one]
    assert asked
    assert all(one.endswith("roi_frame=1") for one in asked)
    page.says("x")


@pytest.mark.parametrize("width", [960, 800])
def test_on_a_narrow_screen_a_cine_is_large_enough_to_draw_on(page, width):
    with page.browser.sized(width, 900):
        page.case("cine")
        page.until(CURVE)
        place = page.browser.run(PLACE)
        assert place["height"] > 300
        assert place["right"] <= width, "and all of it is seen"


HOLDING = """(() => {
    const real = window.fetch;
    const revoke = URL.revokeObjectURL.bind(URL);
    URL.revokeObjectURL = (url) => { revoke(url); window.revoked = (window.revoked || 0) + 1; };
    window.fetch = async (to, how) => {
        const answer = await real(to, how);
        if (!String(to).includes('curve.png') || window.release) return answer;
        await new Promise((done) => { window.release = done; });
        return answer;
    };
})()"""


def test_the_curve_that_comes_late_does_not_take_the_place_of_the_one_of_the_box_drawn_since(page):
    page.case("cine")
    page.until(CURVE)
    page.browser.run(HOLDING)
    page.press("r")
    page.until("Boolean(window.release)")
    page.drag("cine", (20, 30, 50, 60))
    page.until(CURVE)
    shown = "document.querySelector('#curve img').src"
    of_the_box, revoked = page.browser.run(shown), page.browser.run("window.revoked")
    page.browser.run("window.release()")
    page.until(f"window.revoked > {revoked}")
    assert page.browser.run(shown) == of_the_box
    page.says("x")


PLAYS = "document.querySelector('[data-do=play]').ariaPressed"
PLACES = """(() => {
    window.places = new Set();
    window.asked = 0;
    const count = (told) => { asked += told.filter(one => one.target.ariaBusy == 'true').length; };
    new MutationObserver(count).observe(document.querySelector('#curve'), { attributeFilter: ['aria-busy'] });
    const look = () => {
        places.add(JSON.stringify(document.querySelector('#picture').getBoundingClientRect()));
        window.looking = requestAnimationFrame(look);
    };
    look();
})()"""


def test_the_picture_stays_where_it_is_while_a_model_is_asked(page):
    page.case("cine")
    page.until(CURVE)
    page.browser.run(PLACES)
    for count, keys in enumerate((["r"], ["b", "Enter"], ["x"]), start=1):
        page.press(*keys)
        page.until(f"asked >= {count} && {CURVE}")
    assert len(page.browser.run("cancelAnimationFrame(looking), [...places]")) == 1


def test_a_box_is_what_was_dragged_should_the_picture_move_meanwhile(page):
    page.case("cine")
    page.until(CURVE)
    before = page.browser.run(PLACE)
    page.drag("cine", (20, 30, 50, 60), meanwhile=lambda: page.browser.run("document.querySelector('#curve').remove()"))
    page.until(f"JSON.stringify({PLACE}) != {json.dumps(json.dumps(before))}")
    (box,) = page.told("cine")["reading"]["boxes"]
    assert box == pytest.approx([20, 30, 50, 60], abs=1)
    page.case("cine")
    page.says("x")


def test_who_has_not_seen_what_another_said_is_shown_it_and_loses_nothing(page):
    page.case("still")
    version = page.told("still")["reading"]["version"]
    answer = requests.put(
        f"{page.address}/cases/api/v1/images/{page.ids['still']}/reading",
        json={"seen": version, "classes": {"lesion_type": "cyst"}}, headers={"X-Hepatic-Reader": "otto"}, timeout=60,
    )  # fmt: skip
    assert answer.status_code == 200
    page.press("2")
    page.until("document.querySelector('#badge').innerText == '1 refused'")
    page.until("document.querySelector('#told').innerText.includes('by otto')")
    page.until("document.querySelector('#classes [aria-pressed=\"true\"]')?.innerText == '6 cyst'")
    page.says("2")
    assert page.told("still")["reading"]["classes"] == {"lesion_type": "angioma"}


def test_boxes_that_cannot_be_read_are_told_and_drawn_again(page, tmp_path):
    (tmp_path / "boxes.mrk.json").write_text('{"x": 1}')
    store, image = page.app.state.services.cases.store, page.ids["still"]
    store.labels.save(image, "final", tmp_path / "boxes.mrk.json", author="Otto")
    page.case("still")
    assert "cannot be read: draw it again" in page.text("#boxes")
    page.drag("still", (40, 50, 70, 90))
    assert page.text("#boxes") == "1 box"
    page.case("still")
    assert page.text("#boxes") == "1 box"


def test_without_a_pacs_there_is_no_link_to_ohif(page):
    page.case("still")
    assert page.told("still")["viewer"] is None
    assert page.browser.run("document.querySelector('a.viewer').checkVisibility()") is False
    page.press("v")


def test_without_a_network_nothing_that_was_said_is_lost(page):
    page.case("still")
    version = page.told("still")["reading"]["version"]
    page.browser.offline(True)
    page.press("5", "b", "ArrowUp", "Enter", "4", "z")
    page.until("document.querySelector('#badge').innerText.startsWith('Offline')")
    assert page.text("#badge") == "Offline, 4 kept here"
    assert page.text("#classes [aria-pressed='true']") == "5 FNH", "what was said is shown, and undo with it"
    assert page.text("#boxes").startswith("1 box")
    page.browser.open("about:blank")
    page.browser.offline(False)
    page.open("/cases/" + page.ids["cine"])  # whichever page is opened next sends it
    page.until(SAVED)
    reading = page.told("still")["reading"]
    assert reading["classes"] == {"lesion_type": "fnh"}
    assert len(reading["boxes"]) == 1
    assert reading["version"] == version + 4


LOSING = """(() => {
  const real = window.fetch;
  window.lost = 0;
  window.fetch = async (to, how = {}) => {
    const answer = await real(to, how);
    if (!['PUT', 'DELETE'].includes(how.method) || window.lost) return answer;
    window.lost += 1;
    throw new TypeError('the network broke');
  };
})()"""


@pytest.mark.parametrize("key", ["3", "z"])
def test_what_is_sent_again_because_the_answer_was_lost_is_kept_once(page, key):
    page.case("still")
    version = page.told("still")["reading"]["version"]
    page.browser.run(LOSING)
    page.says(key)
    assert page.browser.run("window.lost") == 1
    assert page.told("still")["reading"]["version"] == version + 1


def test_what_was_refused_is_tried_again_or_given_up(page):
    page.case("still")
    for key, choice, left in (("4", "retry", "hcc"), ("5", "discard", "cyst")):
        version = page.told("still")["reading"]["version"]
        requests.put(
            f"{page.address}/cases/api/v1/images/{page.ids['still']}/reading",
            json={"seen": version, "classes": {"lesion_type": "cyst"}},
            headers={"X-Hepatic-Reader": "otto"},
            timeout=60,
        )
        page.press(key)
        page.until("document.querySelector('#badge').innerText == '1 refused'")
        page.until("document.querySelector('#classes [aria-pressed=\"true\"]')?.innerText == '6 cyst'")
        page.browser.run("document.querySelector('#badge button').click()")
        page.until("document.querySelector('#refused').open")
        assert f"lesion type {'HCC' if key == '4' else 'FNH'}" in page.text("#refused li")
        page.browser.run(f"document.querySelector('#refused [value={choice}]').click()")
        page.until(SAVED)
        assert page.told("still")["reading"]["classes"] == {"lesion_type": left}


@pytest.mark.parametrize("which", ["still", "cine"])
def test_everything_on_the_page_has_a_name_and_comes_from_this_server(page, which):
    page.case(which)
    assert page.browser.run(NAMELESS) == []
    loaded = page.browser.run("performance.getEntriesByType('resource').map(one => one.name)")
    assert loaded
    assert all(one.startswith((page.address, "blob:")) for one in loaded)


def test_burnt_in_text_is_looked_at_and_let_go_and_held_again(page):
    page.open("/quarantine")
    page.until("document.querySelector('#stage').ariaBusy == 'false'")
    assert page.text("#place") == "Picture 1 of 4"
    assert "proposed to be blacked out" in page.text("#share")
    page.press("b", "ArrowDown", "Enter")
    assert page.text("#added") == "1 box more."
    page.says("a")
    page.until("document.querySelector('#place').innerText == 'Picture 1 of 3'")
    page.until("document.querySelector('#stage').ariaBusy == 'false'")
    page.press("i")
    page.until("document.querySelector('#sure').open")
    page.press("Escape")
    listed = requests.get(f"{page.address}/quarantine/api/v1/images?all=true", timeout=60).json()["images"]
    (approved,) = [one for one in listed if one["state"] == "approved"]
    assert approved["approval"]["by"] == "anna"
    assert len(approved["approval"]["boxes"]) == 1
    page.browser.run("document.querySelector('#all').click()")
    page.until("document.querySelectorAll('#pictures .approved').length")
    page.browser.run("document.querySelector('#pictures .approved').click()")
    page.until("document.querySelector('#approval').innerText.includes('anna let it leave')")
    page.says("w")
    page.until("document.querySelector('#approval').innerText == 'It is held.'")
