"""Every task and every recipe, through one suite: adding a model adds its tests."""

import importlib
import json
import pickle

import pytest
import torch

from hepatic.adapters.infer import HepaticInferTask
from hepatic.engine.fit import FitSettings, fit
from hepatic.engine.kind import judge, judged_samples
from hepatic.engine.predict import Predictor
from hepatic.engine.prepared_cases import prepare_cases
from hepatic.engine.weights import Registry
from tests.conformance.models import (
    RECIPES,
    TASKS,
    cases_of,
    name_of,
    predictor,
    recipes,
    sure_network,
    tasks_of,
    without_liver_model,
)

all_tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
all_and_toys = pytest.mark.parametrize(
    "task", [task for kind in ("segmentation", "detection", "classification") for task in tasks_of(kind)], ids=name_of
)
all_recipes = pytest.mark.parametrize("recipe", recipes(), ids=name_of)


@all_tasks
def test_a_task_survives_pickling_and_each_of_its_presets_is_a_task(task):
    again = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own bytes
    assert again.pre_fingerprint == task.pre_fingerprint
    for name in task.presets:
        assert task.preset(name).preset_name == name
        assert task.preset(name).labels == task.labels


@all_tasks
def test_the_docstring_says_what_a_reader_must_know(task):
    text = importlib.import_module(f"infer_tasks.{task.name}").__doc__
    assert all(word in text for word in ("Trained on:", "Expects:", "Known to fail:"))


@all_tasks
def test_every_task_can_be_trained(task):
    assert task.name in RECIPES


@all_and_toys
def test_what_is_said_about_task_and_result_is_json(task, studies, tmp_path, monkeypatch):
    study = studies[task.modality][0]
    without_liver_model(monkeypatch, study)
    network = sure_network(task) if task.type == "segmentation" else None
    model = HepaticInferTask(task, predictor(task, tmp_path, network), results=tmp_path)
    _, params = model({"image": str(study.image), "result_write_to_file": False})
    said = json.loads(json.dumps({"info": model.info(), "params": params}, allow_nan=False))
    assert {"type", "labels", "dimension", "description", "config", "version"} <= said["info"].keys()
    assert said["info"]["type"] == task.type
    assert {"label_names", "model_version", "model_hash", "latencies"} <= said["params"].keys()
    kinds = {"segmentation": "uncertainty", "detection": "boxes", "classification": "probabilities"}
    assert kinds[task.type] in said["params"]


@all_recipes
def test_one_step_of_every_stage_reaches_its_parameters_with_finite_gradients(recipe, studies):
    prepared = prepare_cases(recipe, cases_of(recipe, studies)[:1]).samples
    draw = torch.Generator().manual_seed(0)
    for transform in recipe.augment:
        prepared = [transform(sample, draw) for sample in prepared]
    batch = torch.utils.data.default_collate(
        [sample if recipe.encode is None else recipe.encode(sample) for sample in prepared]
    )
    assert all(torch.isfinite(tensor).all() for tensor in batch.values() if torch.is_tensor(tensor))
    if recipe.task.type == "segmentation":
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
def test_an_epoch_is_judged_sample_by_sample_between_0_and_1(recipe, studies):
    samples = judged_samples(recipe.task, prepare_cases(recipe, cases_of(recipe, studies)).samples)
    batch = torch.utils.data.default_collate(samples)
    with torch.no_grad():
        rows = judge(recipe.task, recipe.task.network().eval()(batch["image"]), batch)
    assert rows.shape == (len(samples), 1)
    assert ((rows >= 0) & (rows <= 1)).all()


@all_recipes
def test_training_publishes_a_model_that_answers(recipe, studies, tmp_path, monkeypatch):
    cases = cases_of(recipe, studies)
    without_liver_model(monkeypatch, studies[recipe.task.modality][0])
    registry = Registry(tmp_path / "models")
    settings = FitSettings(epochs=1)
    first = fit(recipe, cases, registry=registry, runs=tmp_path / "runs", settings=settings)
    assert first.promoted
    assert recipe.key_metric in first.metrics
    second = fit(recipe, cases, registry=registry, runs=tmp_path / "runs", settings=settings)
    assert second.version.parent == first.version.version
    assert second.served_metrics == first.metrics
    assert (second.run / "curves.png").is_file()
    answer = Predictor(registry, device="cpu").predict(recipe.task, cases[0].source)
    assert answer.version == registry.served(recipe.name).version
