"""How much a model doubts each unlabelled image, as a MONAI Label scoring method."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hepatic.adapters import compat
from hepatic.engine.predict import Predictor
from hepatic.errors import BadInputError
from hepatic.store.score import Score, write_score
from hepatic.tasks.spec import SegmentationTask

compat.install()

from monailabel.interfaces.datastore import Datastore  # noqa: E402
from monailabel.interfaces.tasks.scoring import ScoringMethod  # noqa: E402

logger = logging.getLogger(__name__)


class ForegroundEntropy(ScoringMethod):  # type: ignore[misc]
    """Entropy of a task's served model, averaged over the foreground, for each image of the task's modality.

    Args:
        task: what to run.
        predictor: runs it.
    """

    def __init__(self, task: SegmentationTask, predictor: Predictor) -> None:
        super().__init__(f"Uncertainty of {task.name}: entropy averaged over the foreground")
        self._task, self._predictor = task, predictor

    def info(self) -> dict[str, Any]:
        """Describe the method; ``per_image`` says that a server may ask for single images in the background."""
        return {**super().info(), "per_image": True, "model": self._task.name}

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Score ``request["images"]``, or every unlabelled image, and write the scores into the images' info."""
        images = request.get("images") or datastore.get_unlabeled_images()
        scores: dict[str, float] = {}
        for image_id in images:
            if datastore.get_image_info(image_id).get("modality", self._task.modality) != self._task.modality:
                continue
            try:
                prediction = self._predictor.predict(self._task, Path(datastore.get_image_uri(image_id)))
            except BadInputError as error:
                logger.warning("Image is not scored: %s", error)
                continue
            scores[image_id] = round(prediction.uncertainty, 6)
            score = Score(self._task.name, prediction.version, scores[image_id])
            datastore.update_image_info(image_id, write_score(score))
        return {"scores": scores}
