"""How many images of each class teach and judge a classifier, and whether those tell one class from another."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hepatic.engine.cases import ClassCase, TrainingCase
from hepatic.engine.split import Part
from hepatic.errors import BadInputError
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import ClassificationTask, Task


def count(task: Task, cases: Sequence[TrainingCase]) -> dict[str, Any]:
    """Return ``images`` and ``patients``, as a card has them, and of a classifier ``classes``: images by class."""
    counted = {"images": len(cases), "patients": len({case.patient_id for case in cases})}
    if not isinstance(task, ClassificationTask):
        return counted
    found = Counter(case.truth for case in cases if isinstance(case, ClassCase))
    return {**counted, "classes": {name: found[name] for name in (*task.classes, *task.coarse) if found[name]}}


def in_words(classes: Mapping[str, int]) -> str:
    """Return images by class as ``12 homogeneous, 3 hcc``."""
    return ", ".join(f"{images} {name}" for name, images in classes.items()) or "none"


def one_kind(task: Task, counted: Mapping[str, Any]) -> str:
    """Return in words which images there are where they are of one kind, so that they tell no classes apart; else "".

    Where labels are findings, that is where all images show the first of them, or none does.

    Args:
        task: of any type; only a classifier's images have kinds.
        counted: as ``count`` returns it.
    """
    if not isinstance(task, ClassificationTask):
        return ""
    classes = counted["classes"]
    kinds = {task.known[name][0] for name in classes} & {0.0, 1.0} if task.findings else classes
    return "" if len(kinds) > 1 else in_words(classes)


def doubt(task: Task, counted: Mapping[str, Any]) -> str:
    """Return on what a classifier was judged, where that tells too little for it to be served; else "".

    That is images of one kind, or, where labels are findings, none of which it is known whether they show some of them.

    Args:
        task: of any type; of others there is no such doubt.
        counted: those that judged, as ``count`` returns it.
    """
    if alike := one_kind(task, counted):
        return f"images of one kind only ({alike}), with which a model that says so of every image does as well"
    if not isinstance(task, ClassificationTask) or not task.findings:
        return ""
    known = [task.known[name] for name in counted["classes"]]
    unknown = [label for label, *told in zip(task.labels, *known, strict=True) if all(map(math.isnan, told))]
    if not unknown:
        return ""
    return f"no image of which it is known whether it shows {', '.join(unknown)} ({in_words(counted['classes'])})"


def check_classes(recipe: Recipe, counted: Mapping[Part, Mapping[str, Any]]) -> None:
    """Check that the images that are to train a classifier can teach it to tell classes apart.

    Args:
        recipe: of any task.
        counted: by part of the split, as ``count`` returns it.

    Raises:
        BadInputError: they are of one kind (``one_kind``).
    """
    task = recipe.task
    alike = one_kind(task, counted["train"])
    if not isinstance(task, ClassificationTask) or not alike:
        return
    both = f"images that show '{task.labels[0]}' and ones that do not" if task.findings else "images of two classes"
    others = ", ".join(f"{part}: {in_words(counts['classes'])}" for part, counts in counted.items() if part != "train")
    raise BadInputError(
        f"training of '{recipe.name}'",
        expected=f"{both} among those that train: of one kind alone it learns to say that of every image",
        came=f"{alike} ({others})",
        fix="Name classes of more patients on the pages of the cases, at /qa or in 3D Slicer, or import labels that "
        f"name them: {', '.join(task.classes)}.",
    )
