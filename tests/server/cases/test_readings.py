"""A reader corrects class and box: versions with an author, undo, and what is trained afterwards."""

import json
import threading

import numpy as np
import pytest

import infer_tasks
from hepatic.adapters.train import HepaticTrainTask
from hepatic.adapters.training_cases import cases_for
from hepatic.boxes import from_voxels, to_voxels
from hepatic.engine.plan import Plan
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from hepatic.io.grid import grid_of
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.markups import ROI, encode_rois, read_rois
from hepatic.tasks.discover import discover_tasks
from train_tasks.us_bmode import RECIPE

TASKS = discover_tasks(infer_tasks)
NO_CENTRE = b'{"markups": [{"type": "ROI", "center": [NaN, 0, 0], "size": [10, 10, 1]}]}'


@pytest.fixture
def still(ultrasound, cases_app):
    """The still, without what earlier tests said of it."""
    yield ultrasound["still"]
    store = cases_app.state.services.cases.store
    if store.labels.tags(ultrasound["still"]):
        store.labels.remove(ultrasound["still"], "final", author="test")
    store.images.update_info(ultrasound["still"], {"lesion_type": "", "diagnosis": "", "eligibility": ""})


def seen(person, image):
    return person.case(image)["reading"]["version"]


def trained_on(cases_app, image, model):
    """Class and boxes that a training of this model would take from the image."""
    task = TASKS[model]
    for case in cases_for(task, cases_app.state.services.host.datastore):
        if case.image_id == image:
            sample = case.sample(task)
            return sample["truth"], [[round(edge, 3) for edge in box] for box in sample["boxes"]]
    return None


def test_a_class_and_a_box_are_kept_with_their_author_and_train(anna, still, cases_app):
    start = seen(anna, still)
    assert trained_on(cases_app, still, "us_fll") is None
    assert anna.say(still, start, classes={"lesion_type": "fnh"}).status_code == 200
    assert trained_on(cases_app, still, "us_fll") == ("fnh", [])
    said = anna.say(still, start + 1, boxes=[[40, 50, 70, 90]])
    assert said.json() == {"version": start + 2}
    assert trained_on(cases_app, still, "us_fll") == ("fnh", [[50, 40, 90, 70]]), "top, left, bottom, right"
    told = anna.case(still)
    assert told["reading"]["boxes"] == [[40, 50, 70, 90]]
    assert told["reading"]["classes"] == {"lesion_type": "fnh"}
    assert [(one["version"], one["by"]) for one in told["history"][:2]] == [(start + 2, "Anna"), (start + 1, "Anna")]
    assert (
        anna.get("").json()["images"][[one["image"] for one in anna.get("").json()["images"]].index(still)]["read_by"]
        == "Anna"
    )


def test_what_is_sent_twice_under_one_name_is_kept_once(anna, people, still):
    start = seen(anna, still)
    said = {"id": "3f0c", "classes": {"lesion_type": "fnh"}}
    assert anna.say(still, start, **said).json() == {"version": start + 1}
    assert people["Otto"].say(still, start + 1, classes={"lesion_type": "cyst"}).status_code == 200
    assert anna.say(still, start, **said).json() == {"version": start + 1}
    assert anna.case(still)["reading"]["classes"] == {"lesion_type": "cyst"}
    assert anna.say(still, start, **{**said, "id": "another"}).status_code == 409
    assert people["Otto"].take_back(still, start + 2).json() == {"restored": start + 1, "version": start + 3}
    assert anna.case(still)["reader"] == "Anna"


def test_an_undo_sent_again_under_its_name_takes_back_nothing_more(anna, still):
    """The answer was lost, and the page has seen the version since that the undo itself had made."""
    version = seen(anna, still)
    for name in ("hcc", "fnh", "cyst"):
        version = anna.say(still, version, classes={"lesion_type": name}).json()["version"]
    done = anna.take_back(still, version, id="7b1d").json()
    assert done == {"restored": version - 1, "version": version + 1}
    for known in (version, version + 1):
        assert anna.take_back(still, known, id="7b1d").json() == done
    assert anna.case(still)["reading"]["classes"]["lesion_type"] == "fnh"
    while done["restored"]:
        known = done["version"]
        done = anna.take_back(still, known, id=f"undo {known}").json()
    assert anna.take_back(still, done["version"], id=f"undo {known}").json() == done, "also where nothing is left"


