"""A picture of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def draw_curves(history: Sequence[dict[str, Any]], file: Path, *, metric: str, title: str) -> None:
    """Draw loss by epoch and, below it, the measure of the tuning samples; PNG."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for stage in dict.fromkeys(row["stage"] for row in history):
        rows = [row for row in history if row["stage"] == stage]
        above.plot([row["epoch"] for row in rows], [row["loss"] for row in rows], ".-", label=stage)
        judged = [row for row in rows if row[metric] is not None]
        below.plot([row["epoch"] for row in judged], [row[metric] for row in judged], ".-", label=stage)
    above.set(title=title, ylabel="training loss")
    below.set(xlabel="epoch", ylabel=f"tuning {metric.replace('_', ' ')} (network grid)", ylim=(0, 1))
    above.legend()
    figure.savefig(file, dpi=110)
