"""``/datastore``: what is in it."""

from __future__ import annotations

import threading
from enum import StrEnum
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse
from starlette.background import BackgroundTask

from hepatic.errors import NotFoundError
from server.executor import QueueFullError
from server.host import is_shared
from server.leaving import Deidentify, Keep, asked_options
from server.plain import plain
from server.services import ServicesDep

router = APIRouter(prefix="/datastore", tags=["Datastore"])
_writing = threading.Lock()


class Extent(StrEnum):
    """How much is told: numbers, everything, or pairs to train on."""

    STATS = "stats"
    ALL = "all"
    TRAIN = "train"


@router.get("/", summary="Numbers, everything, or training pairs", response_model=None)
def read(services: ServicesDep, output: Extent = Extent.STATS) -> Any:
    """``all`` is what 3D Slicer reads labels' tags and names from."""
    with services.host.storing() as datastore:
        if output is Extent.ALL:
            return JSONResponse(plain(datastore.json()))  # as it is: looked through once more, it takes twice as long
        if output is Extent.TRAIN:
            return plain(datastore.datalist())
        return plain(datastore.status())


@router.get("/dataset", summary="Images and finished labels as one ZIP file")
def dataset(
    services: ServicesDep,
    limit_cases: int | None = None,
    deidentify: Deidentify = False,
    keep: Keep = None,
) -> FileResponse:
    """Answer 404 while nothing is labelled, and 503 while another one is written: each may fill the disk."""
    if not _writing.acquire(blocking=False):
        raise QueueFullError("Another archive of the dataset is being written. Try again in a moment.")
    try:
        with services.host.storing() as datastore:
            options = asked_options(datastore, deidentify=deidentify, keep=keep)
            archive = None
            if datastore.status()["completed"] if is_shared(datastore) else datastore.datalist():
                if options is None:
                    archive = Path(datastore.get_dataset_archive(limit_cases))
                else:
                    archive = Path(datastore.deidentified_archive(limit_cases, options))
    finally:
        _writing.release()
    if archive is None or not archive.is_file():
        raise NotFoundError("the dataset", expected="labelled images", came="none", fix="Label some images first.")
    return FileResponse(
        archive,
        media_type="application/zip",
        filename="dataset.zip",
        background=BackgroundTask(archive.unlink, missing_ok=True),
    )
