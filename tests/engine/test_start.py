"""What a training begins with."""

import dataclasses
from functools import partial

import pytest
import torch

from hepatic.engine.cases import ClassCase
from hepatic.engine.fit import FitSettings, fit
from hepatic.engine.start import begin_with_imagenet
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from tests.engine.toys import CLASSIFICATION, CLASSIFIER, write_ct


class Convolved(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv3d(1, 2, 3, bias=False)
        self.fc = torch.nn.Linear(2, 2)

    def forward(self, image):
        return self.fc(self.conv1(image).mean(dim=(2, 3, 4)))


TASK = dataclasses.replace(CLASSIFIER, name="toy_begun", network=Convolved)
RECIPE = dataclasses.replace(CLASSIFICATION, task=TASK, imagenet="resnet50")
GIVEN = {"conv1.weight": torch.full((2, 3, 3, 3, 3), 0.5), "fc.weight": torch.zeros(1000, 2048)}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "imagenet"
    made.mkdir()
    torch.save(GIVEN, made / "resnet50-0676ba61.pth")
    torch.save({}, made / "densenet121-a639ec97.pth")
    return made


def begun(place, recipe=RECIPE):
    torch.manual_seed(0)
    network = recipe.task.network()
    said = begin_with_imagenet(recipe, network, str(place))
    return said, network.conv1.weight.detach()


def test_a_network_begins_with_the_file_of_its_name_and_says_which(folder):
    said, weight = begun(folder)
    assert said.startswith("ImageNet, resnet50-0676ba61.pth, sha256 ")
    assert torch.equal(weight, torch.full((2, 1, 3, 3, 3), 1.5)), "three channels in one"
    assert begun(folder / "resnet50-0676ba61.pth")[0] == said


def test_without_a_file_of_its_name_it_begins_with_new_weights(folder, caplog):
    new = begun("")
    assert new[0] == ""
    for recipe in (dataclasses.replace(RECIPE, imagenet="vgg16"), dataclasses.replace(RECIPE, imagenet="")):
        said, weight = begun(folder, recipe)
        assert said == ""
        assert torch.equal(weight, new[1])
    assert "vgg16*.pth" in caplog.text


def test_a_place_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInputError, match="no gone"):
        begun(tmp_path / "gone")


def test_the_card_says_what_a_model_began_with(folder, tmp_path):
    cases = [
        ClassCase(
            image_id=str(n),
            patient_id=str(n),
            source=write_ct(tmp_path / f"{n}.nrrd", seed=n, level=60 * (n % 2)),
            truth=("dark", "bright")[n % 2],
        )
        for n in range(4)
    ]
    place = partial(fit, RECIPE, cases, registry=Registry(tmp_path / "models"), runs=tmp_path / "runs")
    first = place(settings=FitSettings(device="cpu", epochs=1, imagenet=str(folder)))
    assert first.version.card.data["begins_with"]["small"].startswith("ImageNet, resnet50")
    again = place(settings=FitSettings(device="cpu", epochs=1, start=first.version.version, imagenet=str(folder)))
    assert "begins_with" not in again.version.card.data, "it goes on from a trained model"
