"""From labels to a served model, over a task that trains in a moment."""

import dataclasses
import threading
from functools import partial

import pytest
import torch

from hepatic.engine import fit as fitting
from hepatic.engine.card import ModelCard
from hepatic.engine.cases import Case
from hepatic.engine.fit import SPLIT, FitSettings, fit
from hepatic.engine.prepared_cases import prepare_cases
from hepatic.engine.split import FrozenSplit
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError, ConflictError
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.read import read
from hepatic.networks.unet import TINY, unet
from hepatic.settings import Settings
from tests.runs import write_run
from train_tasks.dsa_unet import RECIPE

BIG = (12, 12, 16, 32, 64, 12)
TASK = dataclasses.replace(
    RECIPE.task,
    network=partial(unet, 1, 1, features=TINY),
    presets={"paper": {"network": partial(unet, 1, 1, features=BIG)}},
)
QUICK = dataclasses.replace(RECIPE, task=TASK, bf16=False, presets={"paper": {"batch_size": 2}})
BOX = (slice(4, 16), slice(4, 16))
ONE_EPOCH = FitSettings(epochs=1)


def case(folder, number, *, label=True):
    image = write_run(folder / f"{number}.dcm", seed=number, patient=f"P{number}", dark=BOX)
    grid = read(image).grid
    array = torch.zeros(grid.shape, dtype=torch.uint8).numpy()
    array[(6, *BOX)] = 1
    file = folder / f"{number}.seg.nrrd"
    if label:
        write_labelmap(file, Labelmap(array, grid, {"tumour": 1}))
    else:
        file.write_bytes(b"NRRD0004 garbage")
    return Case(image_id=f"i{number}", patient_id=f"P{number}", source=image, label=file)


@pytest.fixture
def cases(tmp_path):
    return [case(tmp_path, number) for number in range(4)]


@pytest.fixture
def place(tmp_path):
    return {"registry": Registry(tmp_path / "models"), "runs": tmp_path / "runs"}


def serve(registry, *, answer):
    """Serve a network that says tumour everywhere (50) or nowhere (-50)."""
    network = TASK.network()
    torch.nn.init.zeros_(network.final_conv.weight)
    torch.nn.init.constant_(network.final_conv.bias, answer)
    card = ModelCard(task=TASK.name, preset="small", seed=0, key_metric="dice", notes="phantoms")
    return registry.promote(TASK.name, registry.publish(network.state_dict(), card).version)


def test_a_worse_model_stays_a_candidate(cases, place):
    served = serve(place["registry"], answer=50.0)
    result = fit(QUICK, cases, settings=dataclasses.replace(ONE_EPOCH, from_scratch=True), **place)
    assert result.served_metrics["dice"] > result.metrics["dice"]
    assert not result.promoted
    assert "kept as a candidate" in result.reason
    assert place["registry"].served(TASK.name).version == served.version
    assert place["registry"].version(TASK.name, result.version.version).state == "candidate"


def test_two_models_that_find_nothing_are_no_reason_to_change(cases, place):
    served = serve(place["registry"], answer=-50.0)
    result = fit(QUICK, cases, settings=ONE_EPOCH, **place)
    assert (result.metrics["dice"], result.served_metrics["dice"]) == (0, 0)
    assert place["registry"].served(TASK.name).version == served.version


def test_a_better_model_is_served_and_its_card_says_where_it_came_from(cases, place):
    served = serve(place["registry"], answer=-3.0)
    eager = dataclasses.replace(QUICK, fine_tune_optimiser=partial(torch.optim.Adam, lr=2e-2))
    result = fit(eager, cases, settings=FitSettings(epochs=60), **place)
    assert result.promoted, result.reason
    card = place["registry"].served(TASK.name).card
    assert card.parent == served.version
    assert card.notes.startswith("Judged on 1 patient only: too few")
    assert card.notes.endswith(f'Trained on from {served.version}, whose card says: "phantoms"')
    assert result.reason.endswith("judged on 1 patient only: too few to tell which of the two is better")
    assert card.data["train"] == {"images": 3, "patients": 3}
    assert card.data["validation"] == {"images": 1, "patients": 1}
    assert card.pre_fingerprint == TASK.pre_fingerprint


def test_a_hospital_can_ask_for_more_patients_before_a_model_is_replaced(cases, place, monkeypatch):
    served = serve(place["registry"], answer=-3.0)
    monkeypatch.setattr(fitting, "library_settings", lambda: Settings(judging_patients=2))
    eager = dataclasses.replace(QUICK, fine_tune_optimiser=partial(torch.optim.Adam, lr=2e-2))
    result = fit(eager, cases, settings=FitSettings(epochs=60), **place)
    assert result.metrics["dice"] > result.served_metrics["dice"]
    assert place["registry"].served(TASK.name).version == served.version
    assert "kept as a candidate" in result.reason
    assert "judged on 1 patient, and HEPATIC_JUDGING_PATIENTS asks for 2" in result.reason


def turned(case):
    """The same image, everything labelled as tumour but the tumour."""
    grid = read(case.source).grid
    array = torch.ones(grid.shape, dtype=torch.uint8).numpy()
    array[(slice(None), *BOX)] = 0
    file = case.label.with_name(f"turned-{case.label.name}")
    write_labelmap(file, Labelmap(array, grid, {"tumour": 1}))
    return dataclasses.replace(case, label=file)


