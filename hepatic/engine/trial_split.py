"""How labelled images are split into those who train, tune and judge, again and again (papers 002 and 004)."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from hepatic.errors import BadInputError

Expansion = Literal["off", "training", "paper"]
"""Whether the rarer class is expanded to further views: not at all; of patients who train or tune; or, as paper 002
does, before the split, so that views of one patient train and judge."""

View = tuple[int, int]
"""Place of an image, and which of its views."""

THIRDS, TENTHS, TUNING = 3, 10, 5


def expansions_of(text: str) -> list[Expansion]:
    """Read expansions with commas between them; BadInputError where one is none."""
    asked = [name.strip() for name in text.split(",")]
    known = {name: name for name in get_args(Expansion)}
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise BadInputError("expansion", expected=", ".join(known), came=repr(unknown[0])[:80], fix="Choose of these.")
    return [known[name] for name in asked]


@dataclass(frozen=True)
class Split:
    """Views of images: those who train, those on whom epochs are compared, those who judge."""

    train: tuple[View, ...]
    tuning: tuple[View, ...]
    test: tuple[View, ...]


def thirds(truth: Sequence[str], patients: Sequence[str], *, seed: int, paper: bool = False) -> list[Split]:
    """Shuffle, and let each third judge once (paper 004): three splits of one shuffle.

    Args:
        truth: class of each image.
        patients: of each image; none is on two sides.
        seed: of the shuffle.
        paper: compare epochs on the images that judge, which flatters; otherwise a fifth of the others is set aside
            for that.

    Raises:
        BadInputError: too few patients.
    """
    splits = []
    for rest, test in _folds(truth, patients, THIRDS, seed):
        if paper:
            train, tuning = rest, test
        else:
            inner = _folds([truth[n] for n in rest], [patients[n] for n in rest], TUNING, seed)
            train, tuning = ([rest[n] for n in part] for part in inner[0])
        splits.append(Split(_first(train), _first(tuning), _first(test)))
    return splits


def seven_one_two(
    truth: Sequence[str], patients: Sequence[str], views: Sequence[int], *, seed: int, expansion: Expansion = "training"
) -> Split:
    """Split 7 : 1 : 2 (paper 002, section 1.2.2), with the rarer class expanded or not.

    Args:
        truth: class of each image.
        patients: of each image; none is on two sides, except as ``paper`` has it.
        views: how many there are of each image.
        seed: of the shuffle.
        expansion: see ``Expansion``; the classes become about equal, as far as there are views.

    Raises:
        BadInputError: too few patients.
    """
    if expansion == "paper":
        entries = _expanded(range(len(truth)), truth, views)
        tenths = _folds([truth[n] for n, _ in entries], [str(entry) for entry in entries], TENTHS, seed)
        parts = [tuple(entries[place] for place in test) for _, test in tenths]
        return Split(_together(parts[3:]), parts[2], _together(parts[:2]))
    parts = [_first(test) for _, test in _folds(truth, patients, TENTHS, seed)]
    train, tuning = _together(parts[3:]), parts[2]
    if expansion == "training":  # tuning patients are of the training side: epochs are compared on equal classes, too
        train, tuning = (tuple(_expanded([n for n, _ in part], truth, views)) for part in (train, tuning))
    return Split(train, tuning, _together(parts[:2]))


def _folds(truth: Sequence[str], patients: Sequence[str], count: int, seed: int) -> list[tuple[list[int], list[int]]]:
    counts = Counter(truth)
    if len(counts) < 2 or len(set(patients)) < count or max(counts.values()) < count:
        raise BadInputError(
            "the evaluation",
            expected=f"two classes or more, and {count} or more patients with the commonest, to split by {count}",
            came=", ".join(f"{number} {name}" for name, number in counts.most_common()) or "none",
            fix="Label more studies.",
        )
    folds = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # a rare type may be missing in a fold
        return [(rest.tolist(), test.tolist()) for rest, test in folds.split(np.zeros(len(truth)), truth, patients)]


def _expanded(places: Sequence[int] | range, truth: Sequence[str], views: Sequence[int]) -> list[View]:
    counts = Counter(truth[n] for n in places)
    most = max(counts.values())
    return [(n, view) for n in places for view in range(min(views[n], round(most / counts[truth[n]])))]


def _first(places: Sequence[int]) -> tuple[View, ...]:
    return tuple((place, 0) for place in places)


def _together(parts: Sequence[tuple[View, ...]]) -> tuple[View, ...]:
    return tuple(entry for part in parts for entry in part)
