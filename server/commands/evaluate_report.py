"""What ``hepatic evaluate`` prints and draws: the tables of papers 002 and 004, ROC curves, confusion matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from rich.table import Table

from server.commands.options import console_for_tables

if TYPE_CHECKING:
    from rich.console import Console

    from hepatic.engine.trial_results import Measure, Results, Row
    from hepatic.tasks.recipe import Recipe
    from hepatic.tasks.spec import ClassificationTask

SIX = ("accuracy", "ppv", "sensitivity", "specificity", "dsc", "auc", "auc_hard")
SCORES = ("auc_lesion", "auc_malignant", "auc_type", "score")
FLAT, DEEP = "us_bmode", "us_ceus"
PAPER_002 = {
    ("small", "small"): ("70.0 / 70.0", "85.0 / 85.0"),
    ("small_resnet", "small_res3d"): ("67.5 / 67.5", "85.0 / 85.0"),
    ("small_densenet", "small_dense3d"): ("62.5 / 62.5", "82.5 / 82.5"),
    ("paper", "paper"): ("70.0 / 70.0", "85.0 / 85.0"),
    ("resnet", "res3d"): ("67.5 / 67.5", "85.0 / 85.0"),
    ("densenet", "dense3d"): ("62.5 / 62.5", "82.5 / 82.5"),
}
"""By presets of ``FLAT`` and ``DEEP`` that are alike: accuracy and AUC (as printed, the mean of sensitivity and
specificity) of table 1, per cent, on patients."""
PAPER_004 = {
    "small": "0.913 0.930 0.895",
    "small_densenet": "0.912 0.917 0.900",
    "small_ensemble": "0.935 0.942 0.916",
    "paper": "0.913 0.930 0.895",
    "resnet50_480": "0.906 0.910 0.910",
    "densenet121": "0.912 0.917 0.900",
    "paper_ensemble": "0.935 0.942 0.916",
}
"""AUC of lesion, malignancy and type of table 2, on patients, of the rows that come nearest."""
POOLED = {"small": "small_mean", "paper": "resnet50_mean"}
"""Presets, and those that differ from them in the attention only."""
WHOSE, COPIES = "best", "checkpoints"
"""Whose probabilities are compared from preset to preset (``hepatic.engine.trial``)."""
PAPERS_WAY = (
    "As the papers did it: views of one patient leak from training to judging (002), or weights were chosen on the "
    "images that judge (004). Such figures are too good."
)
PAIRED = {FLAT: DEEP, DEEP: FLAT}


def report(recipe: Recipe, results: Results, out: Path, *, measure: Measure) -> None:
    """Print the tables, and write pictures and a CSV file beside the results."""
    from hepatic.engine.trial_results import write_csv

    task = cast("ClassificationTask", recipe.task)
    rows = results.rows(ensembles_of(task), measure=measure)
    write_csv(out / f"{recipe.name}.csv", rows)
    console = console_for_tables()
    if results.settings["phantoms"]:
        console.print(
            "On simulated patients (phantoms): this tests mechanisms, not clinical performance.", style="yellow"
        )
    if any(row.whose == "paper" for row in rows) or any("/paper/" in cell for cell in results.cells):
        console.print(PAPERS_WAY, style="yellow")
    if task.findings:
        _findings(console, rows, task)
    else:
        _classes(console, recipe.name, rows, out, results)
    _draw(task, rows, out, patients="phantoms" if results.settings["phantoms"] else "patients")
    console.print(f"Results, ROC curves and confusion matrices: {out}", highlight=False)


def ensembles_of(task: ClassificationTask) -> dict[str, Sequence[str]]:
    """The presets that are ensembles of others, and their members."""
    found = {name: tuple(changes.get("members", ())) for name, changes in task.presets.items()}
    return {name: members for name, members in found.items() if len(members) > 1}


def _classes(console: Console, name: str, rows: Sequence[Row], out: Path, results: Results) -> None:
    from hepatic.engine.trial_results import Results as Kept

    tables = {name: rows}
    beside = out / f"{PAIRED.get(name, name)}.json"
    if name in PAIRED and beside.is_file():
        other = Kept.read(beside)
        if (other.patients, other.truth) == (results.patients, results.truth):
            tables[PAIRED[name]] = other.rows({}, measure=lambda *_: {})
    table = Table(title="Paper 002: HCC or another tumour. Per cent, mean (SD) over splits")
    for column in (
        "model",
        "preset",
        "expansion",
        *(measure.replace("_", " ") for measure in SIX),
        "splits",
        "paper: ACC / AUC",
    ):
        table.add_column(column, overflow="fold")
    for model, lines in sorted(tables.items()):
        printed = {both[model == DEEP]: told[model == DEEP] for both, told in PAPER_002.items()}
        for row in lines:
            told = printed.get(row.name, "") if row.whose != "off" else ""
            figures = [_figure(row.values(measure), per_cent=True) for measure in SIX]
            table.add_row(model, row.name, row.whose, *figures, str(len(row.splits)), told)
    console.print(table)
    for flat_name, deep_name in PAPER_002:
        flat, deep = (_find(tables.get(m, ()), n, "training") for m, n in ((FLAT, flat_name), (DEEP, deep_name)))
        if flat and deep:
            _say(
                console,
                f"3D on contrast cines ({deep_name}) over 2D on B-mode ({flat_name}), AUC",
                deep.gain(flat, "auc"),
                per_cent=True,
            )
    for model, lines in sorted(tables.items()):
        for off in (row for row in lines if row.whose == "off"):
            if on := _find(lines, off.name, "training"):
                for measure in ("specificity", "sensitivity", "auc"):
                    told = f"{model} ({off.name}), expansion over none, {measure}"
                    _say(console, told, on.gain(off, measure), per_cent=True)


def _findings(console: Console, rows: Sequence[Row], task: ClassificationTask) -> None:
    table = Table(title="Paper 004: lesion, malignancy and type. AUC and score (equation 4), mean (SD) over folds")
    for column in ("preset", "weights", *(measure.replace("_", " ") for measure in SCORES), "folds", "paper"):
        table.add_column(column, overflow="fold")
    for row in rows:
        told = PAPER_004.get(row.name, "") if row.whose == COPIES else ""
        figures = [_figure(row.values(measure)) for measure in SCORES]
        table.add_row(row.name, row.whose, *figures, str(len(row.splits)), told)
    console.print(table)
    types = Table(title="Types: AUC, mean (SD) over folds")
    singles = [label for label in task.labels if f"auc_{label}" not in SCORES]
    for column in ("preset", *singles):
        types.add_column(column, overflow="fold")
    for row in _one_epoch(rows):
        types.add_row(row.name, *(_figure(row.values(f"auc_{label}")) for label in singles))
    console.print(types)
    _compare(console, rows, task)


def _compare(console: Console, rows: Sequence[Row], task: ClassificationTask) -> None:
    for whose in (WHOSE, COPIES):
        for pair in POOLED.items():
            attended, pooled = (_find(rows, name, whose) for name in pair)
            if attended and pooled:
                for measure in SCORES:
                    told = f"{' over '.join(pair)} (attention over mean pooling, {whose}), {measure}"
                    _say(console, told, attended.gain(pooled, measure))
        for name, members in ensembles_of(task).items():
            together = _find(rows, name, whose)
            alone = [row.only(together.splits) for m in members if together and (row := _find(rows, m, whose))]
            if together and alone:
                best = max(alone, key=lambda row: float(np.mean(row.values("score") or [0])))
                _say(console, f"{name} ({whose}) over its best, {best.name}, score", together.gain(best, "score"))
                gains = np.mean([together.gain(row, "score") for row in alone], axis=0)
                _say(console, f"{name} ({whose}) over the mean of its members, score", gains.tolist())
    for row in rows:
        one = _find(rows, row.name, WHOSE)
        if one and row.whose != WHOSE:
            _say(console, f"{row.name}: {row.whose} over one epoch for all, score", row.gain(one, "score"))


def _draw(task: ClassificationTask, rows: Sequence[Row], out: Path, *, patients: str) -> None:
    from hepatic.engine.trial_pictures import draw_confusion, draw_roc

    if task.findings:
        shown = {row.name: row for row in _one_epoch(rows)}
        questions = {label: (place, _applies(task, place)) for place, label in enumerate(task.labels)}
    else:
        shown = {f"{row.name}, {row.whose}": row for row in rows}
        questions = {task.labels[0]: (0, lambda name: name == task.labels[0])}
    roc_file, confusion_file = (out / f"{task.name}-{picture}.png" for picture in ("roc", "confusion"))
    draw_roc(shown, questions, roc_file, title=f"{task.name} on {patients}: mean over splits")

    def conclude(probabilities: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
        return task.conclude(dict(zip(task.labels, probabilities.tolist(), strict=True)))

    draw_confusion(shown, task.classes, conclude, confusion_file, title=f"{task.name} on {patients}: all splits")


def _applies(task: ClassificationTask, place: int) -> Callable[[str], bool | None]:
    def is_true(name: str) -> bool | None:
        told = task.findings[name][place]
        return None if math.isnan(told) else told == 1

    return is_true


def _one_epoch(rows: Sequence[Row]) -> list[Row]:
    """The rows of weights chosen on others than those who judge; where there are none, all of one epoch."""
    return [row for row in rows if row.whose == WHOSE] or [row for row in rows if row.whose.startswith(WHOSE)]


def _find(rows: Sequence[Row], name: str, whose: str) -> Row | None:
    return next((row for row in rows if (row.name, row.whose) == (name, whose)), None)


def _figure(values: Sequence[float], *, per_cent: bool = False) -> str:
    from hepatic.engine.trial_results import mean_sd

    mean, sd = mean_sd(values)
    if math.isnan(mean):
        return "-"
    shown = [f"{100 * value:.1f}" if per_cent else f"{value:.3f}" for value in (mean, sd)]
    return shown[0] if math.isnan(sd) else f"{shown[0]} ({shown[1]})"


def _say(console: Console, what: str, gains: Sequence[float], *, per_cent: bool = False) -> None:
    if gains:
        mean, *by_split = (
            f"{100 * gain:+.1f}" if per_cent else f"{gain:+.3f}" for gain in (float(np.mean(gains)), *gains)
        )
        told = f"{what}: {mean}{' points' if per_cent else ''}, by split {' '.join(by_split)}"
        console.print(told, highlight=False)
