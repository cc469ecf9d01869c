"""Labelled images as the training samples they stand for."""

from __future__ import annotations

import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hepatic.engine.cases import ClassCase, TrainingCase
from hepatic.engine.kind import training_sample
from hepatic.errors import BadInputError
from hepatic.io.image import Volume
from hepatic.tasks.recipe import Recipe, one_sample
from hepatic.tasks.spec import DetectionTask, Sample, SegmentationTask, Task

logger = logging.getLogger(__name__)

Livers = Callable[[SegmentationTask, Volume], NDArray[np.bool_]]
"""A liver task and an image -> (K, J, I) bool on its grid, lesions not cut out."""


@dataclass(frozen=True)
class PreparedCases:
    """Training samples and where they come from.

    Attributes:
        samples: one entry per training sample, see ``hepatic.engine.kind.training_sample``.
        cases: those that could be used.
        left_out: reason by image id of those that could not.
    """

    samples: list[Sample]
    cases: list[TrainingCase]
    left_out: dict[str, str]


def prepare_cases(
    recipe: Recipe,
    cases: Iterable[TrainingCase],
    *,
    livers: Livers | None = None,
    needed: bool = True,
    balanced: bool = False,
) -> PreparedCases:
    """Read, expand and prepare cases; those that cannot be used are left out with a warning for each reason.

    Args:
        recipe: how they are expanded; its task prepares them.
        cases: all there are.
        livers: finds livers for a detector whose case brings none.
        needed: whether there must be some.
        balanced: expand classified images that can be used until the classes are about equal, as far as they have
            views that differ; the rarer ones are read again for it. Otherwise each stands for itself. The paper that
            does so (002) expands before it splits; here only the training side is.

    Raises:
        BadInputError: none can be used, and some are needed.
    """
    prepared = PreparedCases([], [], {})
    samples: list[list[Sample]] = []
    refused: defaultdict[str, list[tuple[str, BadInputError]]] = defaultdict(list)
    for case in cases:
        try:
            whole = whole_sample(case, recipe.task, livers)
            if recipe.eligible_only and isinstance(case, ClassCase):
                case.eligibility(whole["source"]).check(case.image_id)
            samples.append(_views(recipe, whole, 1) if isinstance(case, ClassCase) else list(_prepared(recipe, whole)))
        except BadInputError as error:
            prepared.left_out[case.image_id] = str(error)
            refused[error.expected].append((case.image_id, error))
            continue
        prepared.cases.append(case)
    for alike in refused.values():
        image_id, why = alike[0]
        others = f" and {len(alike) - 1} for the same reason" if len(alike) > 1 else ""
        logger.warning("Image %s is left out of training%s: %s", image_id, others, why)
    if balanced and recipe.expand is not one_sample:
        classes = Counter(case.truth for case in prepared.cases if isinstance(case, ClassCase))
        for number, case in enumerate(prepared.cases):
            if isinstance(case, ClassCase) and (views := round(max(classes.values()) / classes[case.truth])) > 1:
                samples[number] = _views(recipe, whole_sample(case, recipe.task, livers), views)
    prepared.samples.extend(itertools.chain.from_iterable(samples))
    if needed and not prepared.samples:
        raise BadInputError(
            f"training of '{recipe.name}'",
            expected="labelled images on both sides of the split",
            came="none that can be used; " + (next(iter(prepared.left_out.values()), "there are none")),
            fix="Submit labels of more patients, or submit the ones named above again.",
        )
    return prepared


def _prepared(recipe: Recipe, whole: Sample) -> Iterator[Sample]:
    """Yield the training samples that a case stands for."""
    for one in recipe.expand(whole):
        yield training_sample(recipe.task, recipe.task.prepare(one))


def _views(recipe: Recipe, whole: Sample, most: int) -> list[Sample]:
    """Return up to so many views of a case that differ: a second later, a cine of few frames may show the same."""
    kept: list[Sample] = []
    for one in _prepared(recipe, whole):
        if not any(torch.equal(one["image"], other["image"]) for other in kept):
            kept.append(one)
        if len(kept) == most:
            break
    return kept


def whole_sample(case: TrainingCase, task: Task, livers: Livers | None) -> Sample:
    """Read a case, and find the liver where the task needs it and the case does not bring it."""
    sample = case.sample(task)
    if not isinstance(task, DetectionTask) or task.liver is None or "liver" in sample:
        return sample
    if livers is None:
        raise BadInputError(
            f"image {case.image_id}", expected="a liver mask", came="none", fix="Label the liver beside the lesions."
        )
    return {**sample, "liver": livers(task.liver, sample["source"])}
