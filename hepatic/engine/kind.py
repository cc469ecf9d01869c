"""What differs between the kinds of tasks, for the engine."""

from __future__ import annotations

from hepatic.errors import BadInputError
from hepatic.tasks.spec import SegmentationTask, Task


def segmentation(task: Task) -> SegmentationTask:
    """Return the task; BadInputError where it is of another kind."""
    if not isinstance(task, SegmentationTask):
        raise BadInputError(
            f"task '{task.name}'", expected="a segmentation task", came=f"one of {task.type}", fix="Choose another one."
        )
    return task
