"""What a viewer sees of a training task, and what it may send."""

import dataclasses
import json

import numpy as np
import pydicom
import pytest
import torch

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.scoring import ForegroundEntropy
from hepatic.adapters.train import HepaticTrainTask
from hepatic.adapters.training_cases import cases_for, labelled_cases
from hepatic.boxes import from_voxels
from hepatic.engine.cases import data_hash
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.harvest.noted_class import noted_classes
from hepatic.harvest.store import ReviewStore
from hepatic.io.grid import grid_of
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import names_in, write_labelmap
from hepatic.io.markups import ROI, encode_rois
from hepatic.io.read import read
from hepatic.io.sidecar import Sidecar, write_sidecar
from hepatic.store.label import label_names
from hepatic.store.score import read_scores
from sample_data.ceus import write_ceus
from tests.engine import test_start
from tests.engine.test_fit import BOX, QUICK, TASK, serve
from tests.engine.toys import CLASSIFICATION, CLASSIFIER, DETECTION, DETECTOR, LIVER, box_of, write_ct
from tests.runs import write_run
from train_tasks.us_ceus import RECIPE as US_CEUS


@pytest.fixture
def studies(tmp_path):
    """Four runs of four patients, three of them labelled, and an ultrasound cine."""
    folder = tmp_path / "studies"
    folder.mkdir()
    for number in range(4):
        write_run(folder / f"{number}.dcm", seed=number, patient=f"P{number}", dark=BOX)
    write_run(folder / "us.dcm", seed=9, patient="P9", modality="US")
    datastore = HepaticDatastore(folder, auto_rescan_seconds=None)
    runs = [i for i in datastore.list_images() if datastore.get_image_info(i)["modality"] == "XA"]
    for image_id in runs[:3]:
        grid = read(datastore.image_files(image_id)[0]).grid
        array = read(datastore.image_files(image_id)[0]).frames * 0
        array[(6, *BOX)] = 1
        write_labelmap(tmp_path / "label.nrrd", Labelmap(array, grid))
        info = {"label_info": [{"name": "tumour", "idx": 1}]}
        datastore.save_label(image_id, str(tmp_path / "label.nrrd"), "final", info)
    return datastore


@pytest.fixture
def trainer(tmp_path):
    return HepaticTrainTask(QUICK, Registry(tmp_path / "models"), tmp_path / "runs")


def test_a_run_is_trained_from_the_labels_of_a_studies_folder(studies, trainer):
    stats = trainer({"model": TASK.name, "max_epochs": 1}, studies)
    assert stats == trainer.stats()
    assert stats["epoch"] == stats["total_epochs"] == 1
    assert isinstance(stats["best_metric"], float)
    json.dumps(stats, allow_nan=False)


def test_while_it_runs_viewers_see_how_far_it_is(studies, trainer, monkeypatch):
    seen = []
    tell = trainer._tell
    monkeypatch.setattr(trainer, "_tell", lambda now: (tell(now), seen.append(trainer.stats())))
    trainer({"max_epochs": 2}, studies)
    assert [(s["epoch"], s["total_epochs"]) for s in seen] == [(1, 2), (2, 2)]
    assert all("total_time" not in s for s in seen), "Slicer takes total_time as the end"


def test_a_combo_box_nobody_touched_sends_the_preset_that_is_served(tmp_path, studies):
    registry = Registry(tmp_path / "models")
    trainer = HepaticTrainTask(QUICK, registry, tmp_path / "runs")
    assert trainer.config()["preset"] == ["small", "paper"]
    trainer({"max_epochs": 1, "preset": "paper"}, studies)
    registry.promote(TASK.name, registry.versions(TASK.name)[-1].version)
    assert trainer.config()["preset"] == ["paper", "small"]
    trainer({"max_epochs": 1, **{name: value for name, value in trainer.config().items() if name == "preset"}}, studies)
    assert registry.versions(TASK.name)[-1].card.preset == "paper"


@pytest.mark.parametrize("sent", [{"max_epochs": -1}, {"start": "elsewhere"}, {"preset": "huge"}, {"seed": "x"}])
def test_a_parameter_out_of_range_is_refused_before_anything_is_read(studies, trainer, sent):
    with pytest.raises(BadInputError, match=next(iter(sent))):
        trainer(sent, studies)
    assert trainer.stats() == {}


def test_only_labels_of_the_tasks_modality_are_trained_on(studies):
    cases = labelled_cases(studies, modality="XA")
    assert len(cases) == 3
    assert len({case.patient_id for case in cases} & {"P0", "P1", "P2", "P3"}) == 3
    assert all(case.names == {"tumour": 1} for case in cases)
    assert labelled_cases(studies, modality="CT") == []


