"""``/model``: the weights behind a model."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, UploadFile
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from hepatic.errors import ConflictError, NotFoundError
from hepatic.store.disk import make_folder, put_in_place, storage, write_temporary
from server.intake.spool import SpoolingRoute
from server.intake.uploads import PACKED, WEIGHTS_SUFFIXES
from server.names import check_listed, suffix_of
from server.plain import plain
from server.services import Services, ServicesDep

router = APIRouter(route_class=SpoolingRoute, prefix="/model", tags=["Model"])

_CARD = "card.json"


@router.get("/info/{model}", summary="Checksum, time and training numbers of the weights")
def info(services: ServicesDep, model: str) -> dict[str, Any]:
    """Answer 404 for a model that has no weights file."""
    told = _remembered(services, model, _present(services, model))
    trainer = services.host.trainers.get(model)
    stats = plain(trainer.stats()) if trainer is not None else None
    return {**told, **({"train_stats": stats} if stats else {})}


@router.get("/{model}", summary="Download the weights")
def download(services: ServicesDep, model: str) -> FileResponse:
    """As the file is; for our own models that is safetensors.

    A model of several networks is a zip of its card and all of them, which ``PUT`` takes.
    """
    with ExitStack() as until_sent:
        file, media_type = until_sent.enter_context(_sent(services, model))
        done = BackgroundTask(until_sent.pop_all().close)
        return FileResponse(file, media_type=media_type, filename=f"{model}{file.suffix}", background=done)


@router.put("/{model}", summary="Replace the weights")
def upload(services: ServicesDep, model: str, file: Annotated[UploadFile, File()]) -> dict[str, Any]:
    """Only safetensors, and only over safetensors; a registered version is never overwritten.

    A zip of a model's card and weights becomes a version of its own and is served from then on; one that is here
    already is served again.
    """
    target = _file(services, model)
    take_in = getattr(services.host.models[model], "take_in", None)
    accepted = WEIGHTS_SUFFIXES if take_in is None else (*WEIGHTS_SUFFIXES, PACKED)
    suffix = suffix_of(file.filename or "", accepted, "the weights")
    if take_in is not None and suffix == PACKED:
        card, weights = services.uploads.packed_model(file)
        try:
            version = take_in(card, weights)
        finally:
            services.uploads.discard(card, *weights)
        with _sent(services, model) as (sent, _):
            return {"version": version, **_described(sent)}
    if target is None or target.suffix not in WEIGHTS_SUFFIXES:
        raise ConflictError(
            "the model",
            expected="one whose weights are safetensors",
            came="another kind of file" if target else "no weights file",
            fix="Put the file in place on the server itself.",
        )
    _refuse_version(target)
    received = services.uploads.weights(file)
    try:
        with storage("keep the weights"):
            make_folder(target.parent)
            written = write_temporary(received, target.parent)
            try:
                put_in_place(written.path, target)
            finally:
                written.path.unlink(missing_ok=True)
    finally:
        services.uploads.discard(received)
    return _described(target)


@router.delete("/{model}", summary="Take the weights away")
def remove(services: ServicesDep, model: str) -> dict[str, Any]:
    """The file is kept under another name beside the old one."""
    file = _present(services, model)
    _refuse_version(file)
    with storage("take the weights away"):
        put_in_place(file, file.with_name(f"{file.name}.{datetime.now().astimezone():%Y%m%d_%H%M%S}.deleted"))
    return {}


@contextmanager
def _sent(services: Services, model: str) -> Iterator[tuple[Path, str]]:
    """Give the file that is sent for a model, and its media type; a packed one is gone afterwards."""
    file = _present(services, model)
    pack = getattr(services.host.models[model], "pack", None)
    packed = services.scratch.dir / f"{uuid.uuid4().hex}{PACKED}"
    try:
        yield (packed, "application/zip") if pack and pack(packed) else (file, "application/octet-stream")
    finally:
        services.scratch.discard(packed)


def _file(services: Services, model: str) -> Path | None:
    host = services.host
    check_listed("the model", model, host.models, fix="GET /info/ lists the models.")
    file = host.app.model_file(model, validate=False)
    return Path(file) if file else None


def _present(services: Services, model: str) -> Path:
    _file(services, model)
    file = services.host.app.model_file(model)
    if not file or not Path(file).is_file():
        raise NotFoundError("the model", expected="a weights file", came="none", fix="Train the model first.")
    return Path(file)


def _remembered(services: Services, model: str, present: Path) -> dict[str, Any]:
    """Describe what is sent for a model; it is read again where its weights, or the card that knows them, changed."""
    files = [file.stat() for file in (present, present.parent / _CARD) if file.is_file()]
    state = (present, [(one.st_ino, one.st_size, one.st_mtime_ns) for one in files])
    known = services.model_checksums.get(model)
    if known is None or known[0] != state:
        with _sent(services, model) as (file, _):
            known = (state, _described(file))
        services.model_checksums[model] = known
    return known[1]


def _described(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"checksum": f"SHA256:{digest}", "modified_time": int(file.stat().st_mtime)}


def _refuse_version(file: Path) -> None:
    if (file.parent / _CARD).is_file():
        raise ConflictError(
            "the model",
            expected="weights that may be replaced",
            came="a registered version, which is never overwritten",
            fix="Train a new version, or choose one with `hepatic models promote` or `hepatic models rollback`.",
        )
