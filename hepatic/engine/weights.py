"""The registry of model versions: safetensors and a card each, one of them served, none ever overwritten."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from filelock import FileLock
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from hepatic.engine.card import ModelCard, State
from hepatic.errors import BadInputError, NotFoundError
from hepatic.store.disk import make_folder, sha256_of, sync_folder

logger = logging.getLogger(__name__)

WEIGHTS, CARD, SERVED = "model.safetensors", "card.json", "served.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class ModelVersion:
    """One version of a task's model, as it lies on disk."""

    folder: Path
    card: ModelCard
    state: State

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.card.task

    @property
    def version(self) -> str:
        """Number and hash, unique within the task."""
        return self.card.version

    @property
    def created(self) -> str:
        """UTC, ISO 8601."""
        return self.card.created

    @property
    def metrics(self) -> dict[str, float]:
        """On the frozen validation set it was judged by."""
        return self.card.metrics

    @property
    def parent(self) -> str | None:
        """Version it was trained on from."""
        return self.card.parent

    @property
    def weights_file(self) -> Path:
        """The safetensors file; of several networks that of the first."""
        return self.folder / WEIGHTS

    def load(self, member: int = 0) -> dict[str, torch.Tensor]:
        """Read the weights of its network, or of one of several.

        Raises:
            BadInputError: the file is not the one the card describes.
        """
        own = self.card.members[member] if self.card.members else None
        name, expected = (WEIGHTS, self.card.sha256) if own is None else (own.file, own.sha256)
        file = self.folder / Path(name).name
        found = sha256_of(file) if file.is_file() else "no file"
        if found != expected:
            raise BadInputError(
                f"weights of {self.task} {self.version}",
                expected=f"{file.name} with sha256 {expected[:12]}...",
                came=f"{found[:12]}...",
                fix="The file was changed or damaged; restore it or serve another version.",
            )
        state: dict[str, torch.Tensor] = load_file(file)
        return state


