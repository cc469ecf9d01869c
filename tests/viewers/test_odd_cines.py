"""Cines as hospitals have them, long, of one frame, untimed or side by side: by REST and at the page."""

import re

import pytest
import requests

import infer_tasks
from hepatic.adapters.training_cases import cases_for
from hepatic.tasks.discover import discover_tasks
from sample_data.truth import read_truth

from .browser import browsing
from .ultrasound import ANSWERED, CURVE, PIXELS, PLACE, CasePage, served, write_odd_cines

pytestmark = pytest.mark.viewer


@pytest.fixture(scope="module")
def cines(tmp_path_factory):
    out = tmp_path_factory.mktemp("odd")
    ids = write_odd_cines(out)
    with served(out / "studies") as (app, address):
        yield app, address, ids, read_truth(out)["images"][ids["pair"]]


@pytest.fixture(scope="module")
def page(cines, tool, tmp_path_factory):
    with browsing(tool("chromium", "chromium"), tmp_path_factory.mktemp("browser"), size="1400,950") as browser:
        yield CasePage(browser, cines[:3])


@pytest.fixture
def rest(cines):
    """What a request comes to: its status, and its JSON."""
    _, address, ids, _ = cines

    def ask(which, path="", method="GET", **options):
        url = f"{address}/cases/api/v1/images/{ids[which]}{path}"
        answer = requests.request(method, url, timeout=120, **options)
        return answer.status_code, answer.json()

    return ask


def in_pixels(truth, side=0):
    """The lesion's box on the first frame, edges, on the left or the right image."""
    left, top, right, bottom = truth["lesions"][0]["boxes"][0]
    off = truth["regions"][side]["box"][0] - truth["regions"][0]["box"][0]
    return [left + off, top, right + 1 + off, bottom + 1]


def test_400_frames_are_sampled_by_their_times(rest, cines):
    assert rest("long")[1]["picture"]["frames"] == 400
    asked = {"roi": ",".join(map(str, in_pixels(cines[3])))}
    (code, long), (_, short) = (rest(which, "/models/us_ceus", params=asked) for which in ("long", "pair"))
    assert code == 200
    assert long["onset_s"] == pytest.approx(short["onset_s"], abs=2.5)
    told = [[re.sub(r"\d+", "N", warning) for warning in answer["warnings"]] for answer in (long, short)]
    assert (long["missing_frames"], told[0]) == (short["missing_frames"], told[1])
    assert long["replaced_frames"] == short["replaced_frames"] == 0, (
        "the lesion, of nine pixels, never leaves the plane"
    )
    assert long["probabilities"] == pytest.approx(short["probabilities"], abs=0.15)


def test_uneven_frame_times_are_what_onset_and_samples_go_by(rest):
    picture = rest("uneven")[1]["picture"]
    assert (picture["timing"], picture["times_s"][36:]) == ("frame times", [72.0, 74.0, 104.0, 134.0, 164.0, 194.0])
    said = rest("uneven", "/models/us_ceus")[1]
    assert said["onset_s"] == picture["times_s"][said["frame"]]
    assert said["curve"]["to_s"] == pytest.approx(194 - said["onset_s"], abs=0.01)


def test_a_cine_without_times_is_refused_until_somebody_says_them(rest, cines):
    assert rest("untimed")[1]["picture"]["times_s"] is None
    code, told = rest("untimed", "/models/us_ceus")
    assert (code, "frame_seconds" in told["detail"]) == (422, True)
    asked = {"roi": ",".join(map(str, in_pixels(cines[3])))}
    said = rest("untimed", "/models/us_ceus", params={"frame_seconds": 2, **asked})[1]
    known = rest("pair", "/models/us_ceus", params=asked)[1]
    assert said["timing"] == "option"
    assert (said["probabilities"], said["onset_s"]) == (known["probabilities"], known["onset_s"])


def test_a_playback_rate_is_taken_for_times_with_a_warning(rest):
    said = rest("played", "/models/us_ceus")[1]
    assert said["timing"] == "playback rate"
    assert any("the rate at which it plays" in told for told in said["warnings"])
    assert any("The cine ends early" in told for told in said["warnings"])


def test_one_frame_is_a_still_whatever_the_file_calls_itself(rest):
    code, told = rest("single", "/models/us_ceus")
    assert (code, "a model for stills" in told["detail"]) == (422, True)
    assert "us_ceus" not in [model["name"] for model in rest("single")[1]["models"]]
    assert rest("single")[1]["picture"]["frames"] == 1
    assert rest("single", "/frames/1.png")[0] == 404


