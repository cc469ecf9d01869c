"""The class of an image in the label that a reader saved: names of segments, of boxes, or said outright."""

import numpy as np
import pytest

import infer_tasks
from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.read_classes import class_named, take_classes
from hepatic.adapters.region_mask import region_mask
from hepatic.adapters.train import HepaticTrainTask
from hepatic.adapters.training_cases import cases_for
from hepatic.engine.answer import Classification
from hepatic.engine.label_boxes import boxes_on_picture, parts
from hepatic.engine.weights import Registry
from hepatic.engine.whole_image import outline, without_outline
from hepatic.errors import BadInputError
from hepatic.io.grid import grid_of
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.markups import ROI, encode_rois
from hepatic.tasks.discover import discover_tasks
from sample_data.us import write_us
from train_tasks.us_fll import RECIPE

TASKS = discover_tasks(infer_tasks)
TASKNOTES = ("diagnosis", "lesion_type")
TYPES, DIAGNOSES = TASKS["us_fll"].classes, TASKS["us_bmode"].classes


@pytest.mark.parametrize(
    ("name", "classes", "meant"),
    [
        ("hcc", DIAGNOSES, "hcc"),
        ("HCC p=0.93", DIAGNOSES, "hcc"),
        ("non_hcc p=0.61 (whole image)", DIAGNOSES, "non_hcc"),
        ("non-HCC", DIAGNOSES, "non_hcc"),
        ("Non HCC p = 0,07", DIAGNOSES, "non_hcc"),
        ("homogeneous p=1.00", TYPES, "homogeneous"),
        ("hcc p>0.99 (whole image)", DIAGNOSES, "hcc"),
        ("non_hcc p<0.01", DIAGNOSES, "non_hcc"),
        ("Haemangioma", TYPES, "angioma"),
        ("hemangioma p=0.61", TYPES, "angioma"),
        ("Hepatocellular carcinoma", TYPES, "hcc"),
        ("Hepatocellular_Carcinoma", DIAGNOSES, "hcc"),
        ("focal nodular hyperplasia", TYPES, "fnh"),
        ("Segment_1", TYPES, None),
        ("hcc cyst", TYPES, None),
        ("p=0.93", TYPES, None),
    ],
)
def test_a_name_means_a_class_however_it_is_spelt(name, classes, meant):
    assert class_named(name, classes) == meant


@pytest.fixture
def datastore(tmp_path):
    write_us(tmp_path, 1, seed=3, size="tiny", kind="hcc")
    store = HepaticDatastore(tmp_path / "studies", auto_rescan_seconds=None)
    yield store
    store.store.close()


@pytest.fixture
def save(datastore, tmp_path):
    image = datastore.list_images()[0]

    def save_(drawn, info=None, *, like_slicer=False):
        """Save a labelmap with a patch for each name drawn, or none; as 3D Slicer does, names are told beside it."""
        grid = grid_of(datastore.image_files(image)[0])
        array = np.zeros(grid.shape, np.uint8)
        for value, is_drawn in enumerate(drawn.values(), start=1):
            if is_drawn:
                array[0, 50:90, 20 * value : 20 * value + 10] = value
        names = {name: value for value, name in enumerate(drawn, start=1)}
        file = tmp_path / ("label.nrrd" if like_slicer else "label.seg.nrrd")
        write_labelmap(file, Labelmap(array, grid, names))
        told = {"label_info": [{"name": name, "idx": value} for name, value in names.items()]} if like_slicer else {}
        datastore.save_label(image, str(file), "final", {**told, **(info or {})})
        return take_classes(datastore.store, image, TASKS.values()).classes

    return save_


def notes(datastore):
    return datastore.get_image_info(datastore.list_images()[0])


