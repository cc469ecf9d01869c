"""What was measured on the splits of an evaluation, kept as it comes, and the rows of its table."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Measure = Callable[[Sequence[str], NDArray[np.float64]], dict[str, float]]
"""Classes and probabilities (N, L) to measures."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: of what was trained.
        whose: whose probabilities judge, "(paper)" where who judges chose them, or how the rarer class was expanded.
        splits: by split, its measures.
        told: by split, the classes of the images that judged and the probabilities (N, L).
    """

    name: str
    whose: str
    splits: dict[str, dict[str, float]] = field(default_factory=dict)
    told: dict[str, tuple[list[str], NDArray[np.float64]]] = field(default_factory=dict)

    def values(self, measure: str) -> list[float]:
        """One measure, of the splits that have it."""
        return [measures[measure] for measures in self.splits.values() if measure in measures]

    def only(self, splits: Iterable[str]) -> Row:
        """The same row, of some splits alone."""
        chosen = set(splits)
        judged = {split: measures for split, measures in self.splits.items() if split in chosen}
        return Row(self.name, self.whose, judged, {split: told for split, told in self.told.items() if split in chosen})

    def gain(self, other: Row, measure: str) -> list[float]:
        """What this row has more than another, split by split, of those both have."""
        shared = [split for split in self.splits if split in other.splits]
        pairs = [(self.splits[split].get(measure), other.splits[split].get(measure)) for split in shared]
        return [mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None]


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (of a sample) over splits; nan where there are too few."""
    mean = float(np.mean(values)) if values else float("nan")
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def digest(keys: Sequence[str]) -> str:
    """Changes when one of the images does."""
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]


class Results:
    """Cells of a table in a JSON file; an evaluation of the same images and settings goes on from it.

    Args:
        file: written after every cell; None keeps nothing.
        settings: whatever a cell depends on beside its name.
        patients: of each image.
        truth: class of each image.
    """

    def __init__(
        self, file: Path | None, *, settings: Mapping[str, Any], patients: Sequence[str], truth: Sequence[str]
    ) -> None:
        self._file = file
        self.truth, self.patients, self.settings = list(truth), list(patients), dict(settings)
        self.head = {"settings": self.settings, "patients": self.patients, "truth": self.truth}
        self.cells: dict[str, dict[str, Any]] = {}
        if file is not None and file.is_file():
            before = json.loads(file.read_bytes())
            if {name: before.get(name) for name in self.head} == self.head:
                self.cells = before["cells"]

    @classmethod
    def read(cls, file: Path) -> Results:
        """Read what another evaluation left."""
        kept = json.loads(file.read_bytes())
        return cls(file, settings=kept["settings"], patients=kept["patients"], truth=kept["truth"])

    def keep(self, cell: str, told: Mapping[str, Any]) -> None:
        """Add a cell; its name is ``preset/expansion/split``."""
        self.cells[cell] = dict(told)
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(".new")
        cells = ",\n".join(
            f" {json.dumps(name)}: {json.dumps(cell, separators=(',', ':'))}" for name, cell in self.cells.items()
        )
        head = json.dumps(self.head, indent=None)[1:-1]
        temporary.write_text(f'{{{head},\n"cells": {{\n{cells}\n}}}}\n')
        temporary.replace(self._file)

    def rows(self, ensembles: Mapping[str, Sequence[str]], *, measure: Measure) -> list[Row]:
        """The lines of the table.

        Args:
            ensembles: by name, the presets whose probabilities are averaged, where all of them judged a split.
            measure: judges an average.
        """
        rows: dict[tuple[str, str], Row] = {}
        for name, cell in self.cells.items():
            preset, expansion, split = name.split("/")
            truth = [self.truth[n] for n in cell["test"]]
            for who, measures in cell["metrics"].items():
                told = expansion if len(cell["metrics"]) == 1 else who if expansion != "paper" else f"{who} (paper)"
                row = rows.setdefault((preset, told), Row(preset, told))
                row.splits[split] = measures
                if who in cell["probabilities"]:
                    row.told[split] = truth, np.array(cell["probabilities"][who])
        for name, members in ensembles.items():
            for whose in dict.fromkeys(whose for _, whose in list(rows)):
                taken = [rows[member, whose] for member in members if (member, whose) in rows]
                made = _together(Row(name, whose), taken, measure) if len(taken) == len(members) else None
                if made is not None and made.splits:
                    rows[name, whose] = made
        return list(rows.values())


def _together(made: Row, rows: Sequence[Row], measure: Measure) -> Row:
    """Fill a row with the mean of others, on the splits that all of them judged."""
    for split, (truth, _) in rows[0].told.items():
        if all(split in row.told for row in rows):
            mean = np.mean([row.told[split][1] for row in rows], axis=0)
            made.told[split] = truth, mean
            made.splits[split] = measure(truth, mean)
    return made


def write_csv(file: Path, rows: Sequence[Row]) -> None:
    """Write a line per row and measure: mean, standard deviation, number of splits."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["row", "of", "measure", "mean", "sd", "splits"])
        for row in rows:
            for measure in dict.fromkeys(name for measures in row.splits.values() for name in measures):
                mean, sd = mean_sd(row.values(measure))
                writer.writerow([row.name, row.whose, measure, f"{mean:.4f}", f"{sd:.4f}", len(row.values(measure))])
