"""The server's pages: what a radiologist or a data scientist reads before connecting anything."""

import logging
import re
from html import unescape
from html.parser import HTMLParser

import pytest
import requests

from server.routes.landing import _counts, _last_training, _model, _progress, _together, _value

PAGES = ["/", "/docs", "/logs/", "/logs/?refresh=5"]


class Reading(HTMLParser):
    """The words of a page, where it leads, and which tags it leaves open."""

    def __init__(self, page):
        super().__init__()
        self.links, self.tags, self.open, self._words = [], set(), [], []
        self.feed(page)
        self.text = re.sub(r"\s+", " ", "".join(self._words))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self._words.append(data)


def fetched(url):
    answer = requests.get(url, timeout=30)
    assert answer.status_code == 200
    return answer


@pytest.mark.parametrize("page", PAGES)
def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing(server, page):
    answer = fetched(server + page)
    read = Reading(answer.text)
    assert not read.open
    assert not read.tags & {"script", "link", "img", "iframe"}
    assert not [link for link in read.links if "//" in link]
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("page", PAGES[:-1])
def test_every_link_of_a_page_leads_somewhere(server, page):
    for link in Reading(fetched(server + page).text).links:
        fetched(requests.compat.urljoin(server + page, link))


def test_the_first_page_names_the_served_models_their_versions_and_what_they_say_about_patients(server):
    info = fetched(f"{server}/info/").json()
    text = Reading(fetched(f"{server}/").text).text
    assert set(info["models"]) >= {"dsa_ltdnet", "dsa_unet"}
    for name, model in info["models"].items():
        assert name in text
        assert f"version {model['version']}" in text
        if "dice" in model["metrics"]:
            assert f"Dice {model['metrics']['dice']:.3f}" in text
        assert model["notes"] in text
    assert "say nothing about patients" in text


def test_the_first_page_tells_what_there_is_to_do_and_the_address_to_type_into_slicer(server):
    counts = fetched(f"{server}/info/").json()["datastore"]
    text = Reading(fetched(f"{server}/").text).text
    assert f"{counts['completed']} of {counts['total']} images have a final label" in text
    assert f"Type {server} into MONAI Label server" in text
    assert "uncertainty" in text


def test_the_page_of_the_api_shows_every_route_and_no_markup_of_the_source(server):
    text = Reading(fetched(f"{server}/docs").text).text
    routes = fetched(f"{server}/openapi.json").json()["paths"]
    assert [route for route in routes if route not in text] == []
    assert "``" not in text


def test_the_log_page_marks_warnings_and_shows_what_was_logged_as_it_is(server):
    logging.getLogger("hepatic.test").warning("quaint <br> & odd remark")
    page = fetched(f"{server}/logs/?lines=50").text
    marked = re.findall(r'<span class="warning">(.*?)\n?</span>', page, flags=re.DOTALL)
    assert any("quaint <br> & odd remark" in unescape(line) for line in marked)
    assert "<b>" not in page


def test_an_empty_folder_of_studies_is_explained():
    assert "There are no images yet" in _progress({"total": 0, "completed": 0})
    counts = _counts({"datastore": {"total": 2, "completed": 0, "unreadable": 1, "missing": 0}, "models": {}})
    assert re.findall(r"<dt>(\w+)</dt><dd>(\d+)", counts) == [
        ("images", "2"), ("labelled", "0"), ("unreadable", "1"), ("models", "0")
    ]  # fmt: skip


def test_the_measures_of_a_detector_are_named_and_have_their_intervals():
    measured = {
        "p1td_1": 0.72,
        "cases": 40.0,
        "p1td_1_low": 0.6,
        "p1td_1_high": 0.85,
        "shown_from": 0.31,
        "cards": 4.25,
    }
    about = {"type": "detection", "description": "Finds lesions.", "version": 3, "metrics": measured}
    shown = re.findall(r"<li>(.*?)</li>", _model({"ct": about}))
    assert [Reading(one).text for one in shown] == [
        "P1TD-1 0.720 (0.600 to 0.850)", "Cases 40", "Readers are shown candidates from score 0.310",
        "Candidates a study then has 4.250",
    ]  # fmt: skip


def test_answers_of_one_network_in_several_forms_are_one_model():
    boxes = {"type": "detection", "description": "Boxes.", "version": "v0001-ab", "metrics": {"cases": 40}}
    drawn = boxes | {"type": "segmentation", "description": "As a labelmap."}
    other = boxes | {"description": "Another network.", "version": "v0001-cd"}
    alike = _together({"ct": boxes, "other": other, "ct_boxes": drawn})
    assert [list(models) for models in alike] == [["ct", "ct_boxes"], ["other"]]
    text = Reading(_model(alike[0])).text
    assert text.count("Cases 40") == 1
    assert "ct_boxes: As a labelmap." in text


def test_abbreviations_are_capitals():
    measured = {"ppv": 0.8, "dsc": 0.75, "auc_hcc": 0.78, "auc_fnh": 0.7, "sensitivity": 0.9}
    about = {"type": "classification", "description": "Tells HCC.", "version": 3, "metrics": measured}
    shown = [Reading(one).text for one in re.findall(r"<li>(.*?)</li>", _model({"us": about}))]
    assert shown == ["PPV 0.800", "DSC 0.750", "AUC HCC 0.780", "AUC FNH 0.700", "Sensitivity 0.900"]


def test_a_model_of_a_foreign_app_is_shown_with_what_is_known_of_it():
    shown = _model({"spleen<1>": {"type": "segmentation", "description": "A & B", "labels": []}})
    text = Reading(shown).text
    assert "spleen<1>segmentationA & B" in text
    assert "held back" not in text
    assert "card" not in text
    assert "not trained here yet" in _last_training({"best_metric": 0.0})
    assert "best metric 0.810" in _last_training({"best_metric": 0.81, "epoch": 3})


@pytest.mark.parametrize(("value", "shown"), [(0.0, "0.000"), (1.0, "1.000"), (0.65972, "0.660"), (240, "240")])
def test_numbers_are_shown_to_three_places_and_counts_as_counts(value, shown):
    assert _value(value) == shown


def test_distances_are_shown_to_a_tenth():
    assert _value(83.1066) == "83.1"
