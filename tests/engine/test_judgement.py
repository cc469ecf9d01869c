"""What is said of a new model: whose words its card quotes, and what few patients can tell."""

import pytest
import torch

from hepatic.engine.card import ModelCard
from hepatic.engine.judgement import FEWEST_PATIENTS, card_notes, reason
from hepatic.engine.weights import Registry

PHANTOMS = "Trained and judged on simulated patients (phantoms)."


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path)


def publish(registry, *, notes="", parent=None, weight=0.0):
    card = ModelCard(task="toy", preset="small", seed=0, key_metric="dice", notes=notes, parent=parent)
    return registry.publish({"w": torch.tensor([weight])}, card)


def notes_of(registry, parent, *, said="", patients=FEWEST_PATIENTS):
    return card_notes(said, patients=patients, parent=parent, registry=registry)


def test_a_parents_words_are_quoted_as_its_own(registry):
    parent = publish(registry, notes=PHANTOMS)
    assert notes_of(registry, parent) == f'Trained on from {parent.version}, whose card says: "{PHANTOMS}"'
    assert notes_of(registry, parent, said="Ward 3.").startswith("Ward 3. Trained on from")
    silent = publish(registry, weight=1.0)
    assert notes_of(registry, silent) == f"Trained on from {silent.version}."


def test_after_many_trainings_the_first_card_is_quoted_once(registry):
    first = last = publish(registry, notes=PHANTOMS)
    for weight in (1.0, 2.0, 3.0):
        last = publish(registry, notes=notes_of(registry, last), parent=last.version, weight=weight)
    assert last.card.notes.count(PHANTOMS) == 1
    assert f"which goes back to {first.version}, whose card says" in last.card.notes
    orphan = publish(registry, notes="Of a hospital.", parent="v0099-gone", weight=4.0)
    assert 'whose card says: "Of a hospital."' in notes_of(registry, orphan)


def told(patients, *, wanted=1, old=0.486):
    return reason(
        "true_class_probability", 0.54, old, images=patients, patients=patients, wanted=wanted, promoted=wanted == 1
    )


def test_few_patients_cannot_tell_which_model_is_better_and_that_is_said(registry):
    assert told(3) == (
        "served: true_class_probability 0.540 against 0.486 of the model served until now, on the frozen validation "
        "patients (3 images); judged on 3 patients only: too few to tell which of the two is better"
    )
    assert notes_of(registry, None, patients=3) == (
        "Judged on 3 patients only: too few to tell whether it is better than another model."
    )
    assert "too few" not in told(FEWEST_PATIENTS)
    assert notes_of(registry, None) == ""
    assert told(3, old=None).endswith("(3 images)"), "a first model replaces none"
    assert told(3, wanted=10).endswith("judged on 3 patients, and HEPATIC_JUDGING_PATIENTS asks for 10")


def test_the_fewest_patients_are_those_of_whom_one_may_disagree():
    from scipy.stats import binomtest

    assert binomtest(FEWEST_PATIENTS - 1, FEWEST_PATIENTS).pvalue < 0.05
    assert binomtest(FEWEST_PATIENTS - 2, FEWEST_PATIENTS - 1).pvalue > 0.05