def test_undo_goes_back_step_by_step_and_further_than_what_was_undone(anna, still, cases_app):
    version = seen(anna, still)
    for reading in ({"classes": {"lesion_type": "cyst"}}, {"boxes": [[40, 50, 70, 90]]}, {"boxes": [[10, 20, 30, 40]]}):
        version = anna.say(still, version, **reading).json()["version"]
    expected = [("cyst", [[50, 40, 90, 70]]), ("cyst", []), None]
    for left in expected:
        assert anna.take_back(still, version).status_code == 200
        version = seen(anna, still)
        assert trained_on(cases_app, still, "us_fll") == left
    nothing = anna.take_back(still, version)
    assert (nothing.status_code, "Nothing to take back" in nothing.json()["detail"]) == (409, True)
    assert len(anna.case(still)["history"]) >= 6, "nothing was overwritten"


def test_what_was_noted_before_the_first_reading_comes_back(anna, still, cases_app):
    cases_app.state.services.cases.store.images.update_info(still, {"lesion_type": "hcc"})
    version = anna.say(still, seen(anna, still), classes={"lesion_type": "cyst"}).json()["version"]
    assert trained_on(cases_app, still, "us_fll") == ("cyst", [])
    anna.take_back(still, version)
    assert trained_on(cases_app, still, "us_fll") == ("hcc", [])


def test_a_model_that_is_told_no_box_looks_at_the_one_that_is_drawn_now(anna, still):
    def looked():
        told = anna.get(f"/{still}/models/us_bmode").json()
        return told["roi_from"], told["roi"], [one for one in told["warnings"] if "No box" in one]

    version = anna.say(still, seen(anna, still), boxes=[]).json()["version"]
    assert (looked()[0], len(looked()[2])) == ("whole image", 1)
    for box in ([40, 50, 70, 90], [45, 55, 80, 95]):
        version = anna.say(still, version, boxes=[box, [0, 0, 9, 9]]).json()["version"]
        assert looked() == ("label", pytest.approx(box, abs=0.01), [])
    front = anna.ask("POST", "/infer/us_bmode_region", params={"image": still, "output": "json"}).json()
    assert front["roi_from"] == "label"
    assert anna.say(still, version, boxes=[]).status_code == 200


def test_of_two_readers_at_once_one_is_told_to_look_again(people, still):
    version = seen(people["Anna"], still)
    answers = []
    readers = [
        threading.Thread(
            target=lambda who=who: answers.append(people[who].say(still, version, classes={"lesion_type": "hcc"}))
        )
        for who in ("Anna", "Otto")
    ]
    [reader.start() for reader in readers], [reader.join() for reader in readers]
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "say again what you see" in refused.json()["detail"]


def test_nobody_takes_back_what_another_said_and_a_reader_cannot_save(people, still):
    version = people["Anna"].say(still, seen(people["Anna"], still), classes={"lesion_type": "hcc"}).json()["version"]
    other = people["Otto"].take_back(still, version)
    assert (other.status_code, "what Anna said" in other.json()["detail"]) == (409, True)
    assert people["Rita"].say(still, version, classes={"lesion_type": "cyst"}).status_code == 403
    assert people["Anna"].case(still)["reading"]["classes"] == {"lesion_type": "hcc"}


