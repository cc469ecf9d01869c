"""What runs in a worker process: top-level functions over the one app that process has loaded."""

from __future__ import annotations

import dataclasses
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from hepatic.errors import BadInputError, HepaticError
from server.host import is_shared
from server.monai_app import AppSpec, load_app
from server.notes import Note, collected
from server.observe import relay
from server.plain import plain

_app: Any = None


class AppError(HepaticError):
    """The app refused or failed, and said why (a ``MONAILabelException``).

    Args:
        code: the name of its ``MONAILabelError``.
        message: its text. May hold paths.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Scored:
    """What a scoring method returned, and what it wants written; see ``server/notes.py``."""

    result: Any
    notes: list[Note]


def load(spec: AppSpec, scratch_dir: str) -> int:
    """Load the app; the set-up of a slot.

    Args:
        spec: which app.
        scratch_dir: folder where temporary files, results among them, are written.

    Returns:
        The process id.
    """
    global _app
    Path(scratch_dir).mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = scratch_dir
    if not relay.report_with(usage):
        logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(levelname)s %(name)s: %(message)s")
    _app = load_app(spec, "worker")
    return os.getpid()


def usage() -> dict[str, Any]:
    """Return what this process uses: ``resident_bytes``, ``gpus``, and ``caches`` where the app tells of them."""
    from hepatic.engine.device import gpu_memory

    caches = getattr(_app, "caches", None)
    return {
        "resident_bytes": psutil.Process().memory_info().rss,
        "gpus": gpu_memory(),
        "caches": {} if caches is None else caches(),
    }


def infer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one inference; see ``run_inference``."""
    return run_inference(loaded(), request)


def propose(request: dict[str, Any]) -> dict[str, Any]:
    """Let a detector look at a whole study.

    Args:
        request: ``study_uid``; ``series``, a list of ``image_id``, ``path``, ``description``, ``study_uid`` and
            ``patient_id``; ``model``.

    Returns:
        The proposed study (``hepatic.harvest.study_json``), with ``model`` and ``model_hash``.

    Raises:
        AppError: the app cannot, or refused.
    """
    method = getattr(loaded(), "propose", None)
    if method is None:
        raise AppError("APP_INFERENCE_FAILED", "This app does not propose studies.")
    return dict(plain(asking(method, request)))


def classify(request: dict[str, Any]) -> dict[str, Any]:
    """Let a classifier look at the images of a study.

    Args:
        request: ``model``; ``study_uid``; ``patient_id``; ``images``, a list of ``image_id``, ``path`` and
            ``description``.

    Returns:
        These names, ``model_hash``, and ``images``: ``image_id``, ``size`` and ``affine`` of the grid, and
        ``probabilities`` by class; ``warnings`` say which were left out, and why.
    """
    from hepatic.io.grid import grid_of

    model = str(request["model"])
    task = getattr(loaded(), "tasks", {}).get(model)
    images, warnings, model_hash = [], [], ""
    for one in request["images"]:
        try:
            told = infer({"model": model, "image": one["path"], "image_id": one["image_id"]})["params"]
            grid = grid_of(Path(one["path"]))
        except (AppError, BadInputError) as error:
            warnings.append(f"{one['description'] or 'An image'} is left out: {error}")
            continue
        found = told["probabilities"] if task is None else task.by_class(told["probabilities"])
        model_hash = str(told.get("model_hash", ""))
        images.append(
            {
                "image_id": one["image_id"],
                "size": list(grid.size),
                "affine": grid.affine.tolist(),
                "probabilities": {name: round(float(share), 5) for name, share in found.items()},
            }
        )
    told = {name: str(request[name]) for name in ("study_uid", "patient_id")}
    return {**told, "model": model, "model_hash": model_hash, "images": images, "warnings": warnings}


def lesion_boxes(label: str, image: str, names: dict[str, int]) -> list[list[float]]:
    """Return the boxes of lesions in a label, LPS millimetres of its image, the largest first.

    Args:
        label: path of a labelmap or of Slicer markups.
        image: path of the image.
        names: label value by structure, where the labelmap does not name them.

    Raises:
        BadInputError: it does not belong to the image, or says nothing about lesions.
    """
    from hepatic.boxes import sizes
    from hepatic.engine.label_boxes import read_lesions
    from hepatic.io.grid import grid_of

    found = read_lesions(Path(label), grid_of(Path(image)), names).boxes
    return [[float(mm) for mm in found[n]] for n in (-sizes(found).prod(axis=1)).argsort(kind="stable")]


def score(request: dict[str, Any]) -> Scored:
    """Run a scoring method of the app."""
    app = loaded()
    datastore = app.datastore()
    if is_shared(datastore):
        return Scored(plain(asking(app.scoring, request)), [])
    read_again = getattr(datastore, "_init_from_datastore_file", None)
    if read_again is not None:
        read_again()  # the stock datastore keeps what it read; take over what the server has written since
    datastore.refresh()
    with collected(datastore) as notes:
        return Scored(plain(asking(app.scoring, request)), notes)


