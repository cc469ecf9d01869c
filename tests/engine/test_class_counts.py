"""A classifier is trained on classes that can be told apart, and is served where such judged it."""

import dataclasses
import logging
import re

import pytest

from hepatic.engine.cases import ClassCase
from hepatic.engine.fit import FitSettings, fit
from hepatic.engine.split import FrozenSplit
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from tests.engine.test_fit_ensemble import RECIPE as FINDINGS
from tests.engine.toys import CLASSIFICATION, write_ct

CPU = FitSettings(device="cpu", epochs=20)
LEVELS = {"dark": -60, "bright": 200, "very": 300}


@pytest.fixture
def place(tmp_path):
    return {"registry": Registry(tmp_path / "models"), "runs": tmp_path / "runs"}


@pytest.fixture
def images(tmp_path, place):
    def images_(training, judging, recipe=CLASSIFICATION):
        """Cases of these classes, on the sides of the split they are given to."""
        cases = []
        for number, truth in enumerate([*training, *judging]):
            source = write_ct(tmp_path / f"{number}.nrrd", seed=number, level=LEVELS[truth])
            cases.append(ClassCase(image_id=f"i{number}", patient_id=f"P{number}", source=source, truth=truth))
        sides = {case.patient_id: "train" if n < len(training) else "validation" for n, case in enumerate(cases)}
        file = place["registry"].models / recipe.name / "split.json"
        file.unlink(missing_ok=True)
        split = FrozenSplit(file, tuning_share=0)
        split.extend(sides, wished=sides)
        return cases

    return images_


@pytest.mark.parametrize(
    ("recipe", "training", "came"),
    [
        (CLASSIFICATION, ["dark"] * 3, "3 dark (tuning: none, validation: 1 dark, 1 bright)"),
        (FINDINGS, ["dark"] * 3, "3 dark (tuning: none, validation: 1 dark, 1 bright)"),
        (FINDINGS, ["bright", "very", "very"], "1 bright, 2 very (tuning: none"),
    ],
)
def test_of_one_kind_of_images_no_classifier_is_trained(images, place, recipe, training, came):
    cases, epochs = images(training, ["dark", "bright"], recipe), []
    with pytest.raises(BadInputError, match=re.escape(came)):
        fit(recipe, cases, settings=CPU, progress=epochs.append, **place)
    assert epochs == []
    assert place["registry"].versions(recipe.name) == []


def test_a_coarser_class_teaches_what_it_says_and_judges_by_it(images, place):
    task = dataclasses.replace(FINDINGS.task, coarse={"lit": (1.0, float("nan"))})
    assert task.target("lit").tolist() == [[1, 0], [0, 0]]
    assert "lit" not in task.classes
    recipe = dataclasses.replace(FINDINGS, task=task)

    def fitted(*judging):
        cases = images(["dark", "very", "very"], judging, recipe)
        coarse = [dataclasses.replace(case, truth="lit") if case.truth == "very" else case for case in cases]
        return fit(recipe, coarse, settings=CPU, **place)

    result = fitted("dark", "very")
    assert result.version.card.data["train"]["classes"] == {"dark": 1, "lit": 2}
    assert {"auc_bright"} <= result.metrics.keys() <= {"auc", "auc_bright", "true_class_probability", "cases"}
    assert not result.promoted
    assert "judged on no image of which it is known whether it shows very (1 dark, 1 lit)" in result.reason
    assert "no image of which it is known" in result.version.card.notes
    assert fitted("dark", "very", "bright").promoted


def test_an_image_that_is_left_out_is_no_second_class(images, place):
    cases = images(["dark", "dark", "bright"], ["dark", "bright"])
    cases[2] = dataclasses.replace(cases[2], said="poor_picture")
    with pytest.raises(BadInputError, match="2 dark"):
        fit(CLASSIFICATION, cases, settings=CPU, **place)


def test_the_log_and_the_card_say_how_many_of_each_class_train_and_judge(images, place, caplog):
    with caplog.at_level(logging.INFO, logger="hepatic.engine.fit"):
        card = fit(CLASSIFICATION, images(["dark", "dark", "bright"], ["bright"]), settings=CPU, **place).version.card
    assert card.data["train"] == {"images": 3, "patients": 3, "classes": {"dark": 2, "bright": 1}}
    assert card.data["validation"]["classes"] == {"bright": 1}
    assert "Classes, train: 2 dark, 1 bright" in caplog.text


@pytest.mark.parametrize(
    ("recipe", "training", "one_kind", "both"),
    [
        (CLASSIFICATION, ["dark", "bright"], ["bright"], ["bright", "dark"]),
        (FINDINGS, ["dark", "bright", "very"], ["bright", "very"], ["dark", "very"]),
    ],
)
def test_judges_of_one_kind_let_no_model_be_served_and_that_is_said(images, place, recipe, training, one_kind, both):
    result = fit(recipe, images(training, one_kind, recipe), settings=CPU, **place)
    assert not result.promoted
    assert place["registry"].served(recipe.name) is None
    judges = ", ".join(f"1 {name}" for name in one_kind)
    assert result.reason.startswith("kept as a candidate: ")
    assert f"judged on images of one kind only ({judges})" in result.reason
    assert f"Judged on images of one kind only ({judges})" in result.version.card.notes

    result = fit(recipe, images(training, both, recipe), settings=CPU, **place)
    assert result.promoted
    assert "one kind" not in result.reason + result.version.card.notes
