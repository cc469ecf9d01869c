"""Detectors and classifiers are trained, judged and promoted as segmentation models are."""

import dataclasses

import numpy as np
import pytest
import torch

from hepatic.engine import evaluate as evaluating
from hepatic.engine.card import ModelCard
from hepatic.engine.cases import Case, ClassCase
from hepatic.engine.evaluate import detection_metrics, evaluate, found_in
from hepatic.engine.fit import FitSettings, fit
from hepatic.engine.kind import average_precision, judge, judged_samples, training_sample
from hepatic.engine.model import LoadedModel
from hepatic.engine.predict import Predictor
from hepatic.engine.train_network import train_network
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from hepatic.io.markups import ROI, encode_rois
from hepatic.metrics.detection import Found
from tests.engine.toys import (
    CLASSIFICATION,
    DETECTION,
    DETECTOR,
    LIVER,
    Whole,
    box_of,
    serve,
    write_ct,
    write_lesions,
)

CPU = torch.device("cpu")


@pytest.fixture
def place(tmp_path):
    return {"registry": Registry(tmp_path / "models"), "runs": tmp_path / "runs"}


def centre(number):
    return 2 + number % 4, 4 + number % 7, 4 + 2 * (number % 6)


@pytest.fixture
def cases(tmp_path):
    """Six patients, one lesion each; those with odd numbers were labelled as boxes in 3D Slicer."""
    made = []
    for number in range(6):
        image = write_ct(tmp_path / f"{number}.nrrd", centre(number), seed=number)
        label = tmp_path / f"{number}.json"
        if number % 2:
            label.write_bytes(encode_rois([ROI(box_of(centre(number)))]))
        else:
            label = write_lesions(tmp_path / f"{number}.seg.nrrd", image, centre(number), names={"tumour": 1})
        made.append(Case(image_id=f"i{number}", patient_id=f"P{number}", source=image, label=label))
    return made


def test_a_detector_learns_from_labelmaps_and_boxes_and_is_served(cases, place):
    result = fit(DETECTION, cases, settings=FitSettings(device="cpu", snapshot="a" * 64), **place)
    assert result.promoted, result.reason
    assert result.version.card.data["snapshot"] == "a" * 64
    assert result.metrics["p1td_10"] == result.metrics["p1td_1"] == 1
    assert 0 <= result.metrics["froc_low"] <= result.metrics["froc"] <= result.metrics["froc_high"] <= 1
    assert (result.run / "curves.png").is_file()
    found = Predictor(place["registry"], device="cpu").predict(DETECTOR, cases[0].source)
    assert found.boxes[0] == pytest.approx(box_of(centre(0)), abs=4)


def test_a_detector_that_finds_less_stays_a_candidate(cases, place):
    first = fit(DETECTION, cases, settings=FitSettings(device="cpu"), **place)
    blind = dataclasses.replace(
        DETECTION, stages=(dataclasses.replace(DETECTION.stages[0], loss=lambda logits, _: logits.mean()),)
    )
    worse = fit(blind, cases, settings=FitSettings(epochs=3, from_scratch=True, device="cpu"), **place)
    assert worse.metrics["p1td_10"] < first.metrics["p1td_10"]
    assert not worse.promoted
    assert place["registry"].served(DETECTOR.name).version == first.version.version


def test_from_which_score_candidates_are_shown_is_chosen_on_tuning_patients(cases, place, monkeypatch):
    monkeypatch.setattr(evaluating, "FEWEST_LESIONS", 1)
    card = fit(DETECTION, cases[:4], settings=FitSettings(epochs=1, device="cpu"), **place).version.card
    assert "shown_from" not in card.metrics
    assert card.data["shown_from_chosen"].startswith("none: fewer than")
    more = [dataclasses.replace(case, patient_id=f"Q{n}", image_id=f"q{n}") for n, case in enumerate(cases)]
    card = fit(DETECTION, [*cases, *more], settings=FitSettings(device="cpu"), **place).version.card
    assert card.data["tuning"]["patients"] > 0
    assert card.data["shown_from_chosen"] == "on the tuning patients"
    assert 0 < card.metrics["shown_from"] <= 1
    assert card.metrics["cards"] <= 10