@pytest.mark.parametrize("side", [0, 1], ids=["contrast", "B-mode"])
def test_a_box_on_one_image_of_a_pair_is_told_asked_and_trained_on_the_other(rest, cines, side):
    app, _, _, truth = cines
    drawn, other = in_pixels(truth, side), in_pixels(truth, 1 - side)
    version = rest("pair")[1]["reading"]["version"]
    saying = {"seen": version, "boxes": [drawn], "classes": {"diagnosis": "hcc"}}
    assert rest("pair", "/reading", "PUT", json=saying)[0] == 200
    reading = rest("pair")[1]["reading"]
    assert (reading["boxes"], reading["beside"]) == ([drawn], [other])
    said = rest("pair", "/models/us_ceus", params={"roi": ",".join(map(str, drawn))})[1]
    assert said["roi"] == in_pixels(truth, 0), "contrast is looked at wherever it was drawn"
    assert not any("No box" in told for told in said["warnings"])

    task = discover_tasks(infer_tasks)["us_ceus"]
    (case,) = cases_for(task, app.state.services.host.datastore)
    facts = task.prepare(case.sample(task))["facts"]
    assert (facts["roi"], facts["roi_from"]) == (in_pixels(truth, 0), "label")


def test_the_last_of_400_frames_is_reached_and_marked_on_the_curve(page):
    page.case("long")
    page.until(CURVE)
    page.press("Home")
    first = page.until(f"document.querySelector('#time').innerText.startsWith('frame 1 of 400') && {PIXELS}")
    page.press("End")
    page.until(f"{PIXELS} != {first}")
    assert page.text("#time") == "frame 400 of 400, 199.5 s"
    page.until("parseFloat(document.querySelector('#now').style.left) > 95")


def test_uneven_times_stand_beside_the_frame_and_a_click_on_the_curve_goes_by_them(page):
    page.case("uneven")
    page.until(CURVE)
    page.press("End")
    assert page.text("#time") == "frame 42 of 42, 194.0 s"
    at = "JSON.parse(JSON.stringify(document.querySelector('#curve').getBoundingClientRect()))"
    page.until("parseFloat(document.querySelector('#now').style.left) > 98")
    edge = page.browser.run(at)
    page.browser.click(edge["left"] + 0.87 * edge["width"], edge["top"] + edge["height"] / 2)
    page.until("/^frame 41 of 42, 164/.test(document.querySelector('#time').innerText)")


def test_without_times_the_page_asks_for_them_and_then_shows_what_the_model_says(page):
    page.open(f"/cases/{page.ids['untimed']}")
    page.until("document.querySelector('#result').classList.contains('refused')")
    assert "seconds lie between frames" in page.text("#result")
    before = page.browser.run(PLACE)
    page.browser.run("document.querySelector('#frame-seconds').focus()")
    page.press("2", "Enter")
    page.until(ANSWERED)
    page.until(CURVE)
    assert page.browser.run(PLACE) == before, "the curve has its place before it comes"
    assert page.browser.run("document.querySelector('#now').hidden"), "nobody knows where a frame is on the axis"


def test_one_frame_is_shown_as_a_still(page):
    page.case("single")
    assert page.browser.run("document.querySelector('#cine').hidden")
    options = page.browser.run("[...document.querySelectorAll('#model option')].map(one => one.value).join()")
    assert "us_ceus" not in options


YELLOW = """(([x, y]) => {
    const one = document.querySelector('#picture');
    const scale = one.width / %d;
    const { data } = one.getContext('2d').getImageData(Math.round(x * scale) - 2, Math.round(y * scale) - 2, 5, 5);
    const isYellow = (at) => data[at] > 150 && data[at] > data[at + 2] + 60;
    return Array.from({ length: 25 }, (_, n) => isYellow(4 * n)).includes(true);
})(%s)"""


def test_a_box_drawn_on_contrast_is_seen_on_b_mode_too_and_back(page, cines):
    page.case("pair")
    width = page.told("pair")["picture"]["width"]
    if page.told("pair")["reading"]["boxes"]:
        page.says("x")
    for side in (0, 1):
        left, top, right, bottom = in_pixels(cines[3], 1 - side)
        edge = YELLOW % (width, [left, (top + bottom) // 2])
        page.until(f"!{edge}")
        page.drag("pair", in_pixels(cines[3], side))
        assert "1 box" in page.text("#boxes")
        assert page.until(edge)
        assert page.told("pair")["reading"]["beside"][0] == pytest.approx([left, top, right, bottom], abs=2)
        page.says("x")
        page.until(f"!{edge}")
