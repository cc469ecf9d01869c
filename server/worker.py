"""What runs in a worker process: top-level functions over the one app that process has loaded."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from asgi_correlation_id import CorrelationIdFilter

from hepatic.errors import HepaticError
from server.host import AppSpec, is_shared, load_app
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
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s worker %(levelname)s %(name)s [%(correlation_id)s]: %(message)s"
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(CorrelationIdFilter(default_value="-"))
    _app = load_app(spec, "worker")
    return os.getpid()


def infer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one inference; see ``run_inference``."""
    return run_inference(_loaded(), request)


def score(request: dict[str, Any]) -> Any:
    """Run a scoring method of the app."""
    app = _loaded()
    datastore = app.datastore()
    if not is_shared(datastore):
        datastore.refresh()  # the stock datastore keeps what it read; take over what the server has written since
    return plain(asking(app.scoring, request))


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


def _loaded() -> Any:
    if _app is None:
        raise AppError("APP_INIT_ERROR", "The app is not loaded in this worker.")
    return _app