@pytest.mark.parametrize("like_slicer", [False, True])
def test_the_name_under_which_something_is_drawn_is_the_class_and_its_boxes_train(datastore, save, like_slicer):
    assert save({"non_hcc p=0.83": False, "HCC p=0.17": True}, like_slicer=like_slicer) == {
        "diagnosis": "hcc", "lesion_type": "hcc",
    }  # fmt: skip
    assert notes(datastore)["lesion_type"] == "hcc"
    assert datastore.get_label_info(datastore.list_images()[0], "final")["classes"]["diagnosis"] == "hcc"
    (case,) = cases_for(TASKS["us_bmode"], datastore)
    assert case.sample(TASKS["us_bmode"])["boxes"][0] == pytest.approx((50, 40, 90, 50))


@pytest.mark.parametrize(
    "names",
    [
        ("cyst", "fnh"),
        ("hcc", "non_hcc"),
        ("hcc", "metastasis"),
        ("fnh p=0.49", "hcc p=0.44"),
        ("non_hcc p=0.98", "hcc p=0.02"),
        ("metastasis", "hcc", "non_hcc"),
    ],
)
def test_names_that_contradict_one_another_say_nothing_of_any_note_and_are_told(datastore, save, names):
    assert save(dict.fromkeys(names, True)) == {}
    assert not {*TASKNOTES} & notes(datastore).keys()
    told = take_classes(datastore.store, datastore.list_images()[0], TASKS.values()).told
    assert "contradict one another, so what is noted stays" in told
    assert all(name.split()[0] in told for name in names)


def test_names_that_agree_say_both_notes(datastore, save):
    assert save({"non_hcc": True, "fnh": True, "Segment_1": True}) == {"diagnosis": "non_hcc", "lesion_type": "fnh"}


def test_a_segment_of_another_name_leaves_the_class_as_it_was(datastore, save):
    save({"cyst": True})
    assert save({"lesion": True}) == {}
    assert notes(datastore)["lesion_type"] == "cyst"


@pytest.mark.parametrize(
    ("drawn", "classes"),
    [
        ({"homogeneous": False}, {"lesion_type": "homogeneous"}),
        ({"Homogeneous": False, "liver": True, "tumour": False}, {"lesion_type": "homogeneous"}),
        ({"homogeneous": False, "hcc": True}, {"diagnosis": "hcc", "lesion_type": "hcc"}),
        ({"homogeneous": False, "tumour": True}, {}),
        ({"hcc p=0.96": False, "homogeneous p=0.04": False}, {}),
        ({"hcc": False}, {}),
    ],
)
@pytest.mark.parametrize("like_slicer", [False, True])
def test_an_empty_segment_says_that_there_is_no_lesion_if_it_is_called_so(save, drawn, classes, like_slicer):
    assert save(drawn, like_slicer=like_slicer) == classes


def test_something_drawn_under_no_name_may_be_a_lesion(save):
    unnamed = {"label_info": [{"name": "homogeneous", "idx": 1}]}
    assert save({"homogeneous": False, "drawn": True}, unnamed, like_slicer=True) == {}


def test_what_the_new_name_contradicts_is_taken_back(datastore, save):
    assert save({"hcc": True}) == {"diagnosis": "hcc", "lesion_type": "hcc"}
    assert save({"metastasis": True}) == {"lesion_type": "metastasis", "diagnosis": ""}
    assert cases_for(TASKS["us_bmode"], datastore) == []
    assert save({"non-HCC": True}) == {"diagnosis": "non_hcc"}
    assert notes(datastore)["lesion_type"] == "metastasis", "a metastasis is no HCC"
    assert save({"hepatocellular carcinoma": True}) == {"diagnosis": "hcc", "lesion_type": "hcc"}
    assert save({"non-HCC": True}) == {"diagnosis": "non_hcc", "lesion_type": ""}


def test_names_of_which_no_class_is_read_are_told(datastore, save):
    save({"hcc": True})
    save({"haemangiom": True})
    told = take_classes(datastore.store, datastore.list_images()[0], TASKS.values())
    assert "what is noted stays. Classes are " in told.told
    assert "angioma" in told.told
    assert notes(datastore)["lesion_type"] == "hcc"
    save({"haemangioma": True})
    assert take_classes(datastore.store, datastore.list_images()[0], TASKS.values()).told == ""


