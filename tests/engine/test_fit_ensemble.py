"""Training, publishing and serving of networks that answer together."""

import dataclasses
from functools import partial

import pytest
import torch

from hepatic.engine import checkpoints
from hepatic.engine.cases import ClassCase
from hepatic.engine.fit import FitSettings, fit
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from hepatic.tasks.classification import PresentThenType
from hepatic.tasks.recipe import Recipe, Stage
from hepatic.tasks.spec import ClassificationTask
from tests.engine.toys import CLASSIFICATION, Whole, write_ct

LABELS = ("bright", "very")
LEVELS = {"dark": -60, "bright": 20, "very": 90}
UNKNOWN = float("nan")


class Line(torch.nn.Module):
    """A logit for each finding, linear in the mean."""

    def __init__(self, slope):
        super().__init__()
        self.line = torch.nn.Linear(1, 2)
        torch.nn.init.constant_(self.line.weight, slope)

    def forward(self, image):
        return self.line(image.mean(dim=(1, 2, 3, 4))[:, None])


def findings_loss(logits, batch):
    true, false = batch["target"].unbind(dim=1)
    sure = torch.nn.functional.logsigmoid
    return -(true * sure(logits) + false * sure(-logits)).mean()


TASK = ClassificationTask(
    name="toy_findings",
    description="Bright or very bright",
    modality="CT",
    dimension=3,
    labels=LABELS,
    findings={"dark": (0.0, UNKNOWN), "bright": (1.0, 0.0), "very": (1.0, 1.0)},
    network=partial(Line, 0.0),
    probabilities=torch.sigmoid,
    conclude=PresentThenType("bright", absent="dark", types=LABELS),
    pre=(Whole(),),
    note="level",
    presets={
        "steep": {"network": partial(Line, 1.0)},
        "together": {"members": {"small": (8, 16, 20), "steep": (8, 16, 20)}},
    },
)
RECIPE = Recipe(
    task=TASK,
    stages=(Stage(name="findings", epochs=6, loss=findings_loss),),
    checkpoints={"bright": ("bright",), "very": ("very",)},
    answered_by="copies",
    **{name: getattr(CLASSIFICATION, name) for name in ("optimiser", "fine_tune_optimiser", "scheduler", "batch_size")},
    fine_tune_epochs=2,
    key_metric="true_class_probability",
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levels")
    made = []
    for number in range(24):
        truth = list(LEVELS)[number % 3]
        image = write_ct(folder / f"{number}.nrrd", seed=number, level=LEVELS[truth])
        made.append(ClassCase(image_id=str(number), patient_id=str(number), source=image, truth=truth))
    return made


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FEWEST", 1)
    return {"registry": Registry(tmp_path / "models"), "runs": tmp_path / "runs"}


def test_networks_are_trained_one_by_one_published_together_and_served_as_one(cases, place):
    result = fit(RECIPE, cases, settings=FitSettings(preset="together", device="cpu"), **place)
    members = result.version.card.members
    assert [member.preset for member in members][:1] + [member.preset for member in members][-1:] == ["small", "steep"]
    assert {member.preset: set() for member in members}.keys() == {"small", "steep"}
    for preset in ("small", "steep"):
        answered = [label for member in members if member.preset == preset for label in member.answers]
        assert sorted(answered) == sorted(LABELS), "every question is answered once"
    files = {file.name for file in result.version.folder.glob("*.safetensors")}
    assert files == {member.file for member in members}
    assert all("tuning patients" in member.chosen for member in members)
    assert not list(result.run.rglob("checkpoint.pt"))
    assert {file.parent.name for file in result.run.rglob("curves.png")} == {"small", "steep"}

    told = Predictor(place["registry"], device="cpu").predict(TASK, cases[2].source)
    assert told.version == result.version.version
    alone = []
    for number, member in enumerate(members):
        network = TASK.preset(member.preset).network()
        network.load_state_dict(result.version.load(number))
        alone.append(
            torch.sigmoid(network.requires_grad_(False)(Whole()({"source": read(cases[2])})["image"][None]))[0]
        )
    for place_, label in enumerate(LABELS):
        asked = [said[place_] for said, member in zip(alone, members, strict=True) if label in member.answers]
        assert told.probabilities[label] == pytest.approx(float(torch.stack(asked).mean()), abs=1e-5)


def read(case):
    return case.sample(TASK)["source"]


def test_training_goes_on_from_networks_that_answer_together(cases, place):
    first = fit(RECIPE, cases, settings=FitSettings(preset="together", device="cpu"), **place)
    again = fit(RECIPE, cases, settings=FitSettings(device="cpu", epochs=1), **place)
    assert again.version.card.parent == first.version.version
    assert again.version.card.preset == "together"


def test_where_too_few_tune_one_epoch_answers_all(cases, place, monkeypatch):
    monkeypatch.setattr(checkpoints, "FEWEST", 100)
    result = fit(RECIPE, cases, settings=FitSettings(device="cpu", epochs=2), **place)
    assert result.version.card.members == ()
    assert [file.name for file in result.version.folder.glob("*.safetensors")] == ["model.safetensors"]


def test_every_copy_may_answer_everything(cases, place):
    recipe = dataclasses.replace(RECIPE, answered_by="mean")
    members = fit(recipe, cases, settings=FitSettings(preset="together", device="cpu"), **place).version.card.members
    assert {member.answers for member in members} == {LABELS}


def test_or_the_best_epoch_of_each_network(cases, place):
    recipe = dataclasses.replace(RECIPE, answered_by="best")
    members = fit(recipe, cases, settings=FitSettings(preset="together", device="cpu"), **place).version.card.members
    assert [(member.preset, member.answers) for member in members] == [("small", LABELS), ("steep", LABELS)]


def test_a_damaged_file_of_one_of_them_is_not_loaded(cases, place):
    settings = FitSettings(preset="together", device="cpu", epochs=1)
    version = fit(RECIPE, cases, settings=settings, **place).version
    (version.folder / version.card.members[1].file).write_bytes(b"")
    assert version.load(0)
    with pytest.raises(BadInputError, match=version.card.members[1].file):
        version.load(1)
    with pytest.raises(BadInputError, match="sha256"):
        Predictor(place["registry"], device="cpu").predict(TASK, cases[0].source)


def test_questions_must_cover_the_labels():
    with pytest.raises(BadInputError, match="every label"):
        dataclasses.replace(RECIPE, checkpoints={"bright": ("bright",)})
