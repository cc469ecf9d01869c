"""Every task and every recipe, through one suite: adding a model adds its tests."""

import dataclasses
import importlib
import json
import pickle

import numpy as np
import pytest
import SimpleITK as sitk
import torch

import infer_tasks
import train_tasks
from hepatic.adapters.infer import HepaticInferTask
from hepatic.engine.card import ModelCard
from hepatic.engine.cases import Case, prepare_cases
from hepatic.engine.fit import FitSettings, fit
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.geometry import Grid
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.read import read
from hepatic.tasks.discover import discover_recipes, discover_tasks

TASKS, RECIPES = discover_tasks(infer_tasks), discover_recipes(train_tasks)
all_tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
all_recipes = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def sure_network(task):
    """A network whose every output is positive, so that each label is predicted somewhere."""
    torch.manual_seed(0)
    network = task.network().eval()
    for name, parameter in network.named_parameters():
        if name.endswith("final_conv.bias"):
            torch.nn.init.constant_(parameter, 3.0)
    return network


def predictor(task, folder):
    registry = Registry(folder)
    card = ModelCard(task=task.name, preset=task.preset_name, seed=0, key_metric="dice")
    registry.promote(task.name, registry.publish(sure_network(task).state_dict(), card).version)
    return Predictor(registry, device="cpu")


def oblique(grid):
    """The same grid turned about all three axes, its first axis mirrored, off the origin."""
    a, b, c = 0.3, -0.2, 0.5
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn = turn @ np.array([[np.cos(c), 0, np.sin(c)], [0, 1, 0], [-np.sin(c), 0, np.cos(c)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.7, 0.5, 2.0])
    affine[:3, 3] = [12.5, -80.0, 33.0]
    return Grid(grid.size, affine)


@all_tasks
def test_a_task_survives_pickling_and_each_of_its_presets_is_a_task(task):
    again = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own bytes
    assert again.pre_fingerprint == task.pre_fingerprint
    for name in task.presets:
        assert task.preset(name).preset_name == name
        assert task.preset(name).labels == task.labels


@all_tasks
def test_the_result_lies_on_the_sources_grid_with_declared_labels_only(task, studies, tmp_path):
    image = studies[task.modality][0].image
    model = HepaticInferTask(task, predictor(task, tmp_path), results=tmp_path)
    file, params = model({"image": str(image)})
    result, source = sitk.ReadImage(file), sitk.ReadImage(str(image))
    assert result.GetPixelID() == sitk.sitkUInt8
    assert result.GetSize() == source.GetSize()
    for get in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(result, get)() == pytest.approx(getattr(source, get)(), abs=1e-4)
    values = set(np.unique(sitk.GetArrayFromImage(result))) - {0}
    assert values
    assert values <= set(params["label_names"].values()) == set(range(1, len(task.labels) + 1))


@all_tasks
def test_an_oblique_image_keeps_its_place_in_the_patient(task, studies, tmp_path):
    source = read(studies[task.modality][0].image)
    turned = dataclasses.replace(source, grid=oblique(source.grid))
    sample = task.prepare({"source": turned, "options": task.parse_options({})})
    with torch.inference_mode():
        probabilities = task.probabilities(sure_network(task)(sample["image"][None]))[0]
    finished = task.finish({**sample, "probabilities": probabilities})
    assert finished["labelmap"].shape == turned.grid.shape
    write_labelmap(tmp_path / "result.nrrd", Labelmap(finished["labelmap"], turned.grid))
    back = sitk.ReadImage(str(tmp_path / "result.nrrd"))
    corner = [n - 1 for n in turned.grid.size]
    expected = (turned.grid.affine @ [*corner, 1])[:3]
    assert back.TransformIndexToPhysicalPoint([int(n) for n in corner]) == pytest.approx(expected, abs=1e-3)
    assert np.array_equal(sitk.GetArrayFromImage(back), finished["labelmap"])


@all_tasks
def test_what_is_said_about_task_and_result_is_json(task, studies, tmp_path):
    model = HepaticInferTask(task, predictor(task, tmp_path), results=tmp_path)
    _, params = model({"image": str(studies[task.modality][0].image), "result_write_to_file": False})
    said = json.loads(json.dumps({"info": model.info(), "params": params}, allow_nan=False))
    assert {"type", "labels", "dimension", "description", "config", "version"} <= said["info"].keys()
    assert {"label_names", "model_version", "uncertainty", "latencies"} <= said["params"].keys()


@all_tasks
def test_the_docstring_says_what_a_reader_must_know(task):
    text = importlib.import_module(f"infer_tasks.{task.name}").__doc__
    assert all(word in text for word in ("Trained on:", "Expects:", "Known to fail:"))


@all_tasks
def test_every_task_can_be_trained(task):
    assert task.name in RECIPES


@all_recipes
def test_one_step_of_every_stage_reaches_its_parameters_with_finite_gradients(recipe, studies):
    study = studies[recipe.task.modality][0]
    case = Case(image_id="a", patient_id="a", source=study.image, label=study.truth)
    batch = torch.utils.data.default_collate(prepare_cases(recipe, [case]).samples)
    assert batch["target"].shape[1] == len(recipe.task.labels)
    for stage in recipe.stages:
        network = recipe.task.network()
        loss = stage.loss(stage.forward(network, batch["image"]), batch)
        loss.backward()
        gradients = [p.grad for p in stage.parameters(network)]
        assert torch.isfinite(loss)
        assert all(g is not None and torch.isfinite(g).all() for g in gradients)
        assert any(g.abs().sum() > 0 for g in gradients)


@all_recipes
def test_training_publishes_a_model_that_answers(recipe, studies, tmp_path):
    cases = [
        Case(image_id=s.image.stem, patient_id=s.image.stem, source=s.image, label=s.truth)
        for s in studies[recipe.task.modality]
    ]
    registry = Registry(tmp_path / "models")
    settings = FitSettings(epochs=1)
    first = fit(recipe, cases, registry=registry, runs=tmp_path / "runs", settings=settings)
    assert first.promoted
    second = fit(recipe, cases, registry=registry, runs=tmp_path / "runs", settings=settings)
    assert second.version.parent == first.version.version
    assert second.served_metrics == first.metrics
    assert (second.run / "curves.png").is_file()
    answer = Predictor(registry, device="cpu").predict(recipe.task, cases[0].source)
    assert answer.version == registry.served(recipe.name).version