@pytest.mark.parametrize(
    ("name", "drawn", "boxes"),
    [
        ("hcc", (), []),
        ("non-HCC", (), []),
        ("hcc p=0.63 (whole image)", (slice(50, 90), slice(40, 50)), [(50, 40, 90, 50)]),
        ("hcc p=0.63 (whole image)", (slice(10, 60), slice(20, 40)), [(12, 22, 60, 40)]),
    ],
)
def test_the_frame_of_the_whole_image_gives_a_class_and_no_box(datastore, tmp_path, name, drawn, boxes):
    image = datastore.list_images()[0]
    grid = grid_of(datastore.image_files(image)[0])
    facts = {"frame": 0, "roi": [20, 10, 140, 110], "roi_from": "whole image"}
    about = {"grid": grid, "version": "v1", "model_sha256": "0" * 64, "timings_ms": {}}
    array = region_mask(Classification(probabilities={}, label="hcc", facts=facts, **about))
    assert array[0, 10:110, 20:140].mean() < 0.2, "the picture can be seen"
    if drawn:
        array[0, *drawn] = 1
    file = tmp_path / "label.nrrd"
    write_labelmap(file, Labelmap(array, grid, {}))
    datastore.save_label(image, str(file), "final", {"label_info": [{"name": name, "idx": 1}]})
    taken = take_classes(datastore.store, image, TASKS.values())
    assert taken.classes["diagnosis"] == class_named(name, DIAGNOSES)
    assert ("without a box" in taken.told) == (not boxes)
    (case,) = cases_for(TASKS["us_bmode"], datastore)
    found = boxes_on_picture(case.label, grid, case.names)
    assert [box[:4] for box in found] == [pytest.approx(box) for box in boxes]
    assert [box[4:] for box in found] == [(0, 1)] * len(boxes)
    if not boxes:
        with pytest.raises(BadInputError, match="a box around the lesion"):
            case.sample(TASKS["us_bmode"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hcc p=1.00 (whole image)", None),
        ("hcc p=1.00 (whole image, no onset)", None),
        ("hcc", "hcc"),
        ("cyst p=0.98", "cyst"),
    ],
    ids=["us_ceus", "us_ceus without contrast", "a reader", "us_fll, which needs no box"],
)
def test_a_frame_says_no_class_where_a_model_named_it_that_nobody_showed_a_lesion(datastore, tmp_path, name, said):
    image = datastore.list_images()[0]
    grid = grid_of(datastore.image_files(image)[0])
    array = np.zeros(grid.shape, np.uint8)
    array[0, 10:110, 20:140] = outline((100, 120))
    file = tmp_path / "label.nrrd"
    write_labelmap(file, Labelmap(array, grid, {}))
    datastore.save_label(image, str(file), "final", {"label_info": [{"name": name, "idx": 1}]})
    before = notes(datastore)
    taken = take_classes(datastore.store, image, TASKS.values())
    assert taken.classes.get("lesion_type") == said
    if said is None:
        assert (taken.classes, notes(datastore)) == ({}, before)
        assert "Draw the lesion's box" in taken.told


def test_a_lesion_that_is_a_filled_rectangle_keeps_its_box():
    labels = np.zeros((1, 120, 160), np.uint8)
    labels[0, 10:110, 20:140] = 1
    assert (without_outline(labels) == labels).all()


def framed():
    """A frame around a region of a picture, in segment 1."""
    labels = np.zeros((1, 120, 200), np.uint8)
    labels[0, 10:110, 20:140][outline((100, 120))] = 1
    return labels


@pytest.mark.parametrize(
    ("rows", "columns", "boxes"),
    [
        (slice(10, 12), slice(60, 70), {}),
        (slice(0, 120), slice(0, 40), {}),
        (slice(10, 14), slice(0, 70), {}),
        (slice(40, 60), slice(120, 140), {2: [(40, 120, 60, 138)]}),
        (slice(40, 60), slice(120, 160), {2: [(40, 120, 60, 138), (40, 140, 60, 160)]}),
        (slice(40, 60), slice(160, 180), {2: [(40, 160, 60, 180)]}),
        (slice(40, 60), slice(60, 80), {2: [(40, 60, 60, 80)]}),
    ],
)
def test_a_frame_that_was_erased_in_part_or_drawn_over_is_no_lesion(rows, columns, boxes):
    labels = framed()
    labels[0, rows, columns] = 2 * bool(boxes)
    left = without_outline(labels)
    found = {value: [(*one[1:3], *one[4:]) for one in parts(left == value)] for value in (1, 2)}
    assert found == {1: [], 2: [], **boxes}


