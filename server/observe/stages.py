"""How long the stages of an inference took, as the app tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SECONDS = frozenset({"infer", "invert", "total", "transform"})
"""MONAI Label's own tasks tell seconds and have at least one of these; hepatic's tell milliseconds and have none."""


def stages_ms(params: Mapping[str, Any], *, waited_s: float) -> dict[str, float]:
    """Return milliseconds by stage.

    Args:
        params: what the app returned; ``latencies`` in it are read where there are any.
        waited_s: how long the request waited for a worker.
    """
    told = params.get("latencies")
    told = told if isinstance(told, Mapping) else {}
    unit = 1000.0 if _SECONDS & told.keys() else 1.0
    numbers = {
        str(name): unit * took
        for name, took in told.items()
        if isinstance(took, int | float) and not isinstance(took, bool) and name not in ("total", "transform")
    }
    return {"queue": round(1000 * waited_s, 2), **{name: round(took, 2) for name, took in numbers.items()}}
