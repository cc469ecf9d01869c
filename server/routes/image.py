"""``/datastore/image``: put images in, take them out, look them up. Also ``/datastore/`` with PUT and DELETE."""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from hepatic.errors import BadInputError, NotFoundError
from hepatic.release.pseudonyms import Pseudonyms
from hepatic.store.names import base_name, safe_id, stem_of
from server import worker
from server.answer import media_type_of, sent_name
from server.executor import Priority
from server.host import is_shared
from server.intake.spool import SpoolingRoute
from server.leaving import options_of_uploads
from server.params import cleaned, parsed
from server.plain import plain
from server.services import INFERENCE_TIMEOUT_S, ServicesDep

router = APIRouter(route_class=SpoolingRoute, prefix="/datastore", tags=["Datastore"])

_CHECKSUM = re.compile(r"(?:(?P<algorithm>[A-Za-z0-9]+):)?(?P<digest>[0-9a-fA-F]{32,128})")


@router.put("/", include_in_schema=False)
@router.put("/image", summary="Upload an image")
def add(
    services: ServicesDep,
    file: Annotated[UploadFile, File()],
    image: str = "",
    params: Annotated[str, Form(description="JSON object kept with the image")] = "{}",
) -> dict[str, Any]:
    """Answer with the image's id: the one asked for, made fit for a file name, or else the file's name.

    A DICOM file may have any name without a suffix. hepatic's datastore calls it by its UIDs, and takes the same file
    again for what it is: nothing new. A zip, tar or tar.gz holds one image, or the files of one DICOM series. Where the
    settings ask for it, patients are taken out; notes are not kept then, and any image gets another id.
    """
    info = cleaned(parsed(params))
    uploads = services.uploads
    received = uploads.archive(file) if uploads.is_archive(file) else [uploads.image(file)]
    try:
        image_id = safe_id(image or stem_of(base_name(file.filename or "")))
        options = options_of_uploads()
        if options is not None:
            services.inspector.deidentify(received, services.spec.data_dir, options)
            image_id, info = Pseudonyms.of(services.spec.data_dir).image(image_id), {}
        with services.host.storing() as datastore:
            if len(received) == 1:
                added = datastore.add_image(image_id, str(received[0]), info)
            elif is_shared(datastore):
                added = datastore.add_series(received, info)
            else:
                raise BadInputError(
                    "the archive",
                    expected="one file, as this app's datastore keeps them",
                    came="a series of several",
                    fix="Put the files into the studies, or open a session with them.",
                )
    finally:
        uploads.discard(*received)
    return {"image": added}


@router.delete("/", include_in_schema=False)
@router.delete("/image", summary="Remove an image and its labels")
def remove(services: ServicesDep, id: str) -> dict[str, Any]:
    """What removal means is the datastore's business."""
    image_id = services.host.image_id(id)
    with services.host.storing() as datastore:
        datastore.remove_image(image_id)
    return {}


@router.head("/image", summary="Whether an image is there")
async def check(services: ServicesDep, image: str, check_sum: str = "") -> dict[str, Any]:
    """With ``check_sum`` (``SHA256:...``), whether its file is the same, too."""
    image_id = await run_in_threadpool(services.host.image_id, image)
    if check_sum:
        path = await services.host.located(image_id)
        if not (path.is_file() and await run_in_threadpool(_digest_fits, path, check_sum)):
            raise NotFoundError("the image", expected="that checksum", came="another", fix="Fetch it again.")
    return {}


@router.get("/image", summary="Download an image")
async def download(services: ServicesDep, image: str) -> FileResponse:
    """As one file: the one it came in, or for a series of several files an NRRD."""
    image_id = await run_in_threadpool(services.host.image_id, image)
    path = await run_in_threadpool(_only_file, await services.host.located(image_id))
    if path.is_file():
        name = sent_name(path)
        return FileResponse(path, media_type=media_type_of(name), filename=name)
    target = services.scratch.dir / f"{uuid.uuid4().hex}.nrrd"
    future = services.executor.submit(
        worker.export, str(path), str(target), priority=Priority.INTERACTIVE, timeout_s=INFERENCE_TIMEOUT_S
    )
    try:
        await asyncio.shield(asyncio.wrap_future(future))
    except BaseException:
        services.scratch.discard(target)
        raise
    name = f"{sent_name(Path(image_id))}.nrrd"
    cleanup = BackgroundTask(services.scratch.discard, target)
    return FileResponse(target, media_type=media_type_of(name), filename=name, background=cleanup)


@router.get("/image/info", summary="What is known of an image")
def read_info(services: ServicesDep, image: str) -> dict[str, Any]:
    """As the datastore keeps it."""
    image_id = services.host.image_id(image)
    with services.host.storing() as datastore:
        told: dict[str, Any] = plain(datastore.get_image_info(image_id) or {})
    return told


@router.put("/image/info", summary="Add to what is known of an image", response_model=None)
def write_info(services: ServicesDep, image: str, info: Annotated[str, Form()] = "{}") -> Any:
    """Merge a JSON object into it."""
    image_id = services.host.image_id(image)
    given = cleaned(parsed(info, "info"))
    with services.host.storing() as datastore:
        return plain(datastore.update_image_info(image_id, given))


def _only_file(path: Path) -> Path:
    """Return the file of an image in a folder of its own; the folder of a series of several files."""
    if path.is_dir():
        files = [file for file in path.iterdir() if file.is_file()]
        return files[0] if len(files) == 1 else path
    return path


def _digest_fits(path: Path, check_sum: str) -> bool:
    parts = _CHECKSUM.fullmatch(check_sum.strip())
    algorithm = (parts["algorithm"] or "sha256").lower() if parts else ""
    if parts is None or algorithm not in ("md5", "sha1", "sha256", "sha512"):
        raise BadInputError(
            "the checksum", expected="ALGORITHM:hex digits", came="something else", fix="Use SHA256:..."
        )
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest() == parts["digest"].lower()
