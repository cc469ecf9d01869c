"""``/info``: what the app offers, in the shape the viewers rely on."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from server.host import Host
from server.plain import number
from server.services import ServicesDep

router = APIRouter(prefix="/info", tags=["App"])


@router.get("/", summary="Models, trainers, strategies, numbers")
def info(services: ServicesDep) -> dict[str, Any]:
    """Viewers build their panels from this."""
    return described(services.host)


def described(host: Host) -> dict[str, Any]:
    """Return the app's info, with what viewers trip over put right.

    * 3D Slicer takes a top-level ``config`` for an outdated server.
    * Every model has a type, a description and labels; the app's labels are a list (OHIF).
    * Training progress is made of numbers (3D Slicer calculates with them).
    """
    told = host.info()
    told.pop("config", None)
    told["labels"] = _names(told.get("labels"))
    for section in ("models", "trainers", "strategies", "scoring", "train_stats", "datastore"):
        if not isinstance(told.get(section), dict):
            told[section] = {}
    for name, model in told["models"].items():
        model["type"] = model.get("type") or "others"
        model["description"] = model.get("description") or name
        model["labels"] = model.get("labels") or []
        model["config"] = model.get("config") or {}
    for stats in told["train_stats"].values():
        stats["best_metric"] = number(stats.get("best_metric"))
        if "epoch" in stats:
            stats["epoch"] = int(number(stats["epoch"], 1.0))
        if "total_epochs" in stats:
            stats["total_epochs"] = max(1, int(number(stats["total_epochs"], 1.0)))
    return told


def _names(labels: Any) -> list[str]:
    if isinstance(labels, dict):
        labels = [name for name, _ in sorted(labels.items(), key=lambda entry: number(entry[1]))]
    return [str(name) for name in labels or []]