def test_phases_of_one_study_are_judged_as_one_study_with_each_lesion_once(cases):
    torch.manual_seed(0)
    card = ModelCard(task=DETECTOR.name, preset=DETECTOR.preset_name, seed=0, key_metric="p1td_10")
    model = LoadedModel(DETECTOR, card, DETECTOR.network().eval())
    phases = [dataclasses.replace(case, patient_id="P0", study_uid="1.2.3") for case in (cases[0], cases[0], cases[3])]
    (study,) = found_in(DETECTION, model, phases, device=CPU)
    assert study.lesions == pytest.approx(np.array([box_of(centre(0)), box_of(centre(3))]), abs=0.01)
    assert len(study.boxes) <= 10


def test_patients_stay_on_the_side_they_were_put_on(cases, place):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Placed(Case):
        side: str

        @property
        def part(self):
            return self.side

    placed = [
        Placed(**vars(case), side="validation" if number in (1, 4) else "train") for number, case in enumerate(cases)
    ]
    result = fit(DETECTION, placed, settings=FitSettings(epochs=1, device="cpu"), **place)
    assert result.version.card.data["validation"] == {"images": 2, "patients": 2}
    turned = [dataclasses.replace(p, side="train" if p.side == "validation" else "validation") for p in placed]
    again = fit(DETECTION, turned, settings=FitSettings(epochs=1, device="cpu"), **place)
    assert again.version.card.data["validation"] == {"images": 2, "patients": 2}, "the first draw holds for good"


def test_an_image_whose_liver_nobody_finds_is_left_out(cases, place):
    with_liver = dataclasses.replace(DETECTOR, liver=LIVER, pre=(Whole(within_liver=True),))
    recipe = dataclasses.replace(DETECTION, task=with_liver)
    with pytest.raises(BadInputError, match="toy_liver"):
        fit(recipe, cases, settings=FitSettings(epochs=1, device="cpu"), **place)
    serve(place["registry"], LIVER, level=-10.0)
    result = fit(recipe, cases, settings=FitSettings(epochs=1, device="cpu"), **place)
    assert result.version.card.data["left_out"] == {}


def test_validation_patients_without_a_lesion_cannot_judge(tmp_path, place):
    empty = []
    for number in range(3):
        image = write_ct(tmp_path / f"{number}.nrrd", seed=number)
        label = write_lesions(tmp_path / f"{number}.seg.nrrd", image)
        empty.append(Case(image_id=str(number), patient_id=str(number), source=image, label=label))
    with pytest.raises(BadInputError, match="a lesion in at least one study"):
        fit(DETECTION, empty, settings=FitSettings(epochs=1, device="cpu"), **place)


def test_where_no_study_can_judge_nothing_is_trained(cases, place):
    doubtful = [dataclasses.replace(case, complete=False) for case in cases]
    trained = []
    with pytest.raises(BadInputError, match="all of whose lesions are known"):
        fit(DETECTION, doubtful, settings=FitSettings(epochs=1, device="cpu"), progress=trained.append, **place)
    assert trained == []


def prepared(*centres, complete=True):
    image = torch.zeros(1, 8, 16, 20)
    boxes = np.array([box_of(c) for c in centres]).reshape(-1, 6)
    from hepatic.geometry import Grid
    from tests.engine.toys import ORIGIN, SHAPE, SPACING

    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = ORIGIN
    grid = Grid(SHAPE[::-1], affine)
    return {"image": image, "grid": grid, "boxes": boxes, "complete": complete}


def test_boxes_become_voxels_of_the_networks_image_and_those_outside_it_go():
    sample = training_sample(DETECTOR, prepared((3, 5, 5), (3, 5, 90), complete=False))
    assert sample["boxes"].tolist() == [pytest.approx([2, 3, 3, 5, 8, 8])]
    assert sample["negatives"].shape == (0, 6)
    assert sample["complete"] is False