def test_a_hollow_rectangle_around_a_lesion_keeps_its_box():
    labels = np.zeros((1, 200, 300), np.uint8)
    labels[0, 60:120, 80:160] = outline((60, 80))
    assert (without_outline(labels) == labels).all()
    labels[0, 80:100, 100:130] = 1
    assert (without_outline(labels) == labels).all()


@pytest.mark.parametrize("edge_px", [1, 3, 4])
def test_a_large_hollow_rectangle_of_another_line_than_the_frame_s_keeps_its_box(edge_px):
    labels = np.zeros((1, 200, 300), np.uint8)
    labels[0, 20:180, 40:260] = 1
    labels[0, 20 + edge_px : 180 - edge_px, 40 + edge_px : 260 - edge_px] = 0
    assert (without_outline(labels) == labels).all()


def test_a_frame_beside_a_lesion_of_another_name_says_nothing(datastore, tmp_path):
    image = datastore.list_images()[0]
    grid = grid_of(datastore.image_files(image)[0])
    array = np.zeros(grid.shape, np.uint8)
    array[0, 10:110, 20:140][outline((100, 120))] = 1
    array[0, 50:70, 50:70] = 2
    file = tmp_path / "label.seg.nrrd"
    write_labelmap(file, Labelmap(array, grid, {"hcc p=0.63 (whole image)": 1, "non_hcc p=0.37": 2}))
    datastore.save_label(image, str(file), "final", {})
    assert take_classes(datastore.store, image, TASKS.values()).classes == {"diagnosis": "non_hcc"}
    (case,) = cases_for(TASKS["us_bmode"], datastore)
    assert case.sample(TASKS["us_bmode"])["boxes"] == [pytest.approx((50, 50, 70, 70))]


def test_a_label_that_is_removed_takes_its_classes_along_and_no_others(datastore, save):
    image = datastore.list_images()[0]
    datastore.update_image_info(image, {"diagnosis": "non_hcc"})
    save({"cyst": True})
    save({"hcc": True})
    datastore.remove_label(image, "final")
    assert {note: notes(datastore)[note] for note in TASKNOTES} == {"diagnosis": "non_hcc", "lesion_type": ""}


def test_what_is_said_outright_counts_more_than_names_and_can_be_taken_back(datastore, save):
    assert save({"cyst": True}, {"classes": {"lesion_type": "fnh"}}) == {"lesion_type": "fnh"}
    save({"cyst": True}, {"classes": {"lesion_type": ""}})
    assert cases_for(TASKS["us_fll"], datastore) == []


@pytest.mark.parametrize("said", ["hcc", {"lesion_type": "abscess"}, {"mood": "good"}, {"lesion_type": 3}])
def test_a_class_that_there_is_not_is_refused(datastore, save, said):
    with pytest.raises(BadInputError):
        save({"cyst": True}, {"classes": said})
    assert "lesion_type" not in notes(datastore)


def test_regions_of_interest_are_named_too(datastore, save, tmp_path):
    image = datastore.list_images()[0]
    file = tmp_path / "boxes.json"
    file.write_bytes(encode_rois([ROI((0, 0, -1, 5, 5, 1), "metastasis")]))
    datastore.save_label(image, str(file), "final", {})
    assert take_classes(datastore.store, image, TASKS.values()).classes == {"lesion_type": "metastasis"}


def test_a_training_without_classes_says_which_note_is_missing(datastore, save, tmp_path):
    save({"lesion": True})
    trainer = HepaticTrainTask(RECIPE, Registry(tmp_path / "models"), tmp_path / "runs")
    with pytest.raises(BadInputError, match="class is noted, under 'lesion_type', but found none"):
        trainer({"start": "scratch"}, datastore)
