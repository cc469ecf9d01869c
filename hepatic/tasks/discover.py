"""Find the tasks and recipes of the two rooms where newcomers put their models."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

from hepatic.errors import HepaticError
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import ClassificationTask, DetectionTask, SegmentationTask, Task

Thing = TypeVar("Thing", Task, Recipe)


class TaskFileError(HepaticError):
    """A file in infer_tasks/ or train_tasks/ does not define what it must."""


def discover_tasks(package: ModuleType) -> dict[str, Task]:
    """Import every module of ``infer_tasks`` and collect its ``TASK``, of whichever kind, by name."""
    return _discover(package, "TASK", Task, (SegmentationTask, DetectionTask, ClassificationTask))


def discover_recipes(package: ModuleType) -> dict[str, Recipe]:
    """Import every module of ``train_tasks`` and collect its ``RECIPE`` by name."""
    return _discover(package, "RECIPE", Recipe, (Recipe,))


def _discover(
    package: ModuleType, attribute: str, kind: type[Thing], choices: tuple[type[Thing], ...]
) -> dict[str, Thing]:
    found: dict[str, Thing] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        thing = getattr(importlib.import_module(f"{package.__name__}.{module}"), attribute, None)
        place = f"{package.__name__}/{module}.py"
        if not isinstance(thing, kind):
            wanted = " or ".join(f"{choice.__name__}(...)" for choice in choices)
            raise TaskFileError(f"{place}: expected {attribute} = {wanted}, but found {thing!r}. Define it.")
        if thing.name != module:
            raise TaskFileError(
                f"{place}: expected {attribute} to be named '{module}', like the file, but found '{thing.name}'. "
                "Rename one of them."
            )
        found[module] = thing
    return found
