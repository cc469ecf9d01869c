"""A task as a MONAI Label inference task."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from hepatic.adapters import compat
from hepatic.engine.answer import Prediction
from hepatic.engine.predict import Predictor
from hepatic.errors import BadInputError
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import encode_labelmap
from hepatic.tasks.spec import SegmentationTask

compat.install()

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType  # noqa: E402

RESULT_SUFFIXES = (".nrrd", ".seg.nrrd", ".nii.gz", ".nii")


class HepaticInferTask(InferTask):  # type: ignore[misc]
    """Runs a hepatic task for MONAI Label.

    Args:
        task: what to run.
        predictor: runs it; shared by all tasks of a process.
        results: folder for result files; whoever asked for a result removes its file.
    """

    def __init__(self, task: SegmentationTask, predictor: Predictor, *, results: Path | None = None) -> None:
        super().__init__(
            type=InferType.SEGMENTATION.value,
            labels=list(task.labels),
            dimension=task.dimension,
            description=task.description,
            config={option.name: option.shown for option in task.options},
        )
        self.task, self._predictor, self._results = task, predictor, results

    def info(self) -> dict[str, Any]:
        """Describe the task; adds the version that is served and the options with their ranges."""
        served = self._predictor.registry.served(self.task.name)
        options = {o.name: {"default": o.default, "description": o.description} for o in self.task.options}
        return {
            **super().info(),
            "modality": self.task.modality,
            "options": options,
            "version": served.version if served else None,
            "metrics": served.metrics if served else {},
            "notes": served.card.notes if served else "",
        }

    def is_valid(self) -> bool:
        """Whether there is a model to run."""
        return self._predictor.registry.served(self.task.name) is not None

    def get_path(self, validate: bool = True) -> str | None:
        """Weights file of the served version."""
        served = self._predictor.registry.served(self.task.name)
        return None if served is None else str(served.weights_file)

    def __call__(self, request: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Run inference.

        Args:
            request: ``image`` (path), the task's options, ``result_extension``, ``result_compress``,
                ``result_write_to_file``.

        Returns:
            Path of the labelmap file, and the facts about it.
        """
        suffix = str(request.get("result_extension") or ".nrrd")
        if suffix not in RESULT_SUFFIXES:
            raise BadInputError(
                "parameter 'result_extension'",
                expected="one of " + ", ".join(RESULT_SUFFIXES),
                came=repr(suffix)[:40],
                fix="Correct it.",
            )
        prediction = self._predictor.predict(self.task, Path(request["image"]), params=request)
        params = result_params(prediction)
        if request.get("result_write_to_file") is False:
            return None, params
        started = time.perf_counter()
        labelmap = Labelmap(prediction.labelmap, prediction.grid, prediction.labels)
        data = encode_labelmap(suffix, labelmap, compress=request.get("result_compress") is not False)
        with tempfile.NamedTemporaryFile(
            prefix=f"{self.task.name}-", suffix=suffix, dir=self._results, delete=False
        ) as handle:
            handle.write(data)  # not flushed to disk: it is sent and deleted
            file = Path(handle.name)
        params["latencies"]["write"] = round(1000 * (time.perf_counter() - started), 2)
        return str(file), params


def result_params(prediction: Prediction) -> dict[str, Any]:
    """The facts about a prediction, as MONAI Label's clients get them; times in milliseconds."""
    return {
        "label_names": prediction.labels,
        "model_version": prediction.version,
        "model_hash": prediction.model_sha256,
        "uncertainty": round(prediction.uncertainty, 5),
        "latencies": dict(prediction.timings_ms),
        **prediction.facts,
    }
