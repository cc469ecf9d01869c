"""The weights that come with hepatic: small, described, and right on phantoms they have not seen."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

import infer_tasks
from hepatic.boxes import hits
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.harvest.prepare import prepare_study
from hepatic.harvest.series import Series
from hepatic.harvest.study import Phase
from hepatic.io.labelmap import read_labelmap
from hepatic.metrics import dice
from hepatic.tasks.discover import discover_tasks
from sample_data.ct.flaws import Flaws
from sample_data.ct.study import simulate
from sample_data.ct.write import write_ct, write_study
from sample_data.us import write_us
from sample_data.write import write_dsa
from server.commands.demo_cases import demo_cases

TASKS = discover_tasks(infer_tasks)
SHIPPED = Path(__file__).parent.parent / "apps" / "hepatic" / "models"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(Registry(tmp_path_factory.mktemp("models"), shipped=SHIPPED), device="cpu")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three patients, each as the unsubtracted and then the subtracted series."""
    return write_dsa(tmp_path_factory.mktemp("runs"), 3, seed=700, size="small", variant="both")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Four-phase CT of two patients."""
    return write_ct(tmp_path_factory.mktemp("scans"), 2, seed=700, follow_ups=False)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_ships_small_weights_with_a_card_that_says_what_they_are(task, predictor):
    version = predictor.registry.served(task)
    assert version.weights_file.stat().st_size <= 8_000_000
    assert version.load()
    assert "phantoms" in version.card.notes
    assert f"hepatic models make-demo {task} " in version.card.notes
    assert version.metrics[version.card.key_metric] > 0.4


def test_ltdnet_finds_the_tumours_and_the_liver_of_patients_it_has_not_seen(predictor, runs):
    tumour, liver = [], []
    for run in runs[1::2]:
        found, truth = predictor.predict(TASKS["dsa_ltdnet"], run.image), read_labelmap(run.segmentation)
        key = found.facts["key_frame"]
        assert key == run.key_frame
        tumour.append(dice(found.labelmap[key] == 1, truth.array[key] == 1))
        liver.append(dice(np.isin(found.labelmap[key], (1, 2)), np.isin(truth.array[key], (1, 2))))
    assert np.mean(tumour) > 0.6
    assert np.min(liver) > 0.9


@pytest.mark.parametrize("task", [name for name, task in TASKS.items() if task.modality == "XA"])
def test_an_unsubtracted_run_gives_what_the_subtracted_one_gives(task, predictor, runs):
    agreement = []
    for unsubtracted, subtracted in zip(runs[::2], runs[1::2], strict=True):
        a, b = (predictor.predict(TASKS[task], run.image) for run in (unsubtracted, subtracted))
        assert a.facts["key_frame"] == b.facts["key_frame"]
        agreement.append(dice(a.labelmap > 0, b.labelmap > 0))
    assert np.mean(agreement) > 0.9


def test_each_tumour_is_described_in_pixels_and_millimetres(predictor, runs):
    found = predictor.predict(TASKS["dsa_ltdnet"], runs[0].image)
    lesions = found.facts["lesions"]
    assert lesions
    for lesion in lesions:
        left, top, right, bottom = lesion["box_px"]
        x, y = lesion["centre_px"]
        assert left <= x <= right
        assert top <= y <= bottom
        assert lesion["frame"] == found.facts["key_frame"]
        assert lesion["size_mm"] == pytest.approx(lesion["size_px"] * 0.4148, rel=0.02)
        assert 0.5 <= lesion["score"] <= 1


def test_the_liver_is_found_with_its_tumours_in_every_phase_of_patients_it_has_not_seen(predictor, scans):
    for scan in scans:
        for phase, series in scan.series.items():
            found, truth = predictor.predict(TASKS["ct_liver"], series), read_labelmap(scan.segmentations[phase])
            liver = truth.array > 0
            assert dice(found.labelmap == 1, liver) > 0.93
            assert found.facts["volume_ml"] == pytest.approx(liver.sum() * np.prod(found.grid.spacing) / 1000, rel=0.1)


def test_the_lesion_detector_finds_the_primary_tumours_of_patients_it_has_not_seen(predictor, scans):
    found = []
    for scan in scans:
        told = json.loads((scan.series["venous"].parents[3] / "truth" / "truth.json").read_text())
        lesions = told["images"][scan.series["venous"].name]["lesions"]
        primary = [lesion["box_lps_mm"] for lesion in lesions if lesion["primary"]]
        candidates = predictor.predict(TASKS["ct_centernet3d"], scan.series["venous"])
        found.append(hits(candidates.boxes, np.array(primary)).any())
    assert all(found)


def test_the_contrast_phase_is_told_from_the_picture_of_patients_it_has_not_seen(predictor, scans):
    pictures = [(phase, series) for scan in scans for phase, series in scan.series.items()]
    right = [predictor.predict(TASKS["ct_phase"], series).label == phase for phase, series in pictures]
    assert sum(right) >= len(pictures) - 1


def test_series_without_names_times_and_order_are_put_in_their_phases_by_the_picture(predictor, tmp_path):
    flaws = Flaws(order={"nc": 4, "arterial": 5, "venous": 2, "delayed": 3}, naming="meaningless")
    written = write_study(tmp_path, simulate(701), flaws)
    for folder in written.series.values():
        for file in folder.iterdir():
            dataset = pydicom.dcmread(file)
            del dataset.AcquisitionTime
            dataset.save_as(file)

    def find_phase(volume):
        found = predictor.classify(TASKS["ct_phase"], volume)
        return {Phase(name): probability for name, probability in found.probabilities.items()}

    study = prepare_study(
        [Series(phase, folder, "Abdomen 5.0", "1.2.3", "P1") for phase, folder in written.series.items()],
        find_phase=find_phase,
        find_liver=lambda volume: predictor.liver(TASKS["ct_liver"], volume),
        cache=tmp_path / "cache",
        methods=(),
    )
    assert {phase: volume.image_id for phase, volume in study.phases.items()} == {p: p.value for p in Phase}
    assert {volume.told_by for volume in study.phases.values()} == {"picture"}


def test_a_contrast_cine_tells_hcc_from_other_tumours_of_patients_it_has_not_seen(predictor, tmp_path):
    cases = demo_cases(TASKS["us_ceus"], tmp_path, 8, first_seed=700, progress=lambda: None)
    right = []
    for case in cases:
        top, left, bottom, right_edge = case.boxes[0]
        told = predictor.predict(TASKS["us_ceus"], case.source, params={"roi": f"{left},{top},{right_edge},{bottom}"})
        right.append(told.label == case.truth)
        assert told.facts["roi_from"] == "roi"
    assert sum(right) >= 6


def test_a_cyst_is_found_on_b_mode_and_the_model_looked_at_it(predictor, tmp_path):
    found, looked = [], []
    write_us(tmp_path, 8, seed=700, kind="cyst")
    truths = json.loads((tmp_path / "truth" / "truth.json").read_text())["images"]
    for series in (tmp_path / "studies").glob("*/*/*"):
        told = predictor.predict(TASKS["us_fll"], series)
        found.append(told.label == "cyst")
        top, left, bottom, right = told.facts["region"]
        rows, columns = told.attention.shape
        row, column = np.unravel_index(told.attention.argmax(), told.attention.shape)
        y, x = top + (row + 0.5) * (bottom - top) / rows, left + (column + 0.5) * (right - left) / columns
        cell = max((bottom - top) / rows, (right - left) / columns)
        boxes = np.array([lesion["box"] for lesion in truths[series.name]["lesions"]])
        inside = (boxes[:, :2] - cell <= (x, y)) & ((x, y) <= boxes[:, 2:] + cell)
        looked.append(inside.all(axis=1).any())
    assert len(found) == 8
    assert sum(found) >= 4
    assert sum(looked) >= 6
