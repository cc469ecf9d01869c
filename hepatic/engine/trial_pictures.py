"""Pictures of an evaluation: ROC curves and confusion matrices."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from hepatic.engine.trial_results import Row, mean_sd
from hepatic.metrics.classification import auc, roc

FALSE_RATES = np.linspace(0, 1, 101)
MOST_SPREADS = 2
"""More shaded bands than that hide one another."""

Question = Callable[[str], bool | None]
"""Whether what is asked for is there in an image of a class; None where it does not apply."""


def written(label: str) -> str:
    """A label as it is written: HCC and FNH are abbreviations."""
    return re.sub(r"hcc|fnh", lambda found: found[0].upper(), label.replace("_", "-"))


def draw_roc(rows: Mapping[str, Row], questions: Mapping[str, tuple[int, Question]], file: Path, *, title: str) -> None:
    """Draw a panel for each question and in it each row's mean ROC curve over its splits; PNG.

    Args:
        rows: by the name that is shown.
        questions: by name, the place of its probability, and what is true.
        file: to write.
        title: above all.
    """
    columns = min(4, len(questions))
    lines = -(-len(questions) // columns)
    figure = Figure(figsize=(1 + 3.6 * columns, 0.6 + 3.9 * lines), layout="constrained")
    axes = np.atleast_1d(figure.subplots(lines, columns, squeeze=False).ravel())
    for axis, (name, (place, question)) in zip(axes, questions.items(), strict=False):
        for shown, row in rows.items():
            _draw_mean(axis, row, place, question, shown, spread=len(rows) <= MOST_SPREADS)
        axis.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
        axis.set(
            title=written(name),
            xlabel="1 - specificity",
            ylabel="sensitivity",
            aspect="equal",
            xlim=(0, 1),
            ylim=(0, 1.01),
        )
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=7, loc="lower right")
        else:
            axis.text(0.5, 0.5, "too few to judge", ha="center", fontsize=8)
    for axis in axes[len(questions) :]:
        axis.set_axis_off()
    figure.suptitle(title)
    figure.savefig(file, dpi=110)


def _draw_mean(axis: Axes, row: Row, place: int, question: Question, shown: str, *, spread: bool) -> None:
    curves, areas = [], []
    for truth, probabilities in row.told.values():
        asked = [question(name) for name in truth]
        known = np.array([answer is not None for answer in asked])
        true = np.array([bool(answer) for answer in asked])[known]
        if not known.any() or true.all() or not true.any():
            continue
        false_rate, true_rate = roc(true, probabilities[known, place])
        curves.append(np.interp(FALSE_RATES, false_rate, true_rate))
        areas.append(auc(true, probabilities[known, place]))
    if not curves:
        return
    mean, sd = mean_sd(areas)
    middle, deviation = np.mean(curves, axis=0), np.std(curves, axis=0)
    label = f"{shown}, AUC {mean:.3f}" + ("" if np.isnan(sd) else f" ({sd:.3f})")
    (line,) = axis.plot(np.r_[0, FALSE_RATES], np.r_[0, middle], label=label)
    if spread:
        low, high = (middle - deviation).clip(0, 1), (middle + deviation).clip(0, 1)
        axis.fill_between(FALSE_RATES, low, high, color=line.get_color(), alpha=0.12, linewidth=0)


def draw_confusion(
    rows: Mapping[str, Row],
    classes: Sequence[str],
    conclude: Callable[[NDArray[np.float64]], str],
    file: Path,
    *,
    title: str,
) -> None:
    """Draw a confusion matrix for each row, summed over its splits; PNG.

    Args:
        rows: by the name that is shown.
        classes: in order.
        conclude: probabilities (L,) to the class that is told.
        file: to write.
        title: above all.
    """
    edge = max(2.6, 0.75 * len(classes) + 1.2)
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(edge * columns, 0.5 + edge * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    names = [written(name) for name in classes]
    for axis, (shown, row) in zip(axes, rows.items(), strict=False):
        truth = [name for told, _ in row.told.values() for name in told]
        says = [conclude(one) for _, probabilities in row.told.values() for one in probabilities]
        counts = confusion_matrix(truth, says, labels=list(classes))
        shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for place, count in np.ndenumerate(counts):
            axis.text(
                place[1], place[0], str(count), ha="center", va="center", color="white" if shares[place] > 0.5 else "k"
            )
        axis.set_xticks(range(len(classes)), names, rotation=45, ha="right")
        axis.set_yticks(range(len(classes)), names)
        axis.set(title=shown, xlabel="said", ylabel="true")
    for axis in axes[len(rows) :]:
        axis.set_axis_off()
    figure.suptitle(title)
    figure.savefig(file, dpi=110)
