"""What a task found, as MONAI Label's clients get it: a file, and JSON beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatic.adapters.region_mask import region_mask
from hepatic.boxes import Boxes, voxels_inside
from hepatic.engine.answer import Answer, Classification, Detections, Prediction
from hepatic.geometry import Grid
from hepatic.harvest.propose import candidate_uid
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import encode_labelmap
from hepatic.io.markups import ROI, encode_rois


def result_params(answer: Answer, *, image_id: str = "", names: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return what is said about an answer; times in milliseconds.

    A detection's ``boxes`` are (x, y, z, x, y, z) in LPS millimetres, the surest first, each with its ``candidate``: a
    UID that is the same whenever the same weights find the same box in the same image.

    A classifier's ``attention``, where it tells, are rows of numbers up to 1 that cover ``region`` of the picture.

    Args:
        answer: of any kind.
        image_id: of the image in the datastore; names candidates.
        names: ``label_names`` of the file that goes with it, where they are others than the answer's own.
    """
    common = {
        "model_version": answer.version,
        "model_hash": answer.model_sha256,
        "latencies": dict(answer.timings_ms),
    }
    match answer:
        case Prediction():
            about = {"label_names": answer.labels, "uncertainty": round(answer.uncertainty, 5)}
        case Detections():
            about = {"label_names": {answer.label: 1}, "boxes": _boxes(answer, image_id)}
        case Classification():
            about = {
                "label_names": {name: place for place, name in enumerate(answer.probabilities, start=1)},
                "result": answer.label,
                "probabilities": {name: round(value, 5) for name, value in answer.probabilities.items()},
            }
            if answer.attention is not None:
                about["attention"] = answer.attention.astype(np.float64).round(3).tolist()
        case _:
            raise TypeError(type(answer))
    if names is not None:
        about["label_names"] = dict(names)
    return {**about, **common, **answer.facts}


def as_file(answer: Answer, suffix: str, params: dict[str, Any], *, compress: bool) -> bytes:
    """Return an answer as the bytes of a file.

    Args:
        answer: any; of a classification, where it looked.
        suffix: ``.json`` and ``.mrk.json`` are markups, others a labelmap.
        params: what ``result_params`` said of it.
        compress: as in ``encode_labelmap``.
    """
    if isinstance(answer, Detections) and suffix.endswith(".json"):
        return encode_rois([_roi(box) for box in params["boxes"]])
    if isinstance(answer, Detections):
        labelmap = Labelmap(filled(answer.boxes, answer.grid), answer.grid, {answer.label: 1})
    elif isinstance(answer, Classification):
        labelmap = Labelmap(region_mask(answer), answer.grid, params["label_names"])
    elif isinstance(answer, Prediction):
        labelmap = Labelmap(answer.labelmap, answer.grid, answer.labels)
    else:
        raise TypeError(type(answer))
    return encode_labelmap(suffix, labelmap, compress=compress)


def filled(boxes: Boxes, grid: Grid) -> NDArray[np.uint8]:
    """Return a labelmap (K, J, I) that is 1 in every voxel whose centre lies in a box, and at least in one per box."""
    array = np.zeros(grid.shape, np.uint8)
    for box in boxes:
        inside = voxels_inside(box, grid)
        if inside:
            array[inside] = 1
    return array


def _boxes(answer: Detections, image_id: str) -> list[dict[str, Any]]:
    return [
        {
            "candidate": candidate_uid(image_id, answer.model_sha256, tuple(box)),
            "box": [round(mm, 3) for mm in box],
            "score": round(score, 5),
            "label": answer.label,
        }
        for box, score in zip(answer.boxes.tolist(), answer.scores.tolist(), strict=True)
    ]


def _roi(box: dict[str, Any]) -> ROI:
    about = {"candidate": box["candidate"], "score": box["score"], "class": box["label"]}
    return ROI(tuple(box["box"]), f"{box['label']} {box['score']:.2f}", about)
