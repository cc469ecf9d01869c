"""A model version as one file: packed, and taken in where its card, its hashes and its networks agree."""

import json
import zipfile

import pytest
import torch

import infer_tasks
from hepatic.engine.card import CardMember, ModelCard
from hepatic.engine.packed import pack, take_in
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from hepatic.tasks.discover import discover_tasks

TASKS = discover_tasks(infer_tasks)
TASK = TASKS["us_fll"]
PRESETS = ("small", "small_scales", "small_densenet")


def published(registry, *presets):
    members = tuple(CardMember(preset=preset, answers=TASK.labels, epoch=3) for preset in presets)
    card = ModelCard(task="us_fll", preset="small_ensemble", members=members, seed=0, key_metric="auc", notes="toys")
    return registry.publish([TASK.preset(preset).network().state_dict() for preset in presets], card)


@pytest.fixture
def version(tmp_path):
    torch.manual_seed(0)
    return published(Registry(tmp_path / "here"), *PRESETS)


@pytest.fixture
def there(tmp_path):
    return Registry(tmp_path / "there")


@pytest.fixture
def taken(version, tmp_path):
    """The card and the weights of the packed version, these as an inspector hands them over: under names of its own."""
    pack(version, tmp_path / "packed.zip")
    with zipfile.ZipFile(tmp_path / "packed.zip") as archive:
        assert archive.namelist() == ["card.json", "model.safetensors", "model-2.safetensors", "model-3.safetensors"]
        archive.extractall(tmp_path / "taken")
    for number, name in enumerate(("model-3", "model", "model-2")):
        (tmp_path / "taken" / f"{name}.safetensors").rename(tmp_path / "taken" / f"{number:05d}")
    return tmp_path / "taken" / "card.json", [tmp_path / "taken" / f"{number:05d}" for number in range(3)]


def edited(card, **told):
    card.write_text(json.dumps({**json.loads(card.read_text()), **told}))


def test_what_was_packed_is_the_same_model_elsewhere_and_is_taken_in_once(version, there, taken):
    made = take_in(*taken, task=TASK, registry=there)
    assert made.version == version.version
    assert made.card.members == version.card.members
    assert made.card.notes == "toys"
    for member in range(3):
        there_, here = made.load(member), version.load(member)
        assert there_.keys() == here.keys()
        assert all(torch.equal(there_[name], here[name]) for name in here)
    again = take_in(*taken, task=TASK, registry=there)
    assert [one.version for one in there.versions("us_fll")] == [again.version]


def test_a_version_is_packed_to_the_same_bytes(version, tmp_path):
    for name in ("a.zip", "b.zip"):
        pack(version, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert (tmp_path / "a.zip").stat().st_mtime == (version.folder / "card.json").stat().st_mtime


def test_one_network_is_taken_in_too(there, tmp_path):
    card = ModelCard(task="us_fll", preset="small", seed=0, key_metric="auc")
    version = Registry(tmp_path / "one").publish(TASK.preset("small").network().state_dict(), card)
    made = take_in(version.folder / "card.json", [version.weights_file], task=TASK, registry=there)
    assert made.card.sha256 == version.card.sha256


def test_what_does_not_belong_together_is_refused_and_nothing_is_kept(there, taken):
    card, weights = taken
    whole = json.loads(card.read_text())

    def refused(match, task=TASK, files=weights):
        with pytest.raises(BadInputError, match=match):
            take_in(card, files, task=task, registry=there)
        assert there.versions("us_fll") == []

    refused("a model of 'us_bmode'", task=TASKS["us_bmode"])
    refused("the weights that its card names", files=weights[:2])
    refused("the weights that its card names", files=[weights[0], *weights])
    edited(card, sha256="0" * 64)
    refused("hash of the weights")
    for preset, match in (("small_mean_of_nothing", "a preset of 'us_fll'"), ("small", "other names or shapes")):
        members = [{**member, "preset": preset} for member in whole["members"]]
        edited(card, sha256=whole["sha256"], members=members)
        refused(match)
    edited(card, members=[{**member, "answers": ["rumour"]} for member in whole["members"]])
    refused("rumour")
    edited(card, seed="many")
    refused("a model card")
    card.write_text("[" * 100_000)
    refused("a model card")
    edited_weights = weights[1].read_bytes()
    weights[1].write_bytes(edited_weights[:-4] + b"\0\0\0\1")
    card.write_text(json.dumps(whole))
    refused("the weights that its card names")


@pytest.mark.parametrize("name", TASKS)
def test_every_presets_weights_are_known_by_their_shapes(name, tmp_path):
    from safetensors.torch import save_file

    from hepatic.engine.packed import _check_fit

    task = TASKS[name]
    save_file({k: v.contiguous() for k, v in task.network().state_dict().items()}, tmp_path / "weights")
    _check_fit(task, task.preset_name, tmp_path / "weights")
