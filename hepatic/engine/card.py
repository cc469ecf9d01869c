"""What is written down about a model version."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["served", "candidate", "retired"]


class CardMember(BaseModel):
    """One of the networks that answer together.

    Attributes:
        file: of its weights, in the version's folder.
        sha256: of that file.
        preset: which of the task's presets it is.
        answers: labels that it answers; the others are not asked of it.
        epoch: from which its weights are.
        chosen: how that epoch was chosen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = ""
    sha256: str = ""
    preset: str
    answers: tuple[str, ...]
    epoch: int = 0
    chosen: str = ""


class ModelCard(BaseModel):
    """A model card: enough to know where a model came from and to make it again.

    Attributes:
        task: name of the task.
        version: its number and the first digits of its hash.
        preset: which of the task's presets the network is.
        pre_fingerprint: of the pre-processing it was trained with.
        created: UTC, ISO 8601.
        sha256: of the weights file; of several, of their hashes.
        members: the networks, where several answer together; empty where there is one.
        parent: version it was trained on from, if any.
        seed: of the training run.
        data: what it was trained, tuned and validated on: counts, hash, images that were left out, the epoch that was
            kept, and by what it and the score from which candidates are shown were chosen.
        metrics: on the frozen validation set; ``key_metric`` names the one by which versions are compared.
        key_metric: larger is better.
        software: versions of the packages that trained it.
        notes: for people; says so where the data are phantoms.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    version: str = ""
    preset: str
    pre_fingerprint: str = ""
    created: str = ""
    sha256: str = ""
    members: tuple[CardMember, ...] = ()
    parent: str | None = None
    seed: int
    data: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    key_metric: str
    software: dict[str, str] = Field(default_factory=dict)
    notes: str = ""


def software() -> dict[str, Any]:
    """Versions of the packages a model depends on, for its card."""
    return {package: version(package) for package in ("hepatic", "torch", "monai", "numpy")}
