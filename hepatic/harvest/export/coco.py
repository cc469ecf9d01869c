"""Accepted boxes in COCO's format, for detectors that train on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hepatic import __version__
from hepatic.boxes import to_voxels
from hepatic.harvest.export.reviewed import ReviewedCandidate, ReviewedStudy

PIXELS = (
    "bbox is in pixels (x, y, width, height; 0 is the outer edge of the first pixel) of the study's upright grid: "
    "columns to the patient's left, rows to the back, slices to the head. A file that is stored another way has to be "
    "turned so first. size and affine (continuous index i, j, k to LPS millimetres, 0 the centre of the first voxel) "
    "in studies tell that grid. box_lps_mm lies in the patient and depends on no grid."
)
LESION = {"id": 1, "name": "lesion", "supercategory": "liver"}


def write_coco(studies: Iterable[ReviewedStudy], left_out: Mapping[str, str] | None = None) -> bytes:
    """Return a COCO detection file.

    An image is one slice of a study's reference series: ``file_name`` is the id of the series in the datastore,
    ``slice`` the index. An annotation is an accepted box where it cuts its key slice: ``bbox`` in pixels of the upright
    grid, which ``info.pixels`` explains and ``studies`` gives (``size``, ``affine``). COCO is two-dimensional, so the
    box itself is beside it: ``box_lps_mm`` (x, y, z, x, y, z in the patient) and ``box_voxels`` (k, j, i, k, j, i of
    that grid). Rejected candidates are no annotations, or a detector would learn them; they are listed under
    ``rejected`` in the same form. ``studies`` also says which studies are complete, that is, where the rest of the
    liver holds no lesion. ``left_out`` says what COCO cannot hold, and why.
    """
    images: dict[tuple[str, int], dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    listed: list[dict[str, Any]] = []
    for study in studies:
        listed.append({
            "study_uid": study.study_uid,
            "patient_id": study.patient_id,
            "reference_image": study.reference_image,
            "complete": study.complete,
            "size": list(study.grid.size),
            "affine": study.grid.affine.tolist(),
        })  # fmt: skip
        for candidate in study.candidates:
            if candidate.verdict not in ("true", "false"):
                continue
            image = _image(images, study, candidate.key_slice)
            into = annotations if candidate.verdict == "true" else rejected
            into.append({"id": len(into) + 1, "image_id": image["id"], **_annotation(study, candidate)})
    made = {
        "info": {"description": "Liver lesions reviewed with hepatic", "version": __version__, "pixels": PIXELS},
        "licenses": [],
        "categories": [LESION],
        "images": list(images.values()),
        "annotations": annotations,
        "rejected": rejected,
        "studies": listed,
        **({"left_out": dict(left_out)} if left_out else {}),
    }
    return json.dumps(made, indent=1, ensure_ascii=False).encode()


def _image(images: dict[tuple[str, int], dict[str, Any]], study: ReviewedStudy, k: int) -> dict[str, Any]:
    key = study.reference_image, k
    if key not in images:
        images[key] = {
            "id": len(images) + 1,
            "file_name": study.reference_image,
            "width": study.grid.size[0],
            "height": study.grid.size[1],
            "slice": k,
            "study_uid": study.study_uid,
            "patient_id": study.patient_id,
        }
    return images[key]


def _annotation(study: ReviewedStudy, candidate: ReviewedCandidate) -> dict[str, Any]:
    voxels = to_voxels(np.array([candidate.box]), study.grid)[0]
    columns, rows, _ = study.grid.size
    left, right = np.clip(voxels[[2, 5]], 0, columns)
    top, bottom = np.clip(voxels[[1, 4]], 0, rows)
    width, height = float(right - left), float(bottom - top)
    return {
        "category_id": LESION["id"],
        "bbox": [round(value, 3) for value in (float(left), float(top), width, height)],
        "area": round(width * height, 3),
        "iscrowd": 0,
        "box_lps_mm": [round(value, 4) for value in candidate.box],
        "box_voxels": [round(float(value), 4) for value in voxels],
        "tracking_uid": candidate.uid,
        "primary": candidate.primary,
        "origin": candidate.origin,
        "score": candidate.score,
        "model": candidate.model,
        "model_hash": candidate.model_hash,
    }
