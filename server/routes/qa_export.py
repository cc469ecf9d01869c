"""``/qa/api/v1/export``: what was reviewed, as a file."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from hepatic.errors import NotFoundError
from hepatic.harvest.events import plain_text
from hepatic.harvest.export.formats import FORMATS, write_export
from hepatic.harvest.reviewed_studies import reviewed_study
from hepatic.store.disk import make_folder
from server.host import is_shared
from server.routes.qa import NO_STORE
from server.services import ServicesDep

router = APIRouter(prefix="/qa/api/v1", tags=["QA"])

ExportFormat = StrEnum("ExportFormat", {name: name for name in FORMATS})  # type: ignore[misc]


@router.get(
    "/export",
    summary="What was reviewed, as a file",
    response_class=FileResponse,
    responses={200: {"content": {one.media_type: {} for one in FORMATS.values()}, "description": "the file"}},
)
def export(
    services: ServicesDep,
    format: ExportFormat,
    study: Annotated[list[str] | None, Query(description="only these studies; all by default")] = None,
) -> FileResponse:
    """As ``csv``, ``coco``, or a zip with a file per study: ``markups``, ``nifti``, ``sr``, ``seg``, ``nnunet``."""
    store = services.harvest.store
    uids = None if study is None else [plain_text(uid, "study") for uid in study]
    reviews = list(store.book.reviews().values()) if uids is None else [store.review(uid) for uid in uids]
    reviews = [one for one in reviews if one.study.kind == "detection"]  # classes are labels of the datastore
    datastore = services.host.datastore

    def files_of(image_id: str) -> Sequence[Path]:
        if not is_shared(datastore):
            raise NotFoundError(
                "the series", expected="one in hepatic's datastore", came="another datastore", fix="Use another format."
            )
        has_pictures = format == "nnunet"
        files: list[Path] = datastore.files_to_leave(image_id) if has_pictures else datastore.store.files(image_id)
        return files

    about = FORMATS[str(format)]
    make_folder(services.scratch.results_dir)
    target = services.scratch.results_dir / f"{uuid.uuid4().hex}{about.suffix}"
    try:
        studies = (reviewed_study(review, store.rules) for review in reviews)
        write_export(str(format), studies, target, files_of=files_of)
    except BaseException:
        services.scratch.discard(target)
        raise
    return FileResponse(
        target,
        media_type=about.media_type,
        filename=f"hepatic-{format}{about.suffix}",
        headers=NO_STORE,
        background=BackgroundTask(services.scratch.discard, target),
    )
