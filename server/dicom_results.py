"""Run one inference and write what it found as DICOM; runs in a worker process, as ``server/worker.py``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hepatic.errors import BadInputError, NotFoundError
from server import worker

_WHOLE = "whole image"


def segmentation(request: dict[str, Any]) -> dict[str, Any]:
    """Run one inference, and write what it found as a DICOM segmentation of the image: labels, or boxes filled.

    Returns:
        As ``worker.run_inference``; ``dicom`` is the path of the segmentation.

    Raises:
        BadInputError: the image is not DICOM, which is seen before the model runs, or the result no labels or boxes.
        NotFoundError: the model returned no file.
    """
    from hepatic.io.dicom_seg import write_dicom_seg, write_rois_seg
    from hepatic.io.dicom_source import DicomSource
    from hepatic.io.markups import read_rois

    image = Path(request["image"])
    DicomSource.read(image)
    result = worker.infer(request)
    if result["file"] is None:
        raise NotFoundError(
            "the result", expected="labels", came="none: this model returns only JSON", fix="Ask with output=json."
        )
    file = Path(result["file"])
    names = _label_names(request, result["params"])
    algorithm = _algorithm(request, result["params"])
    with _written(request) as target:
        if file.suffix == ".json":
            write_rois_seg(target, read_rois(file), image, label=next(iter(names), "Box"), algorithm=algorithm)
        else:
            write_dicom_seg(target, file, image, names=names, algorithm=algorithm)
    return {**result, "dicom": str(target)}


def report(request: dict[str, Any]) -> dict[str, Any]:
    """Run a detector or a classifier, and write what it found as a Comprehensive 3D SR.

    Returns:
        As ``worker.run_inference``; ``dicom`` is the path of the report.

    Raises:
        BadInputError: the image is not DICOM, which is seen before the model runs, or the model says nothing of the
            kind.
    """
    return _report(request, "")


def report_of_slices(request: dict[str, Any]) -> dict[str, Any]:
    """The same as a Comprehensive SR with rectangles on key slices, of which OHIF makes annotations."""
    from hepatic.io.dicom_image_report import SLICES

    return _report(request, SLICES)


def heat_map(request: dict[str, Any]) -> dict[str, Any]:
    """Run a classifier, and write where it looked, over the frame it looked at, as a secondary capture.

    Returns:
        As ``worker.run_inference``; ``dicom`` is the path of the picture.

    Raises:
        BadInputError: the image is not DICOM, which is seen before the model runs, or the model does not tell where it
            looked.
    """
    import numpy as np

    from hepatic.io.dicom_capture import capture
    from hepatic.io.dicom_source import DicomSource
    from hepatic.io.read import read
    from hepatic.io.ultrasound import Ultrasound
    from server.cases.pictures import under_heat

    image = Path(request["image"])
    source = DicomSource.read(image)
    result = worker.infer(request)
    params = result["params"]
    if "attention" not in params or "region" not in params:
        raise _refused("a classifier that tells where it looked", "another model", "Ask with output=json.")
    frame = Ultrasound.of(read(image)).rgb[int(params.get("frame", 0))]
    picture = under_heat(frame, np.array(params["attention"]), params["region"])
    algorithm = _algorithm(request, params)
    made = capture(
        picture,
        source.datasets[0],
        description=f"Where {algorithm.name} looked",
        about=f"Heat map of {algorithm.name} {algorithm.version} on frame {int(params.get('frame', 0)) + 1}",
    )
    with _written(request) as target:
        made.save_as(target, enforce_file_format=True)
    return {**result, "dicom": str(target)}


def _report(request: dict[str, Any], name: str) -> dict[str, Any]:
    from hepatic.io.dicom_image_report import image_reports
    from hepatic.io.dicom_source import DicomSource

    source = DicomSource.read(Path(request["image"]))
    result = worker.infer(request)
    documents = image_reports(_statement(request, result), source)
    if name not in documents:
        raise _refused("lesions that lie somewhere", "none", "Ask with output=dicom_sr.")
    with _written(request) as target:
        documents[name].save_as(target, enforce_file_format=True)
    return {**result, "dicom": str(target)}


def _statement(request: dict[str, Any], result: dict[str, Any]) -> Any:
    """Return what a model said of the image, as ``hepatic.io.dicom_image_report`` has it."""
    from hepatic.io.dicom_image_report import Statement
    from hepatic.io.markups import ROI, read_rois

    params, algorithm = result["params"], _algorithm(request, result["params"])
    if "boxes" in params:
        boxes = [ROI(tuple(one["box"]), f"{one['label']} {one['score']:.2f}", one) for one in params["boxes"]]
        return Statement(boxes=boxes, algorithm=algorithm)
    if str(result["file"]).endswith(".json"):
        return Statement(boxes=read_rois(Path(result["file"])), algorithm=algorithm)
    if "probabilities" not in params:
        raise _refused("a model that finds boxes or tells classes", "another one", "Ask with output=dicom_seg.")
    task = getattr(getattr(worker.loaded(), "_infers", {}).get(str(request["model"])), "task", None)
    left, top, right, bottom = (float(edge) for edge in params.get("roi") or (0, 0, 0, 0))
    has_box = right > left and params.get("roi_from") != _WHOLE
    return Statement(
        classes={str(getattr(task, "note", "") or "class"): str(params["result"])} if params.get("result") else {},
        probabilities={str(name): float(share) for name, share in params["probabilities"].items()},
        frame=int(params.get("roi_frame", params["frame"])) if "frame" in params else None,
        region=(left, top, right, bottom) if has_box else None,
        has_onset=params["onset"] == "seen" if "onset" in params else None,
        algorithm=algorithm,
    )


def _algorithm(request: dict[str, Any], params: dict[str, Any]) -> Any:
    from hepatic.io.dicom_segment import Algorithm

    version = params.get("model_version") or getattr(worker.loaded(), "version", "")
    return Algorithm(str(request["model"]), str(version), str(params.get("model_hash") or ""))


@contextmanager
def _written(request: dict[str, Any]) -> Iterator[Path]:
    """Lend a file in the scratch folder, removed again where what is written into it fails."""
    with tempfile.NamedTemporaryFile(prefix=f"{request['model']}-", suffix=".dcm", delete=False) as handle:
        file = Path(handle.name)
    try:
        yield file
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _label_names(request: dict[str, Any], params: dict[str, Any]) -> dict[str, int]:
    """Return label values by name: as the client says (``label_info``), as the model did, or as it is declared."""
    task = getattr(worker.loaded(), "_infers", {}).get(str(request["model"]))
    asked, told = request.get("label_info"), params.get("label_names")
    if isinstance(asked, list) and asked:
        about = [info if isinstance(info, dict) else {} for info in asked]
        return {str(info.get("name") or f"Segment {n}"): _whole(info.get("idx"), n) for n, info in enumerate(about, 1)}
    declared = told or getattr(task, "labels", None) or {}
    if not isinstance(declared, dict):
        return {str(name): number for number, name in enumerate((n for n in declared if n != "background"), 1)}
    return {str(name): _whole(value, number) for number, (name, value) in enumerate(declared.items(), 1)}


def _whole(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _refused(expected: str, came: str, fix: str) -> BadInputError:
    return BadInputError("the model", expected=expected, came=came, fix=fix)
