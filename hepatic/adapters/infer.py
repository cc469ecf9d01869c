"""A task as a MONAI Label inference task."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hepatic.adapters import compat
from hepatic.adapters.region_mask import class_names
from hepatic.adapters.results import as_file, result_params
from hepatic.engine.answer import Answer, Classification
from hepatic.engine.packed import pack, take_in
from hepatic.engine.predict import PictureBoxes, Predictor
from hepatic.errors import BadInputError
from hepatic.tasks.spec import ClassificationTask, DetectionTask, Task

compat.install()

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType  # noqa: E402

RESULT_SUFFIXES = (".nrrd", ".seg.nrrd", ".nii.gz", ".nii")


class HepaticInferTask(InferTask):  # type: ignore[misc]
    """Runs a hepatic task for MONAI Label.

    A segmentation answers with a labelmap. A detection answers with markups that 3D Slicer loads as ROIs, or with a
    labelmap of the boxes where a client asks for one by its suffix; ``.nrrd`` counts as no such wish, because 3D Slicer
    sends it whatever the model. A classification has no file, unless it is shown as a segmentation of where it looked.

    Args:
        task: what to run.
        predictor: runs it; shared by all tasks of a process.
        results: folder for result files; whoever asked for a result removes its file.
        as_segmentation: show a detector as a segmentation of its boxes, for viewers that know no boxes, such as OHIF; a
            classifier as one of where it looked, named by class and probability, for viewers that know no classes, such
            as 3D Slicer.
        drawn: an image and its file -> the lesions that a reader has drawn on it, at the largest of which a classifier
            that takes a box looks where a request names none.
    """

    def __init__(
        self,
        task: Task,
        predictor: Predictor,
        *,
        results: Path | None = None,
        as_segmentation: bool = False,
        drawn: Callable[[str, Path], PictureBoxes] | None = None,
    ) -> None:
        super().__init__(
            type=(InferType.SEGMENTATION if as_segmentation else InferType(task.type)).value,
            labels=list(task.labels),
            dimension=task.dimension,
            description=task.description + (_shown_as(task) if as_segmentation else ""),
            config={option.name: option.shown for option in task.options},
        )
        self.task, self._predictor, self._results, self._as_segmentation = task, predictor, results, as_segmentation
        self._drawn = drawn

    def info(self) -> dict[str, Any]:
        """Describe the task; adds the version that is served and the options with their ranges."""
        served = self._predictor.registry.served(self.task.name)
        classes: dict[str, Any] = {}
        if isinstance(self.task, ClassificationTask):
            classes = {"classes": list(self.task.classes), "absent": self.task.absent, "note": self.task.note}
        options = {o.name: {"default": o.default, "description": o.description} for o in self.task.options}
        return {
            **super().info(),
            "modality": self.task.modality,
            "options": options,
            **classes,
            "version": served.version if served else None,
            "metrics": served.metrics if served else {},
            "notes": served.card.notes if served else "",
        }

    @property
    def takes(self) -> tuple[str, ...]:
        """What a request may hold besides ``image``; all else in it is passed over."""
        return (*self.config(), "image_id", "result_extension", "result_compress", "result_write_to_file")

    def is_valid(self) -> bool:
        """Whether there is a model to run."""
        return self._predictor.registry.served(self.task.name) is not None

    def get_path(self, validate: bool = True) -> str | None:
        """Weights file of the served version."""
        served = self._predictor.registry.served(self.task.name)
        return None if served is None else str(served.weights_file)

    def pack(self, file: Path) -> bool:
        """Write the served version as a zip, where it has several networks; return whether it has."""
        served = self._predictor.registry.served(self.task.name)
        if served is None or not served.card.members:
            return False
        pack(served, file)
        return True

    def take_in(self, card: Path, weights: Sequence[Path]) -> str:
        """Serve a packed version from now on, and return its name.

        Args:
            card: its card.
            weights: its safetensors files.

        Raises:
            BadInputError: it is none of this task.
        """
        registry = self._predictor.registry
        version = take_in(card, weights, task=self.task, registry=registry)
        return registry.promote(self.task.name, version.version).version

    def __call__(self, request: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Run inference.

        Args:
            request: ``image`` (path), ``image_id``, the task's options, ``result_extension``, ``result_compress``,
                ``result_write_to_file``.

        Returns:
            Path of the result file, and the facts about it.
        """
        suffix = self._suffix(str(request.get("result_extension") or ".nrrd"))
        source, image_id = Path(request["image"]), str(request.get("image_id") or "")
        answer = self._predictor.predict(
            self.task, source, params=request, boxes=self._boxes(request, image_id, source)
        )
        names = self._classes_as_names(answer)
        params = result_params(answer, image_id=image_id, names=names)
        has_file = names is not None or not isinstance(answer, Classification)
        if request.get("result_write_to_file") is False or not has_file:
            return None, params
        started = time.perf_counter()
        data = as_file(answer, suffix, params, compress=request.get("result_compress") is not False)
        with tempfile.NamedTemporaryFile(
            prefix=f"{self.task.name}-", suffix=suffix, dir=self._results, delete=False
        ) as handle:
            handle.write(data)  # not flushed to disk: it is sent and deleted
            file = Path(handle.name)
        params["latencies"]["write"] = round(1000 * (time.perf_counter() - started), 2)
        return str(file), params

    def _boxes(self, request: dict[str, Any], image_id: str, source: Path) -> PictureBoxes:
        """Return what is drawn on the image, where the task takes a box and the request names none."""
        takes_box = isinstance(self.task, ClassificationTask) and self.task.needs_boxes
        if not takes_box or self._drawn is None or not image_id or request.get("roi"):
            return ()
        return self._drawn(image_id, source)

    def _classes_as_names(self, answer: Answer) -> dict[str, int] | None:
        """Return the segments' names of a classification that is shown as a segmentation."""
        if not (self._as_segmentation and isinstance(answer, Classification)):
            return None
        return class_names(answer, self.task) if isinstance(self.task, ClassificationTask) else None

    def _suffix(self, asked: str) -> str:
        boxes = isinstance(self.task, DetectionTask) and not self._as_segmentation
        allowed = (*RESULT_SUFFIXES, ".json", ".mrk.json") if boxes else RESULT_SUFFIXES
        if asked not in allowed:
            raise BadInputError(
                "parameter 'result_extension'",
                expected="one of " + ", ".join(allowed),
                came=repr(asked)[:40],
                fix="Correct it.",
            )
        return ".json" if boxes and asked == ".nrrd" else asked


def _shown_as(task: Task) -> str:
    return ", boxes as a labelmap" if isinstance(task, DetectionTask) else ", where it looked as a labelmap"
