"""What a person may choose about a training run, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hepatic.engine.weights import ModelVersion


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """What a person may choose about a training run.

    Attributes:
        seed: of initial weights, order and augmentation.
        epochs: of the last stage; the recipe's own where 0.
        warm_up_epochs: of the stages before it, when training starts from scratch; the recipe's own where negative.
        from_scratch: begin with new weights instead of those of the served version.
        start: version to go on from; the served one where empty.
        preset: of the task; that of the served version where empty.
        device: as in the settings.
        notes: written on the model card.
        imagenet: file or folder of ImageNet weights to begin with, from scratch; the setting's where empty.
        snapshot: SHA-256 of the snapshot of verdicts among the cases, written on the card; empty where there is none.
        eligible_only: whether images are left out that the lists of paper 002 exclude; None takes the preset's own.
    """

    seed: int = 0
    epochs: int = 0
    warm_up_epochs: int = -1
    from_scratch: bool = False
    start: str = ""
    preset: str = ""
    device: str = "auto"
    notes: str = ""
    imagenet: str = ""
    snapshot: str = ""
    eligible_only: bool | None = None


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What came of a training run.

    Attributes:
        version: the new model.
        promoted: whether it is served now.
        reason: why, or why not.
        metrics: of the new model on the frozen validation patients.
        served_metrics: of the model served until now, on the same; empty when there was none.
        epochs: trained, over all stages.
        run: folder of curves, TensorBoard events and checkpoints.
    """

    version: ModelVersion
    promoted: bool
    reason: str
    metrics: dict[str, float]
    served_metrics: dict[str, float]
    epochs: int
    run: Path


def summary(result: FitResult) -> dict[str, object]:
    """The result as JSON, without paths."""
    return {
        "version": result.version.version,
        "promoted": result.promoted,
        "reason": result.reason,
        "metrics": result.metrics,
        "served_metrics": result.served_metrics,
        "run": result.run.name,
    }