def test_an_epoch_is_judged_by_how_high_the_lesions_rank():
    samples = [training_sample(DETECTOR, prepared(*c)) for c in (((3, 5, 5), (5, 11, 14)), ((3, 5, 5),), ())]
    batch = torch.utils.data.default_collate(judged_samples(DETECTOR, samples))
    logits = torch.full((3, 1, 8, 16, 20), -9.0)
    logits[0, 0, 3, 5, 5], logits[0, 0, 3, 12, 3], logits[0, 0, 5, 11, 14] = 3, 2, 1
    logits[1, 0, 3, 12, 3] = 3
    logits[2, 0, 3, 12, 3] = 3
    rows = judge(DETECTOR, logits, batch)
    assert rows.tolist() == [pytest.approx([(1 + 2 / 3) / 2]), [0], [0.5]]


def test_a_picture_with_unknown_lesions_judges_no_epoch_unless_there_is_no_other():
    known, unknown = (training_sample(DETECTOR, prepared((3, 5, 5), complete=told)) for told in (True, False))
    assert len(judged_samples(DETECTOR, [known, unknown])) == 1
    assert len(judged_samples(DETECTOR, [unknown])) == 1


def test_a_study_with_unknown_lesions_does_not_judge_a_detector(cases):
    torch.manual_seed(0)
    card = ModelCard(task=DETECTOR.name, preset=DETECTOR.preset_name, seed=0, key_metric="p1td_10")
    model = LoadedModel(DETECTOR, card, DETECTOR.network().eval())
    unknown = [dataclasses.replace(case, complete=False) for case in cases[:2]]
    assert evaluate(DETECTION, model, [*unknown, *cases[2:5]], device=CPU)["cases"] == 3
    with pytest.raises(BadInputError, match="all of whose lesions are known"):
        evaluate(DETECTION, model, unknown, device=CPU)


def test_a_second_candidate_on_one_lesion_counts_neither_way():
    hit = np.array([[True, False], [True, False], [False, False], [False, True]])
    assert average_precision(hit) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.zeros((0, 2), bool)) == 0


def test_one_seed_gives_one_detector(cases):
    samples = [training_sample(DETECTOR, DETECTOR.prepare(case.sample(DETECTOR))) for case in cases]
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        trained = train_network(DETECTION, DETECTOR.network(), samples[:4], samples[4:], device=CPU, seed=1)
        states.append(trained.network.state_dict())
        assert trained.history[-1]["average_precision"] is not None
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_classifier_learns_classes_and_refuses_one_it_does_not_know(tmp_path, place):
    cases = [
        ClassCase(
            image_id=f"i{number}",
            patient_id=f"P{number}",
            source=write_ct(tmp_path / f"{number}.nrrd", seed=number, level=200 if number % 2 else -200),
            truth="bright" if number % 2 else "dark",
        )
        for number in range(8)
    ]
    odd = dataclasses.replace(cases[0], image_id="odd", patient_id="P20", truth="delayed")
    result = fit(CLASSIFICATION, [*cases, odd], settings=FitSettings(device="cpu"), **place)
    assert result.promoted
    assert result.metrics["accuracy"] == 1
    assert 0.5 < result.metrics["true_class_probability"] <= 1
    assert list(result.version.card.data["left_out"]) == ["odd"]


def test_intervals_of_a_detector_are_drawn_over_patients_not_studies():
    lesion = np.array([box_of((3, 5, 5))])
    hit, miss = (lesion, np.array([0.9])), (lesion + 500, np.array([0.9]))
    studies = [
        Found(*found, lesion, patient_id=who) for who, found in (("a", hit), ("a", hit), ("a", hit), ("b", miss))
    ]
    metrics = detection_metrics("toy", studies)
    assert (metrics["p1td_1"], metrics["p1td_1_low"], metrics["p1td_1_high"]) == (0.75, 0, 1)
    assert metrics["cases"] == 4
