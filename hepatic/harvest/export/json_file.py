"""All that was reviewed, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from hepatic import __version__
from hepatic.harvest.export.classified import ClassifiedStudy
from hepatic.harvest.export.reviewed import ReviewedStudy


def write_json(studies: Iterable[ReviewedStudy], classified: Iterable[ClassifiedStudy]) -> bytes:
    """Return a file with the fields of ``ReviewedStudy`` and ``ClassifiedStudy`` under their names.

    Boxes are x, y, z, x, y, z in LPS millimetres; a grid is its size and its affine, index to LPS millimetres.
    """
    told = {
        "info": {"description": "Studies reviewed with hepatic", "version": __version__},
        "studies": [_study(one) for one in studies],
        "classified": [asdict(one) for one in classified],
    }
    return json.dumps(told, indent=1, ensure_ascii=False).encode()


def _study(one: ReviewedStudy) -> dict[str, Any]:
    return {
        "study_uid": one.study_uid,
        "patient_id": one.patient_id,
        "complete": one.complete,
        "reference": one.reference.value,
        "image_ids": {phase.value: image for phase, image in one.image_ids.items()},
        "size": list(one.grid.size),
        "affine": one.grid.affine.tolist(),
        "candidates": [asdict(candidate) for candidate in one.candidates],
    }