@pytest.mark.parametrize("entries", [3, [{"idx": 1}], [{"name": "a", "idx": "x"}]])
def test_label_info_of_another_shape_is_refused(entries):
    with pytest.raises(BadInputError, match="label_info"):
        label_names({"label_info": entries})


def test_a_name_that_comes_twice_takes_no_other_structure_s_value():
    listed = [{"name": name, "idx": value} for value, name in enumerate(("tumour", "tumour", "liver"), 1)]
    array = np.arange(4, dtype=np.uint8).reshape(1, 2, 2)
    named = names_in(Labelmap(array, Grid((2, 2, 1), np.eye(4))), label_names({"label_info": listed}))
    assert named == {"tumour": 1, "tumour (2)": 2, "liver": 3}


def test_a_label_that_cannot_be_read_is_refused_when_it_is_saved(studies, tmp_path):
    (tmp_path / "broken.nrrd").write_bytes(b"NRRD0004\nno")
    with pytest.raises(BadInputError):
        studies.save_label(studies.list_images()[0], str(tmp_path / "broken.nrrd"), "final", {})


def test_unlabelled_runs_are_scored_and_images_of_other_modalities_are_not(studies, tmp_path):
    registry = Registry(tmp_path / "models")
    version = serve(registry, answer=0.5).version
    method = ForegroundEntropy(dataclasses.replace(TASK), Predictor(registry, device="cpu"))
    assert method.info()["per_image"] is True
    scores = method({}, studies)["scores"]
    assert len(scores) == 1
    (image_id,) = scores
    (score,) = read_scores(studies.get_image_info(image_id))
    assert (score.model, score.version, score.score) == (TASK.name, version, scores[image_id])


class CutOffError(Exception):
    pass


def test_a_training_that_was_cut_off_goes_on_with_the_labels_and_the_version_it_began_with(
    studies, tmp_path, monkeypatch
):
    def trainer(name):
        registry = Registry(tmp_path / name / "models")
        torch.manual_seed(0)
        serve(registry, answer=-3.0)
        return HepaticTrainTask(QUICK, registry, tmp_path / name / "runs")

    asked = {"model": TASK.name, "max_epochs": 3, "seed": 5}
    whole = trainer("whole")
    expected = whole({**asked, "job_dir": str(tmp_path)}, studies)
    (tmp_path / "plan.json").unlink()

    cut, epochs = trainer("cut"), []

    def tell(now):
        epochs.append(now.epoch)
        if len(epochs) == 2:
            raise CutOffError

    monkeypatch.setattr(cut, "_tell", tell)
    with pytest.raises(CutOffError):
        cut({**asked, "job_dir": str(tmp_path)}, studies)
    cut._registry.promote(TASK.name, serve(cut._registry, answer=-1.0).version)  # meanwhile another one is served,
    for image_id in studies.get_unlabeled_images():  # and a reader has labelled another run
        if studies.get_image_info(image_id)["modality"] == "XA":
            grid = read(studies.image_files(image_id)[0]).grid
            array = read(studies.image_files(image_id)[0]).frames * 0
            array[(6, *BOX)] = 1
            write_labelmap(tmp_path / "label.nrrd", Labelmap(array, grid))
            studies.save_label(image_id, str(tmp_path / "label.nrrd"), "final", {})
    resumed = cut({**asked, "job_dir": str(tmp_path)}, studies)

    assert epochs == [1, 2, 2, 3], "the epoch whose checkpoint was not written yet is repeated, the one before is not"
    assert resumed["metrics"] == expected["metrics"]
    versions = {name: made._registry.version(TASK.name, stats["version"]) for name, made, stats in (
        ("whole", whole, expected), ("cut", cut, resumed)
    )}  # fmt: skip
    assert versions["cut"].card.sha256 == versions["whole"].card.sha256
    assert versions["cut"].parent == versions["whole"].parent

    count = len(cut._registry.versions(TASK.name))
    again = cut({**asked, "job_dir": str(tmp_path)}, studies)  # killed between its end and the note of it
    assert (again["version"], again["epoch"]) == (resumed["version"], 3)
    assert len(cut._registry.versions(TASK.name)) == count
    assert len(epochs) == 4


def four_patients(folder):
    """Dark and bright images of four patients, with nothing said of them."""
    folder.mkdir()
    for number in range(4):
        write_sidecar(folder / f"{number}.nrrd", Sidecar(f"P{number}", None, None, "CT"))
        write_ct(folder / f"{number}.nrrd", seed=number, level=200 if number % 2 else -200)
    return HepaticDatastore(folder, auto_rescan_seconds=None)


