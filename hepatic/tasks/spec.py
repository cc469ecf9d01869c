"""What a task is, in one import: the three kinds and what they share."""

from __future__ import annotations

from hepatic.tasks.classification import ClassificationTask
from hepatic.tasks.detection import DetectionTask, detection_options
from hepatic.tasks.option import Option
from hepatic.tasks.segmentation import SegmentationTask
from hepatic.tasks.task import Kind, Sample, Task, Transform

__all__ = [
    "ClassificationTask",
    "DetectionTask",
    "Kind",
    "Option",
    "Sample",
    "SegmentationTask",
    "Task",
    "Transform",
    "detection_options",
]