def export(source: str, target: str) -> None:
    """Write an image as one NRRD file, in left-posterior-superior space.

    Args:
        source: a file, or the folder with the slices of one series.
        target: the file to write.
    """
    import nrrd
    import numpy as np

    from hepatic.io.image import Cine
    from hepatic.io.read import read

    image = read(Path(source))
    affine = image.grid.affine
    header = {
        "space": "left-posterior-superior",
        "space directions": [list(affine[:3, axis]) for axis in range(3)],
        "space origin": list(affine[:3, 3]),
        "kinds": ["domain", "domain", "domain"],
        "encoding": "gzip",
    }
    array = image.frames if isinstance(image, Cine) else image.array
    nrrd.write(target, np.ascontiguousarray(array), header, index_order="C", compression_level=1)


def open_ultrasound(source: str, target: str) -> dict[str, Any]:
    """Write the frames of an ultrasound picture or cine as they are seen, (F, H, W) or (F, H, W, 3) uint8.

    Args:
        source: path of the image.
        target: the ``.npy`` file to write.

    Returns:
        ``width``, ``height``, ``frames``; ``times_s`` of the frames, None where nobody knows, and ``timing``, where
        from; ``contrast`` and ``tissue``, [left, top, right, bottom] of these images in pixels or None; ``pair``, the
        two where they lie side by side; ``affine`` of the grid (to LPS millimetres); ``onset``, the frame in which echo
        begins on the contrast image, 0 where none does.

    Raises:
        BadInputError: it cannot be read, or is no ultrasound.
    """
    import numpy as np

    from hepatic.io.read import read
    from hepatic.io.ultrasound import Ultrasound
    from hepatic.transforms.echo_onset import first_echo

    ultrasound = Ultrasound.of(read(Path(source)))
    contrast = ultrasound.contrast
    shown = ultrasound.rgb if ultrasound.cine.frames.ndim == 4 else ultrasound.grey
    np.save(target, shown, allow_pickle=False)
    images = {"contrast": contrast, "tissue": ultrasound.tissue}
    boxes = {
        name: region and [region.box[1], region.box[0], region.box[3], region.box[2]] for name, region in images.items()
    }
    return {
        "width": shown.shape[2],
        "height": shown.shape[1],
        "frames": shown.shape[0],
        "times_s": None if ultrasound.times_s is None else ultrasound.times_s.round(3).tolist(),
        "timing": ultrasound.timing,
        **boxes,
        "pair": tuple(images.values()) if all(images.values()) else None,
        "affine": ultrasound.cine.grid.affine.tolist(),
        "onset": 0 if contrast is None else first_echo(ultrasound.picture(contrast)),
    }


def eligibility(image_id: str, notes: Mapping[str, str | None]) -> dict[str, Any]:
    """Return what speaks against learning from an ultrasound image, fit for JSON.

    Args:
        image_id: of the image.
        notes: of which one has to hold its class; see ``examined``.

    Raises:
        NotFoundError: there is no such image, or its files have gone.
        BadInputError: it cannot be read, or is no ultrasound.
    """
    from hepatic.harvest.noted_class import examined

    return examined(loaded().datastore().store, image_id, notes).as_json()


def propose_mask(image_id: str) -> dict[str, Any]:
    """Return what would be blacked out of an image before it leaves.

    Returns:
        ``share`` of its pixels; ``png``, the brightest of all frames with these pixels in red; ``width``, ``height``.

    Raises:
        BadInputError: it cannot be read, or is a volume.
    """
    from server.cases.pictures import mask_png

    proposal = _quarantine().propose(image_id)
    height, width = proposal.mask.shape
    png = mask_png(proposal.picture, proposal.mask)
    return {"share": float(proposal.mask.mean()), "png": png, "width": width, "height": height}


def approve_release(image_id: str, by: str, boxes: list[tuple[int, int, int, int]], as_is: bool) -> dict[str, Any]:
    """Let an image leave with text blacked out; see ``Quarantine.approve``.

    Returns:
        The approval, fit for JSON.
    """
    return dataclasses.asdict(_quarantine().approve(image_id, by=by, boxes=boxes, as_is=as_is))


def _quarantine() -> Any:
    from hepatic.release.quarantine import Quarantine

    return Quarantine(loaded().datastore().store)


def run_inference(app: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Run one inference of an app.

    Args:
        app: the app.
        request: as MONAI Label defines it; ``image`` is a path here, ``image_id`` the id it has in the datastore.

    Returns:
        ``file``: path of the result file or None. ``params``: the result's JSON.

    Raises:
        AppError: the app refused.
    """
    result = asking(app.infer, request)
    if not isinstance(result, dict):
        raise AppError("APP_INFERENCE_FAILED", "The model returned no result.")
    file = result.get("file") or result.get("label")
    return {"file": None if file is None else str(file), "params": plain(result.get("params") or {})}


def asking(method: Any, request: dict[str, Any]) -> Any:
    """Call a method of an app; raises AppError where it raises MONAI Label's own exception."""
    from monailabel.interfaces.exception import MONAILabelException

    try:
        return method(request)
    except MONAILabelException as refused:
        raise AppError(refused.error.name, str(refused.msg)) from refused


def loaded() -> Any:
    """Return the app of this process.

    Raises:
        AppError: there is none.
    """
    if _app is None:
        raise AppError("APP_INIT_ERROR", "The app is not loaded in this worker.")
    return _app