class Registry:
    """Model versions of all tasks below one writable folder, over those shipped with the app.

    ``<models>/<task>/<version>/`` holds a version, ``<models>/<task>/served.json`` says which one is served and which
    were before. Each is written in full under another name and then renamed, so a reader in any process sees either the
    old state or the new one.

    Args:
        models: folder for new versions and pointers; made when first written.
        shipped: read-only folder of the same shape; its last version is served until another one is promoted.
    """

    def __init__(self, models: Path, *, shipped: Path | None = None) -> None:
        self.models = models
        self._shipped = shipped

    def tasks(self) -> list[str]:
        """Names of tasks that have at least one version."""
        folders = [f for root in self._roots() if root.is_dir() for f in root.iterdir() if f.is_dir()]
        return sorted({f.name for f in folders if _NAME.fullmatch(f.name) and self.versions(f.name)})

    def versions(self, task: str) -> list[ModelVersion]:
        """All versions of a task, oldest first."""
        cards, history = self._cards(task), self._history(task)
        served = history[-1] if history else None
        retired = set(history[:-1])

        def state(version: str) -> State:
            return "served" if version == served else "retired" if version in retired else "candidate"

        return [ModelVersion(folder, card, state(card.version)) for card, folder in cards]

    def version(self, task: str, version: str) -> ModelVersion:
        """One version; NotFoundError when there is none of that name."""
        found = {v.version: v for v in self.versions(task)}
        if version not in found:
            raise NotFoundError(
                f"version of model '{task}'",
                expected="one of " + (", ".join(found) or "none yet"),
                came=repr(version)[:80],
                fix="List them with `hepatic models list`.",
            )
        return found[version]

    def served(self, task: str) -> ModelVersion | None:
        """The version that answers requests; None when the task has no version yet.

        Reads the pointer and one card, however many versions there are.
        """
        version = next(iter(self._history(task)[-1:]), None)
        folder = None if version is None else self._folder(task, version)
        if folder is None:
            return None
        return ModelVersion(folder, _read_card(folder), "served")

    def publish(
        self, state: Mapping[str, torch.Tensor] | Sequence[Mapping[str, torch.Tensor]], card: ModelCard
    ) -> ModelVersion:
        """Write a new version, a candidate; number, time, hashes and files of the card are filled in here.

        Args:
            state: weights of the network, or of each of ``card.members``.
            card: describes them.
        """
        states = [state] if isinstance(state, Mapping) else list(state)
        if len(states) != max(1, len(card.members)):
            raise ValueError(f"{len(states)} networks, {len(card.members)} members on the card")
        folder = self._task_folder(card.task)
        make_folder(folder)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        try:
            files = [WEIGHTS, *(f"model-{number}.safetensors" for number in range(2, len(states) + 1))]
            digests = [_save(one, temporary / file) for one, file in zip(states, files, strict=True)]
            digest = digests[0]
            if card.members:
                digest = hashlib.sha256("\n".join(digests).encode()).hexdigest()
                told = zip(card.members, files, digests, strict=True)
                members = tuple(m.model_copy(update={"file": file, "sha256": sha}) for m, file, sha in told)
                card = card.model_copy(update={"members": members})
            number = 1 + max((_number(c.version) for c, _ in self._cards(card.task)), default=0)
            while True:
                version = f"v{number:04d}-{digest[:8]}"
                now = datetime.now(UTC).isoformat(timespec="seconds")
                full = card.model_copy(update={"version": version, "sha256": digest, "created": now})
                _write(temporary / CARD, full.model_dump_json(indent=2))
                try:
                    temporary.chmod(0o755)
                    temporary.rename(folder / version)
                    break
                except OSError:
                    if not (folder / version).exists():
                        raise
                    number += 1
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(folder)
        return self.version(card.task, version)

    def promote(self, task: str, version: str) -> ModelVersion:
        """Serve this version from the next request on; requests under way finish on the one they began with."""
        self.version(task, version)
        with self._changing(task):
            history = self._history(task)
            if not history or history[-1] != version:
                self._write_history(task, [*history, version])
        return self.version(task, version)

    def rollback(self, task: str) -> ModelVersion:
        """Serve the version that was served before; NotFoundError when there is none."""
        with self._changing(task):
            history = self._history(task)
            if len(history) < 2:
                raise NotFoundError(
                    f"earlier version of model '{task}'",
                    expected="a version that was served before the present one",
                    came="none",
                    fix="Promote the version you want by name.",
                )
            self._write_history(task, history[:-1])
        return self.version(task, history[-2])

    def _roots(self) -> list[Path]:
        return [root for root in (self._shipped, self.models) if root is not None]

    def _task_folder(self, task: str) -> Path:
        if not _NAME.fullmatch(task):
            raise NotFoundError(
                "model", expected="a name of letters, digits, - and _", came=repr(task)[:80], fix="Correct it."
            )
        return self.models / task

    def _cards(self, task: str) -> list[tuple[ModelCard, Path]]:
        self._task_folder(task)
        found: dict[str, tuple[ModelCard, Path]] = {}
        for root in self._roots():
            for file in sorted((root / task).glob(f"*/{CARD}")):
                if file.parent.name.startswith("."):
                    continue
                try:
                    card = _read_card(file.parent)
                except BadInputError as error:
                    logger.warning("A version is passed over: %s", error)
                    continue
                found.setdefault(card.version, (card, file.parent))
        return sorted(found.values(), key=lambda pair: (_number(pair[0].version), pair[0].created))

    def _folder(self, task: str, version: str) -> Path | None:
        """Where a version lies; the user's own folder first."""
        places = (root / task / version for root in reversed(self._roots()))
        return next((place for place in places if (place / CARD).is_file()), None)

    def _history(self, task: str) -> list[str]:
        """Versions served so far, the present one last; the newest shipped one where nothing was promoted yet."""
        file = self._task_folder(task) / SERVED
        if file.is_file():
            return [version for version in json.loads(file.read_bytes())["history"] if self._folder(task, version)]
        if self._shipped is None:
            return []
        shipped = [card.parent.name for card in (self._shipped / task).glob(f"*/{CARD}")]
        return sorted(shipped, key=_number)[-1:]

    def _changing(self, task: str) -> FileLock:
        folder = self._task_folder(task)
        make_folder(folder)
        return FileLock(folder / ".served.lock", timeout=30)

    def _write_history(self, task: str, history: list[str]) -> None:
        folder = self._task_folder(task)
        make_folder(folder)
        _write(folder / SERVED, json.dumps({"history": history}, indent=2))


def _read_card(folder: Path) -> ModelCard:
    """Read a version's card; BadInputError names the version when it is damaged."""
    try:
        return ModelCard.model_validate_json((folder / CARD).read_bytes())
    except ValidationError as error:
        raise BadInputError(
            f"model card {folder.parent.name}/{folder.name}",
            expected="the fields of a model card",
            came=f"{error.error_count()} errors, first: {error.errors()[0]['msg']}",
            fix="Restore the card or remove the folder of this version.",
        ) from error


def _number(version: str) -> int:
    match = re.match(r"v(\d+)", version)
    return int(match[1]) if match else 0


def _save(state: Mapping[str, torch.Tensor], file: Path) -> str:
    """Write weights, wait until they are on disk, and return their hash."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, file)
    file.chmod(0o644)
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())
    return sha256_of(file)


def _write(file: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=file.parent)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(file.parent)