def test_a_classifier_is_trained_on_the_classes_that_stand_in_the_notes_of_images(tmp_path):
    datastore = four_patients(tmp_path / "ct")
    for image_id in datastore.list_images()[:3]:
        datastore.update_image_info(image_id, {"phase": "bright" if int(image_id[0]) % 2 else "dark"})
    cases = cases_for(CLASSIFIER, datastore)
    assert [(case.patient_id, case.truth) for case in cases] == [("P0", "dark"), ("P1", "bright"), ("P2", "dark")]
    trainer = HepaticTrainTask(CLASSIFICATION, Registry(tmp_path / "models"), tmp_path / "runs")
    stats = trainer({"max_epochs": 2, "job_dir": str(tmp_path)}, datastore)
    assert "accuracy" in stats["metrics"]
    again = trainer({"job_dir": str(tmp_path)}, datastore)
    assert again["version"] == stats["version"], "its plan was read again"


BOXED = dataclasses.replace(CLASSIFIER, name="toy_boxed", uses_boxes=True)


@pytest.fixture
def noted(tmp_path):
    """Four patients whose images say their class; on the first a lesion is drawn."""
    datastore = four_patients(tmp_path / "ct")
    for image_id in datastore.list_images():
        datastore.update_image_info(image_id, {"phase": "bright" if int(image_id[0]) % 2 else "dark"})
    draw(datastore, tmp_path, (3, 5, 5))
    return datastore


def draw(datastore, folder, centre):
    (folder / "boxes.json").write_bytes(encode_rois([ROI(box_of(centre))]))
    datastore.save_label(datastore.list_images()[0], str(folder / "boxes.json"), "final", {})


def test_a_classifier_learns_from_its_snapshot_whatever_is_said_before_and_after_it_is_trained(noted, tmp_path):
    store = ReviewStore(tmp_path / "data" / "harvest")
    now = data_hash(cases_for(BOXED, noted))
    taken = store.snapshot(labels=[one.as_json() for one in noted_classes(noted.store, [BOXED])]).sha256
    first, _, third, *_ = noted.list_images()
    draw(noted, tmp_path, (3, 5, 9))  # between the snapshot and the training
    noted.update_image_info(third, {"phase": "bright"})
    assert data_hash(cases_for(BOXED, noted)) != now

    recipe = dataclasses.replace(CLASSIFICATION, task=BOXED)
    registry = Registry(tmp_path / "models")
    trainer = HepaticTrainTask(recipe, registry, tmp_path / "runs", data_dir=tmp_path / "data")
    asked = {"max_epochs": 2, "start": "scratch", "seed": 3, "snapshot": f"harvest/snapshots/{taken}.json"}
    made = [registry.version(recipe.name, trainer(asked, noted)["version"]).card for _ in range(2)]
    assert [(card.data["snapshot"], card.data["sha256"]) for card in made] == [(taken, now)] * 2
    assert made[0].sha256 == made[1].sha256, "it can be made again from the snapshot"

    latest = registry.version(recipe.name, trainer({**asked, "snapshot": ""}, noted)["version"]).card
    assert latest.data["sha256"] == data_hash(cases_for(BOXED, noted))

    drawn = noted.store.labels.path(noted.store.labels.get(first, "final", 1))
    kept = drawn.read_bytes()
    drawn.write_bytes(kept + b" ")
    with pytest.raises(BadInputError, match="another checksum"):
        trainer(asked, noted)
    drawn.unlink()
    with pytest.raises(BadInputError, match=f"1 of 4 that have gone, first {first}"):
        trainer(asked, noted)
    store.close()


def test_a_snapshot_without_images_for_a_classifier_says_so(noted, tmp_path):
    other = dataclasses.replace(BOXED, note="stage")
    store = ReviewStore(tmp_path / "data" / "harvest")
    taken = store.snapshot(labels=[one.as_json() for one in noted_classes(noted.store, [BOXED, other])])
    assert taken.summary["labels"] == {"phase": 4}
    recipe = dataclasses.replace(CLASSIFICATION, task=other)
    trainer = HepaticTrainTask(recipe, Registry(tmp_path / "models"), tmp_path / "runs", data_dir=tmp_path / "data")
    with pytest.raises(BadInputError, match="images with the note 'stage'"):
        trainer({"snapshot": taken.sha256}, noted)
    store.close()