def test_who_judges_a_model_has_no_say_in_which_epoch_is_kept(tmp_path, place):
    cases = [case(tmp_path, number) for number in range(7)]
    quick = dataclasses.replace(QUICK, optimiser=partial(torch.optim.Adam, lr=2e-2))
    settings = FitSettings(epochs=8, from_scratch=True)
    plain = fit(quick, cases, settings=settings, **place).version.card
    assert [plain.data[part]["patients"] for part in ("train", "tuning", "validation")] == [4, 1, 2]
    assert plain.data["epoch_chosen"] == "the best by dice on the tuning patients"
    judges = {p for p, part in FrozenSplit(place["registry"].models / TASK.name / SPLIT).parts.items() if "val" in part}
    otherwise = [turned(case) if case.patient_id in judges else case for case in cases]
    judged_otherwise = fit(quick, otherwise, settings=settings, **place).version.card
    assert judged_otherwise.metrics["dice"] != plain.metrics["dice"]
    assert judged_otherwise.sha256 == plain.sha256


def test_with_too_few_patients_to_choose_an_epoch_on_the_last_is_kept_and_the_card_says_so(cases, place):
    card = fit(QUICK, cases, settings=FitSettings(epochs=3), **place).version.card
    assert (card.data["best_epoch"], card.data["tuning"]) == (3, {"images": 0, "patients": 0})
    assert card.data["epoch_chosen"] == "the last: no patient is set aside for tuning"


def test_another_preset_than_the_served_one_is_trained_from_scratch_and_judged_against_it(cases, place):
    serve(place["registry"], answer=50.0)
    result = fit(QUICK, cases, settings=FitSettings(epochs=1, preset="paper"), **place)
    assert result.version.card.preset == "paper"
    assert result.version.parent is None
    assert result.served_metrics["dice"] > 0


def test_a_label_that_cannot_be_read_is_left_out_and_named(tmp_path, cases, place, caplog):
    bad = case(tmp_path, 9, label=False)
    result = fit(QUICK, [*cases, bad], settings=ONE_EPOCH, **place)
    assert list(result.version.card.data["left_out"]) == ["i9"]
    assert "Image i9 is left out of training" in caplog.text


def test_images_left_out_for_one_reason_are_told_in_one_line(tmp_path, caplog):
    bad = [case(tmp_path, number, label=False) for number in range(3)]
    prepared = prepare_cases(QUICK, bad, needed=False)
    assert list(prepared.left_out) == ["i0", "i1", "i2"]
    (line,) = caplog.messages
    assert "Image i0 is left out of training and 2 for the same reason" in line


def test_a_served_version_whose_network_has_changed_since_is_replaced_by_a_training_from_scratch(cases, place):
    served = serve(place["registry"], answer=50.0)
    weights = {f"before.{name}": values for name, values in served.load().items()}
    place["registry"].promote(TASK.name, place["registry"].publish(weights, served.card).version)
    with pytest.raises(BadInputError, match=r"as of an earlier hepatic.*start=scratch"):
        fit(QUICK, cases, settings=ONE_EPOCH, **place)
    result = fit(QUICK, cases, settings=dataclasses.replace(ONE_EPOCH, from_scratch=True), **place)
    assert (result.promoted, result.served_metrics) == (True, {})


def test_labels_none_of_which_can_be_read_end_in_one_clear_error(tmp_path, place):
    bad = [case(tmp_path, number, label=False) for number in range(3)]
    with pytest.raises(BadInputError, match="none that can be used"):
        fit(QUICK, bad, settings=ONE_EPOCH, **place)


def test_checkpoints_go_when_the_run_is_done_and_curves_stay(cases, place):
    result = fit(QUICK, cases, settings=ONE_EPOCH, **place)
    left = {file.name for file in result.run.iterdir()}
    assert {"curves.png", "history.json", "result.json", "tensorboard"} <= left
    assert not list(result.run.rglob("*.pt"))


def test_a_second_training_of_the_same_model_is_refused_while_the_first_runs(cases, place):
    refused = []

    def meanwhile(_):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()

    def attempt():
        try:
            fit(QUICK, cases, settings=ONE_EPOCH, **place)
        except ConflictError as error:
            refused.append(str(error))

    fit(QUICK, cases, settings=ONE_EPOCH, progress=meanwhile, **place)
    assert len(refused) == 1
    assert "one that is running" in refused[0]


def test_a_promotion_during_training_is_not_overridden_by_a_worse_model(cases, place):
    serve(place["registry"], answer=-50.0)
    promoted = []
    scratch = FitSettings(epochs=1, from_scratch=True)

    def promote(_):
        promoted.append(serve(place["registry"], answer=50.0))

    fit(QUICK, cases, settings=scratch, progress=promote, **place)
    assert place["registry"].served(TASK.name).version == promoted[0].version


@pytest.mark.parametrize(
    ("names", "values", "expected"),
    [
        ({"tumour": 1, "liver": 2}, (1, 2), {"tumour": 1, "liver": 2}),
        ({"tumour": 2, "liver": 3}, (1, 2), {"tumour": 1, "liver": 2}),
        ({"tumour": 2}, (1,), {"tumour": 1}),
        ({"liver": 2}, (2,), {"liver": 2}),
    ],
)
def test_names_sent_beside_a_label_meet_the_values_in_its_file(tmp_path, names, values, expected):
    made = case(tmp_path, 0)
    grid = read(made.source).grid
    array = torch.zeros(grid.shape, dtype=torch.uint8).numpy()
    for column, value in enumerate(values):
        array[6, 4:16, column] = value
    write_labelmap(tmp_path / "plain.nrrd", Labelmap(array, grid))
    sample = dataclasses.replace(made, label=tmp_path / "plain.nrrd", names=names).sample(TASK)
    assert sample["label"].names == expected