@pytest.mark.parametrize(
    ("reading", "told"),
    [
        ({"classes": {"lesion_type": "abscess"}}, "one of homogeneous"),
        ({"classes": {"mood": "good"}}, "notes of diagnosis, eligibility, lesion_type"),
        ({"boxes": [[-5, 0, 40, 40]]}, "within"),
        ({"boxes": [[10, 10, 11, 40]]}, "2 pixels wide"),
        ({"boxes": [[10, 10, 20, 20]], "frame": 1}, "frame from 0 to 0"),
        ({"boxes": [[10, 10, 20, 20]] * 51}, "50 at most"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(anna, still, reading, told):
    before = anna.case(still)
    refused = anna.say(still, before["reading"]["version"], **reading)
    assert refused.status_code == 422
    assert told in refused.json()["detail"]
    assert anna.case(still) == before


def test_a_class_said_on_a_segmentation_leaves_its_outline_as_it_is(anna, still, cases_app, tmp_path):
    services = cases_app.state.services
    grid = grid_of(services.host.image_path(still))
    array = np.zeros(grid.shape, np.uint8)
    array[0, 50:90, 40:70] = 1
    write_labelmap(tmp_path / "outline.seg.nrrd", Labelmap(array, grid, {"lesion": 1}))
    services.host.datastore.save_label(still, str(tmp_path / "outline.seg.nrrd"), "final", {"user": "Otto"})
    anna.say(still, seen(anna, still), classes={"lesion_type": "angioma"})
    label = services.cases.store.labels.latest(still, "final")
    assert label.file.endswith(".seg.nrrd")
    assert label.author == "Anna"
    assert anna.case(still)["reading"]["boxes"] == [[40, 50, 70, 90]]
    assert trained_on(cases_app, still, "us_fll") == ("angioma", [[50, 40, 90, 70]])
    assert trained_on(cases_app, still, "us_fll") is not None


def test_a_label_says_a_class_by_rest_and_one_that_there_is_not_is_told(anna, still, cases_app, tmp_path):
    def put(classes):
        boxes = {"label": ("boxes.json", b'{"markups": []}'), "params": (None, json.dumps({"classes": classes}))}
        return anna.ask("PUT", "/datastore/label", params={"image": still}, files=boxes)

    assert put({"lesion_type": "cyst"}).json()["classes"] == {"lesion_type": "cyst"}
    assert trained_on(cases_app, still, "us_fll") == ("cyst", [])
    refused = put({"lesion_type": "abscess"})
    assert (refused.status_code, "one of homogeneous" in refused.json()["detail"]) == (422, True)
    assert trained_on(cases_app, still, "us_fll") == ("cyst", [])


def test_undo_and_removal_take_back_the_class_of_a_correction_in_slicer_too(anna, people, still, cases_app):
    """In 3D Slicer and by REST a class is the name of what is drawn."""

    def correct(name):
        boxes = encode_rois([ROI((0, 0, -1, 5, 5, 1), name)])
        files = {"label": ("boxes.mrk.json", boxes), "params": (None, "{}")}
        return anna.ask("PUT", "/datastore/label", params={"image": still}, files=files).json()["classes"]

    anna.say(still, seen(anna, still), classes={"lesion_type": "cyst"})
    assert correct("angioma") == {"lesion_type": "angioma"}
    anna.take_back(still, seen(anna, still))
    assert anna.case(still)["reading"]["classes"] == {"lesion_type": "cyst"}
    assert trained_on(cases_app, still, "us_fll") == ("cyst", [])
    correct("fnh")
    label = {"id": still, "tag": "final"}
    assert people["Viktor"].ask("DELETE", "/datastore/label", params=label).status_code == 200
    assert anna.case(still)["reading"]["classes"] == {}
    assert trained_on(cases_app, still, "us_fll") is None


@pytest.mark.parametrize("content", [b'{"x": 1}', NO_CENTRE])
def test_boxes_that_cannot_be_read_are_refused_and_what_was_said_stays(anna, still, content):
    version = anna.say(still, seen(anna, still), classes={"lesion_type": "fnh"}, boxes=[[40, 50, 70, 90]]).json()
    params = json.dumps({"classes": {"lesion_type": "cyst"}})
    files = {"label": ("boxes.mrk.json", content), "params": (None, params)}
    assert anna.ask("PUT", "/datastore/label", params={"image": still}, files=files).status_code == 422
    reading = anna.case(still)["reading"]
    assert (reading["version"], reading["boxes"]) == (version["version"], [[40, 50, 70, 90]])
    assert reading["classes"] == {"lesion_type": "fnh"}


@pytest.mark.parametrize(
    ("said", "boxes"), [({"classes": {"lesion_type": "fnh"}}, []), ({"boxes": [[40, 50, 70, 90]]}, [[40, 50, 70, 90]])]
)
def test_an_image_whose_boxes_were_broken_before_opens_and_saying_something_heals_it(
    anna, still, cases_app, tmp_path, said, boxes
):
    (tmp_path / "boxes.mrk.json").write_bytes(NO_CENTRE)
    store = cases_app.state.services.cases.store
    broken = store.labels.save(still, "final", tmp_path / "boxes.mrk.json", author="Otto")
    reading = anna.case(still)["reading"]
    assert (reading["boxes"], "3 numbers" in reading["unreadable"]) == ([], True)
    assert anna.say(still, broken.version, **said).status_code == 200
    reading = anna.case(still)["reading"]
    assert (reading["boxes"], reading["unreadable"]) == (boxes, "")


def test_boxes_of_one_cine_lie_each_on_its_own_frame(anna, ultrasound):
    cine, first, second = ultrasound["cine"], [20, 30, 50, 60], [60, 70, 75, 85]
    version = anna.say(cine, seen(anna, cine), boxes=[first], frames=[5]).json()["version"]
    version = anna.say(cine, version, boxes=[second, first], frames=[7, 5]).json()["version"]
    reading = anna.case(cine)["reading"]
    assert (reading["boxes"], reading["frames"], reading["frame"]) == ([first, second], [5, 7], 5)
    version = anna.say(cine, version, boxes=[first, second], frame=6).json()["version"]
    assert anna.case(cine)["reading"]["frames"] == [6, 6], "who does not say frames says one for all"
    assert anna.say(cine, version, boxes=[first, second], frames=[6]).status_code == 422
    anna.say(cine, version, boxes=[], frames=[])
    assert anna.case(cine)["reading"]["frames"] == []


def test_a_box_of_slicer_that_lies_on_several_frames_stays_on_them_when_another_is_added(
    anna, ultrasound, cases_app, tmp_path
):
    cine, services = ultrasound["cine"], cases_app.state.services
    grid, store = grid_of(services.host.image_path(cine)), services.cases.store
    drawn = [[0, 30, 20, 3, 60, 50], [4, 12.25, 60, 9, 31.5, 80]]
    file = tmp_path / "boxes.mrk.json"
    file.write_bytes(encode_rois([ROI(tuple(box), "lesion") for box in from_voxels(drawn, grid).tolist()]))
    version = store.labels.save(cine, "final", file, author="Otto").version
    told = anna.case(cine)["reading"]
    added = {"boxes": [*told["boxes"], [2, 2, 6, 6]], "frames": [*told["frames"], 8]}
    version = anna.say(cine, version, **added).json()["version"]

    def lesions():
        rois = read_rois(store.labels.path(store.labels.latest(cine, "final")))
        return sorted(np.array(to_voxels([roi.box for roi in rois], grid)).round(2).tolist())

    assert lesions() == sorted([*drawn, [8, 2, 2, 9, 6, 6]])
    moved = [*added["frames"][:2], 1]
    anna.say(cine, version, boxes=[*told["boxes"], [2, 2, 6, 6]], frames=moved)
    assert lesions() == sorted([*drawn, [1, 2, 2, 2, 6, 6]])
    store.labels.remove(cine, "final", author="test")


def test_a_picture_without_a_lesion_trains_without_what_is_drawn(anna, still, cases_app):
    version = anna.say(still, seen(anna, still), boxes=[[40, 50, 70, 90]]).json()["version"]
    anna.say(still, version, classes={"lesion_type": "homogeneous"})
    assert trained_on(cases_app, still, "us_fll") == ("homogeneous", [])


def test_a_training_takes_what_readers_corrected(anna, still, ultrasound, cases_app, tmp_path):
    others = ultrasound["others"]
    for image, name in zip((still, *others), ("hcc", "hcc", "non_hcc"), strict=True):
        reading = {"classes": {"diagnosis": name}, "boxes": [[40, 50, 70, 90]]}
        assert anna.say(image, seen(anna, image), **reading).status_code == 200
    version = seen(anna, still)
    corrected = anna.say(still, version, classes={"diagnosis": "non_hcc"}, boxes=[[44, 52, 74, 94]])
    assert corrected.status_code == 200

    datastore = cases_app.state.services.host.datastore
    trainer = HepaticTrainTask(RECIPE, Registry(tmp_path / "models"), tmp_path / "runs")
    trained = trainer({"max_epochs": 1, "start": "scratch", "job_dir": str(tmp_path)}, datastore)
    assert trained["version"]
    case = next(one for one in Plan.read(tmp_path / "plan.json").cases if one.image_id == still)
    sample = TASKS["us_bmode"].prepare(case.sample(TASKS["us_bmode"]))
    assert sample["truth"] == "non_hcc"
    assert sample["facts"]["roi"] == pytest.approx([44, 52, 74, 94])
    assert sample["facts"]["roi_from"] == "label"


@pytest.mark.parametrize("forged", [{"restored_from": 1}, {"restored_from": 999}, {"restored_from": "x", "event": "e"}])
def test_a_client_that_sends_back_the_history_it_was_told_changes_none(anna, people, still, tmp_path, forged):
    anna.say(still, seen(anna, still), boxes=[[20, 30, 60, 70]], classes={"lesion_type": "hcc"})
    file = tmp_path / "theirs.mrk.json"
    file.write_bytes(encode_rois([ROI((10, 10, -0.5, 40, 40, 0.5), "lesion")]))
    forged |= {"classes_before": {"lesion_type": "fnh"}, "review": {"study": "1", "event": "", "version": 2}}
    with file.open("rb") as sent:
        saved = people["Otto"].ask(
            "PUT", "/datastore/label", params={"image": still, "tag": "final"},
            data={"params": json.dumps(forged)}, files={"label": ("theirs.mrk.json", sent)},
        )  # fmt: skip
    assert saved.status_code == 200, saved.text
    theirs = anna.case(still)["reading"]["boxes"]
    version = anna.say(still, seen(anna, still), classes={"lesion_type": "cyst"}).json()["version"]
    assert anna.take_back(still, version).json() == {"restored": version - 1, "version": version + 1}
    assert anna.case(still)["reading"]["boxes"] == theirs


def test_a_reader_says_whether_an_image_is_fit_to_learn_from(anna, people, still, cases_app):
    def flags():
        told = anna.get(f"/{still}/eligibility")
        assert told.status_code == 200, told.text
        return [one["flag"] for one in told.json()["flags"]]

    version = anna.say(still, seen(anna, still), classes={"diagnosis": "hcc"}, boxes=[[40, 50, 70, 90]]).json()[
        "version"
    ]
    assert flags() == ["no_contrast"], "the study is a still"
    version = anna.say(still, version, classes={"eligibility": "shadow"}).json()["version"]
    told = people["Rita"].get(f"/{still}/eligibility").json()
    assert (told["eligible"], told["said"]) == (False, "shadow")
    assert told["flags"][0] == {"flag": "shadow", "why": "a reader says so", "criterion": "exclusion d"}
    with pytest.raises(BadInputError, match="shadow"):
        trained_on(cases_app, still, "us_bmode")
    assert anna.case(still)["history"][0]["classes"] == {"eligibility": "shadow"}
    version = anna.say(still, version, classes={"eligibility": "eligible"}).json()["version"]
    assert anna.get(f"/{still}/eligibility").json()["eligible"]
    assert trained_on(cases_app, still, "us_bmode") == ("hcc", [[50, 40, 90, 70]])
    for left in ("shadow", ""):
        version = anna.take_back(still, version).json()["version"]
        assert anna.get(f"/{still}/eligibility").json()["said"] == left
    assert anna.say(still, version, classes={"eligibility": "blurred"}).status_code == 422
    version = anna.say(still, version, classes={"diagnosis": "", "lesion_type": "cyst"}, boxes=[]).json()["version"]
    assert flags() == ["no_contrast", "no_box"]
    anna.say(still, version, classes={"lesion_type": "homogeneous"})
    assert flags() == ["no_contrast"], "where there is no lesion, no box is missing"
