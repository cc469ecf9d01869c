"""Ultrasound cases over HTTP: what is shown of a picture and a cine, and what a model says of them."""

import asyncio
import io
import json

import numpy as np
import pytest
from highdicom.sr import srread
from PIL import Image
from pydicom.sr.codedict import codes

import infer_tasks
from hepatic.adapters.training_cases import cases_for
from hepatic.io.read import read
from hepatic.io.us_region import Region
from hepatic.tasks.discover import discover_tasks
from server.cases.cases import Opened

TASK = discover_tasks(infer_tasks)["us_ceus"]


def picture(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "no-store"
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def roi_of(box):
    return ",".join(map(str, box))


def test_the_list_has_every_ultrasound_image(anna, ultrasound):
    told = anna.get("").json()
    assert told["count"] == len(told["images"]) == len(ultrasound["truth"])
    frames = {one["image"]: one["frames"] for one in told["images"]}
    assert frames[ultrasound["still"]] == 1
    assert frames[ultrasound["cine"]] == len(ultrasound["truth"][ultrasound["cine"]]["frame_times_s"])


def test_a_still_has_models_for_stills_and_a_cine_those_for_cines_first(anna, ultrasound):
    still, cine = anna.case(ultrasound["still"]), anna.case(ultrasound["cine"])
    assert [model["name"] for model in still["models"]] == ["us_fll", "us_bmode"]
    assert cine["models"][0]["name"] == "us_ceus"
    assert still["models"][0]["absent"] == "homogeneous"
    assert cine["picture"]["times_s"] == pytest.approx(
        ultrasound["truth"][ultrasound["cine"]]["frame_times_s"], abs=2e-3
    )
    opens_at_s = cine["picture"]["times_s"][cine["picture"]["onset"]]
    assert abs(opens_at_s - ultrasound["truth"][ultrasound["cine"]]["echo_onset_s"]) < 5
    assert still["picture"]["onset"] == 0


def test_a_frame_is_shown_as_the_file_has_it(anna, ultrasound, cases_app):
    cine = ultrasound["cine"]
    frames = read(cases_app.state.services.host.image_path(cine)).frames
    for number in (0, len(frames) - 1):
        assert np.array_equal(picture(anna.get(f"/{cine}/frames/{number}.png")), frames[number])
    beyond = anna.get(f"/{cine}/frames/{len(frames)}.png")
    assert (beyond.status_code, f"0 to {len(frames) - 1}" in beyond.json()["detail"]) == (404, True)


def test_a_classifier_says_what_infer_says(anna, ultrasound):
    still = ultrasound["still"]
    said = anna.get(f"/{still}/models/us_fll").json()
    inferred = anna.ask("POST", "/infer/us_fll", params={"image": still, "output": "json"}).json()
    assert said["probabilities"] == pytest.approx(inferred["probabilities"], abs=1e-4)
    assert (said["result"], said["model_version"]) == (inferred["result"], inferred["model_version"])
    assert said["has_attention"]
    assert "attention" not in said


def test_the_heat_map_lies_where_the_attention_is(anna, ultrasound):
    still = ultrasound["still"]
    heat = picture(anna.get(f"/{still}/models/us_fll/attention.png"))
    inferred = anna.ask("POST", "/infer/us_fll", params={"image": still, "output": "json"}).json()
    cells, (top, left, bottom, right) = np.array(inferred["attention"]), inferred["region"]
    shown = anna.case(still)["picture"]
    assert heat.shape == (shown["height"], shown["width"], 4)
    outside = np.ones(heat.shape[:2], bool)
    outside[top:bottom, left:right] = False
    assert not heat[outside, 3].any(), "nothing lies beside what was looked at"
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    highest = np.argwhere(heat[..., 3] == heat[..., 3].max()).mean(axis=0)
    cell = (bottom - top) / cells.shape[0], (right - left) / cells.shape[1]
    assert highest == pytest.approx([top + (row + 0.5) * cell[0], left + (column + 0.5) * cell[1]], abs=max(cell))
    assert anna.get(f"/{still}/models/us_bmode/attention.png").status_code == 404


def test_the_curve_is_drawn_with_the_onset_and_without_a_box_there_is_a_warning(anna, ultrasound):
    cine, about = ultrasound["cine"], ultrasound["truth"][ultrasound["cine"]]
    whole = anna.get(f"/{cine}/models/us_ceus").json()
    assert any("No box is drawn" in told for told in whole["warnings"])
    shown = anna.case(cine)["picture"]["contrast"]
    middle = [round(shown[0] + share * (shown[2] - shown[0])) for share in (0.4, 0.6)]
    box = (
        middle[0],
        round(shown[1] + 0.4 * (shown[3] - shown[1])),
        middle[1],
        round(shown[1] + 0.6 * (shown[3] - shown[1])),
    )
    boxed = anna.get(f"/{cine}/models/us_ceus", roi=roi_of(box)).json()
    assert not any("No box is drawn" in told for told in boxed["warnings"])
    assert boxed["roi"] == list(map(float, box))
    assert boxed["onset_s"] == about["frame_times_s"][boxed["frame"]]
    assert boxed["curve"]["from_s"] == pytest.approx(-boxed["onset_s"], abs=0.01)
    curve = picture(anna.get(f"/{cine}/models/us_ceus/curve.png", roi=roi_of(box)))
    assert curve.shape[1] == boxed["curve"]["width"]
    onset = boxed["curve"]["left"] + (boxed["curve"]["right"] - boxed["curve"]["left"]) * (
        -boxed["curve"]["from_s"] / (boxed["curve"]["to_s"] - boxed["curve"]["from_s"])
    )
    teal = (abs(curve[..., :3].astype(int) - (0x5C, 0xC9, 0xBD)).sum(axis=-1) < 60).sum(axis=0)
    assert teal.argmax() == pytest.approx(onset * curve.shape[1], abs=2), "the page marks frames on the same axis"
    assert not np.array_equal(curve, picture(anna.get(f"/{cine}/models/us_ceus/curve.png")))


def test_a_still_shown_to_a_model_of_cines_and_a_box_beside_the_picture_are_refused_with_what_to_do(anna, ultrasound):
    still = anna.get(f"/{ultrasound['still']}/models/us_ceus")
    assert (still.status_code, "a model for stills" in still.json()["detail"]) == (422, True)
    beside = anna.get(f"/{ultrasound['still']}/models/us_bmode", roi="9000,9000,9100,9100")
    assert (beside.status_code, "Draw the lesion's box" in beside.json()["detail"]) == (422, True)
    assert anna.get(f"/{ultrasound['still']}/models/dsa_ltdnet").status_code == 404
    assert anna.get("/nobody").status_code == 404


def test_what_was_asked_once_is_not_asked_of_the_model_again(anna, ultrasound, cases_app):
    executor, still = cases_app.state.services.executor, ultrasound["still"]
    first = anna.get(f"/{still}/models/us_fll").json()
    submitted = []
    before = executor.submit
    executor.submit = lambda *args, **options: submitted.append(args) or before(*args, **options)
    try:
        assert anna.get(f"/{still}/models/us_fll").json() == first
        assert anna.get(f"/{still}/models/us_fll/attention.png").status_code == 200
        assert submitted == []
        anna.get(f"/{still}/models/us_bmode", roi="60,60,90,90")
        assert len(submitted) == 1
    finally:
        executor.submit = before


def test_the_onset_of_echo_in_boxes_is_looked_for_beside_the_loop_that_answers_others(anna, ultrasound, monkeypatch):
    loops, onset = [], Opened.onset

    def looked(self, boxes):
        loops.append(asyncio._get_running_loop())
        return onset(self, boxes)

    cine = ultrasound["cine"]
    version = anna.say(cine, anna.case(cine)["reading"]["version"], boxes=[[21, 31, 52, 63]]).json()["version"]
    monkeypatch.setattr(Opened, "onset", looked)
    assert len(anna.case(cine)["reading"]["boxes"]) == 1
    assert loops == [None]
    anna.take_back(cine, version)


def test_pages_need_a_login_and_are_documented(people, address):
    import requests

    assert requests.get(f"{address}/cases", timeout=10, allow_redirects=False).status_code == 401
    rita = people["Rita"]
    page = rita.ask("GET", "/cases/1.2.3")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for part in ("case.js", "list.js", "cases.css"):
        assert rita.ask("GET", f"/cases/web/{part}").status_code == 200
    assert rita.ask("GET", "/cases/web/case.html").status_code == 404
    paths = rita.ask("GET", "/openapi.json").json()["paths"]
    told = {path: about["get"] for path, about in paths.items() if path.startswith("/cases/api") and "get" in about}
    assert {path.rpartition("/")[2] for path in told} >= {"{frame}.png", "attention.png", "curve.png"}
    assert all(about["x-role"] == "reader" for about in told.values())
    assert json.dumps(told).count("image/png") >= 3


def test_a_box_that_has_no_counterpart_on_the_image_beside_is_shown_on_one_alone():
    pair = (Region((0, 0, 100, 100), None), Region((0, 130, 100, 170), None))
    opened = Opened(np.zeros((1, 100, 170), np.uint8), {"pair": pair})
    assert opened.beside([[40.0, 10.0, 60.0, 30.0], [0.0, 10.0, 20.0, 30.0]]) == [[140.0, 10.0, 160.0, 30.0]]


def test_the_report_of_a_cine_says_where_no_onset_was_found(anna, ultrasound):
    cine = ultrasound["cine"]

    def told(roi):
        """What the model answers, and what its report has of the onset."""
        asked = {"data": {"params": json.dumps({"roi": roi})}}
        params = anna.ask("POST", "/infer/us_ceus", params={"image": cine, "output": "json"}, **asked).json()
        report = anna.ask("POST", "/infer/us_ceus", params={"image": cine, "output": "dicom_sr"}, **asked)
        assert report.status_code == 200, report.text
        (group,) = srread(io.BytesIO(report.content)).content.get_planar_roi_measurement_groups()
        found = group.get_qualitative_evaluations(codes.DCM.BolusArrivalTime)
        return params["onset"], [one.value.meaning for one in found]

    left, top, right, bottom = ultrasound["truth"][cine]["lesions"][0]["boxes"][0]
    assert told(roi_of((left, top, right + 1, bottom + 1))) == ("seen", [])
    left, top, *_ = anna.case(cine)["picture"]["contrast"]
    assert told(roi_of((left, top, left + 4, top + 4))) == ("none", ["Not detected"])


def test_the_page_the_front_and_the_training_take_a_box_from_the_frame_on_which_it_was_drawn(
    anna, ultrasound, cases_app
):
    cine = ultrasound["cine"]
    boxes = ultrasound["truth"][cine]["lesions"][0]["boxes"]
    late = len(boxes) - 1
    left, top, right, bottom = boxes[late]
    box = [left, top, right + 1, bottom + 1]
    seen = anna.case(cine)["reading"]["version"]
    version = anna.say(cine, seen, classes={"diagnosis": "hcc"}, boxes=[box], frame=late).json()["version"]
    asked = anna.get(f"/{cine}/models/us_ceus", roi=roi_of(box), roi_frame=late).json()
    labelled = anna.get(f"/{cine}/models/us_ceus").json()
    assert (asked["roi_from"], labelled["roi_from"]) == ("roi", "label")
    assert asked["roi_frame"] == labelled["roi_frame"] == late
    assert asked["frame"] == labelled["frame"] < late
    assert asked["probabilities"] == pytest.approx(labelled["probabilities"], abs=1e-4)
    on_first = anna.get(f"/{cine}/models/us_ceus", roi=roi_of(box), roi_frame=0).json()
    assert on_first["roi_frame"] == 0
    (case,) = [one for one in cases_for(TASK, cases_app.state.services.host.datastore) if one.image_id == cine]
    assert TASK.prepare(case.sample(TASK))["facts"]["roi_frame"] == late
    anna.take_back(cine, version)
