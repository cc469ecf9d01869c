"""A model version as one file, its card with all of its weights: sent from one server, and taken in by another."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import load_file

from hepatic.engine.card import ModelCard
from hepatic.engine.weights import CARD, WEIGHTS, ModelVersion, Registry
from hepatic.errors import BadInputError
from hepatic.store.disk import sha256_of, storage
from hepatic.tasks.spec import ClassificationTask, Task

_WHAT = "the packed model"


def pack(version: ModelVersion, file: Path) -> None:
    """Write a zip of a version's card and weights, the same bytes whenever it is packed, as old as the card.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    names = [CARD, *([member.file for member in version.card.members] or [WEIGHTS])]
    with storage("pack the model"):
        with zipfile.ZipFile(file, "x") as archive:
            for name in names:
                source = version.folder / Path(name).name
                entry = zipfile.ZipInfo(source.name)
                entry.external_attr, entry.file_size = 0o644 << 16, source.stat().st_size
                with source.open("rb") as stream, archive.open(entry, "w") as to:
                    shutil.copyfileobj(stream, to, 1 << 20)
        shutil.copystat(version.folder / CARD, file)


def take_in(card: Path, weights: Sequence[Path], *, task: Task, registry: Registry) -> ModelVersion:
    """Make what was packed a version of a registry: a new candidate, or the one that it already is there.

    Args:
        card: its card, JSON.
        weights: its safetensors files, in any order and under any names: the card knows them by their hashes.
        task: whose model it must be.
        registry: where it goes.

    Raises:
        BadInputError: the card is none, of another task or of other weights, or the weights fit no network of it.
    """
    told = _card_of(card)
    if told.task != task.name:
        raise _refused(f"a model of '{task.name}'", f"one of '{told.task}'", "Choose the model it belongs to.")
    by_hash = {sha256_of(file): file for file in weights}
    expected = [member.sha256 for member in told.members] or [told.sha256]
    if sorted(expected) != sorted(by_hash) or len(expected) != len(weights):
        raise _refused("the weights that its card names", "others", "Download it again.")
    unknown = [one for member in told.members for one in member.answers if one not in task.labels]
    if unknown or (told.members and not isinstance(task, ClassificationTask)):
        raise _refused(
            f"networks that answer labels of '{task.name}'", ", ".join(unknown) or "several", "Choose its model."
        )
    files = [by_hash[digest] for digest in expected]
    if told.members and told.sha256 != hashlib.sha256("\n".join(expected).encode()).hexdigest():
        raise _refused("the hash of the weights on the card", "another", "Download it again.")
    known = [version for version in registry.versions(task.name) if version.card.sha256 == told.sha256]
    if known:
        return known[-1]
    for preset, file in zip([member.preset for member in told.members] or [told.preset], files, strict=True):
        _check_fit(task, preset, file)
    states = [load_file(file) for file in files]
    return registry.publish(states if told.members else states[0], told)


def _card_of(file: Path) -> ModelCard:
    try:
        return ModelCard.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise _refused(
            "a model card", f"{first['msg']} ({'.'.join(map(str, first['loc']))})"[:200], "Pack it again."
        ) from error


def _check_fit(task: Task, preset: str, file: Path) -> None:
    """Refuse weights that are not those of a preset's network, by their names and shapes."""
    if preset not in {*task.presets, task.preset_name}:
        raise _refused(f"a preset of '{task.name}'", repr(preset)[:80], "Update this server, or choose another model.")
    with torch.device("meta"):
        network = task.preset(preset).network()
    expected = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    with safe_open(file, framework="numpy") as tensors:
        found = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise _refused(
            f"weights of {task.name} ({preset})",
            f"other names or shapes: {', '.join(wrong[:3])}"[:200],
            "Choose its model.",
        )


def _refused(expected: str, came: str, fix: str) -> BadInputError:
    return BadInputError(_WHAT, expected=expected, came=came, fix=fix)