def test_imagenet_weights_that_do_not_fit_or_are_of_no_use_are_refused_before_a_label_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("hepatic.adapters.train.cases_for", lambda *_, **__: pytest.fail("read"))
    registry = Registry(tmp_path / "models")
    trainer = HepaticTrainTask(test_start.RECIPE, registry, tmp_path / "runs")
    for name, weights in (("good", test_start.GIVEN), ("other", {"layer.weight": torch.zeros(1)})):
        torch.save(weights, tmp_path / f"{name}.pth")
    for name, reason in (("gone", "no gone.pth"), ("other", "without conv1.weight")):
        with pytest.raises(BadInputError, match=reason):
            trainer({"imagenet": str(tmp_path / f"{name}.pth")}, None)
    useless = dataclasses.replace(test_start.RECIPE, imagenet="")
    with pytest.raises(BadInputError, match="a preset that begins with them"):
        HepaticTrainTask(useless, registry, tmp_path)({"imagenet": str(tmp_path / "good.pth")}, None)
    with pytest.raises(pytest.fail.Exception, match="read"):
        trainer({"imagenet": str(tmp_path / "good.pth")}, None)


def test_a_detector_is_trained_on_boxes_that_slicer_saved_and_a_segmentation_is_not(tmp_path):
    folder = tmp_path / "ct"
    folder.mkdir()
    for number in range(4):
        write_sidecar(folder / f"{number}.nrrd", Sidecar(f"P{number}", None, None, "CT"))
        write_ct(folder / f"{number}.nrrd", (3, 5, 5 + number), seed=number)
    datastore = HepaticDatastore(folder, auto_rescan_seconds=None)
    for number, image_id in enumerate(datastore.list_images()):
        (tmp_path / "boxes.json").write_bytes(encode_rois([ROI(box_of((3, 5, 5 + number)))]))
        known = {"boxes_known": "positives_only"} if number == 2 else {}  # one that trains
        datastore.save_label(image_id, str(tmp_path / "boxes.json"), "final", {"label_info": [], **known})
    cases = cases_for(DETECTOR, datastore)
    assert [case.complete for case in cases] == [True, True, False, True], "not all lesions of one are marked"
    assert [case.sample(DETECTOR)["complete"] for case in cases] == [True, True, False, True]
    assert cases_for(LIVER, datastore) == []
    trainer = HepaticTrainTask(DETECTION, Registry(tmp_path / "models"), tmp_path / "runs")
    assert trainer({"max_epochs": 20}, datastore)["metrics"]["p1td_10"] == 1


def test_an_abbreviation_keeps_its_capitals(tmp_path):
    task = HepaticTrainTask(US_CEUS, Registry(tmp_path), tmp_path)
    assert task.description == "Train HCC or another tumour, from a contrast cine"


@pytest.fixture(scope="module")
def children(tmp_path_factory):
    """Contrast cines of two children, with class and box; stills of their studies lie beside them."""
    out = tmp_path_factory.mktemp("children")
    write_ceus(out, 2, seed=3, size="tiny")
    files = sorted((out / "studies").rglob("*.dcm"), key=lambda file: file.stat().st_size)
    children = [pydicom.dcmread(file) for file in files[2:]]
    for file, child in zip(files[2:], children, strict=True):
        child.PatientAge = "012Y"
        child.save_as(file)
    datastore = HepaticDatastore(out / "studies", auto_rescan_seconds=None)
    for child in children:
        image = str(child.SeriesInstanceUID)
        grid = grid_of(datastore.image_files(image)[0])
        box = tuple(from_voxels([[0, 40, 30, 1, 60, 60]], grid)[0].tolist())
        (out / "box.mrk.json").write_bytes(encode_rois([ROI(box, "lesion")]))
        datastore.save_label(image, str(out / "box.mrk.json"), "final", {})
        datastore.update_image_info(image, {"diagnosis": "hcc"})
    yield datastore
    datastore.store.close()


@pytest.mark.parametrize(
    ("preset", "flagged", "is_left_out"),
    [
        ("small", "preset", False),
        ("paper", "preset", True),
        ("res3d", "preset", True),
        ("paper", "take", False),
        ("small", "leave_out", True),
    ],
)
def test_what_paper_002_excludes_is_left_out_by_its_presets_or_as_asked(
    children, tmp_path, monkeypatch, caplog, preset, flagged, is_left_out
):
    trainer = HepaticTrainTask(US_CEUS, Registry(tmp_path / "models"), tmp_path / "runs")
    assert trainer.config()["flagged"] == ["preset", "leave_out", "take"]
    monkeypatch.setattr("hepatic.engine.fit.train_members", lambda *_, **__: pytest.fail("trains"))
    with pytest.raises((BadInputError, pytest.fail.Exception)):
        trainer({"preset": preset, "flagged": flagged}, children)
    assert ("under_18 (the patient was 12 years old)" in caplog.text) == is_left_out
    assert "no_b_mode" not in caplog.text, "the study's still shows it"
