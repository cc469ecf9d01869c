"""What a classifier is asked about the ultrasound images of a study, and what becomes of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hepatic.geometry import Grid
from hepatic.harvest.propose_classes import Classified, propose_classes
from hepatic.harvest.study import ProposedStudy
from hepatic.store.images import Image

MODALITY = "US"
CLASSIFICATION = "classification"


def request_for(study: str, images: Sequence[Image], paths: Mapping[str, str], model: str) -> dict[str, Any]:
    """Return what ``worker.classify`` is asked.

    Args:
        study: StudyInstanceUID.
        images: of the study.
        paths: of the images, by id.
        model: the classifier.
    """
    asked = [{"image_id": one.id, "path": paths[one.id], "description": one.description} for one in images]
    return {"model": model, "study_uid": study, "patient_id": images[0].patient_id, "images": asked}


def suited(images: Sequence[Image], about: Mapping[str, Any]) -> list[Image]:
    """Return the images that a classifier can look at: one for cines none of a single frame."""
    least = 2 if about.get("dimension") == 3 else 1
    return [one for one in images if (one.size[2] if len(one.size) > 2 else 1) >= least]


def proposed_from(result: Mapping[str, Any], about: Mapping[str, Any]) -> ProposedStudy:
    """Return the study that ``worker.classify`` looked at.

    Args:
        result: its answer.
        about: what the classifier tells of itself.

    Raises:
        BadInputError: it could look at none of the images.
    """
    images = []
    for one in result["images"]:
        i, j, k = (int(count) for count in one["size"])
        images.append(
            Classified(one["image_id"], Grid((i, j, k), np.array(one["affine"], np.float64)), one["probabilities"])
        )
    return propose_classes(
        result["study_uid"],
        result["patient_id"],
        images,
        classes=list(about["classes"]),
        note=str(about["note"]),
        model=result["model"],
        model_hash=result["model_hash"],
        warnings=result["warnings"],
    )
