"""``/qa/api/v1/export``: what was reviewed, as a file."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.book import Review
from hepatic.harvest.classified_studies import classified_study
from hepatic.harvest.events import plain_text
from hepatic.harvest.export.formats import FORMATS, write_export
from hepatic.harvest.export.pseudonymous import pseudonymous, pseudonymous_classified
from hepatic.harvest.export.reviewed import ReviewedStudy
from hepatic.harvest.reviewed_studies import reviewed_study
from hepatic.harvest.store import ReviewStore
from hepatic.release.leaving import Leaving
from hepatic.release.quarantine import HeldError
from hepatic.store.disk import make_folder
from server.host import is_shared
from server.leaving import Deidentify, Keep, asked_options
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
    deidentify: Deidentify = False,
    keep: Keep = None,
) -> FileResponse:
    """As ``csv``, ``json``, ``coco``, or a zip of files per study: ``markups``, ``nifti``, ``sr``, ``seg``, ``nnunet``.

    ``csv``, ``json`` and ``sr`` hold classes of ultrasound images, too; the others say in ``left_out`` that they do
    not.

    With ``deidentify``, patients, studies, images and readers have other names, and the times begin in 1970.
    """
    store = services.harvest.store
    uids = None if study is None else [plain_text(uid, "study") for uid in study]
    reviews = _reviews(store, uids)
    images = [one for one in reviews if one.study.kind == "classification"]
    reviews = [one for one in reviews if one.study.kind == "detection"]
    datastore = services.host.datastore

    options = asked_options(datastore, deidentify=deidentify, keep=keep)
    leaving = None if options is None else Leaving(datastore.store, options)

    def files_of(image_id: str) -> Sequence[Path]:
        if not is_shared(datastore):
            raise NotFoundError(
                "the series", expected="one in hepatic's datastore", came="another datastore", fix="Use another format."
            )
        if leaving is not None:
            try:
                return leaving.image(originals[image_id], folder)
            except BadInputError as reason:  # what is left out is named in the file by its new UID only
                is_held = isinstance(reason, HeldError)  # whose words are the server's own
                raise BadInputError(
                    "the series",
                    expected=reason.expected if is_held else "one that may leave and can be read",
                    came=reason.came if is_held else "another",
                    fix="Its own site can tell why.",
                ) from None
        has_pictures = format == "nnunet"
        files: list[Path] = datastore.files_to_leave(image_id) if has_pictures else datastore.store.files(image_id)
        return files

    about = FORMATS[str(format)]
    make_folder(services.scratch.results_dir)
    target = services.scratch.results_dir / f"{uuid.uuid4().hex}{about.suffix}"
    folder = services.scratch.results_dir / uuid.uuid4().hex
    folder.mkdir()
    originals: dict[str, str] = {}
    try:
        studies: Iterator[ReviewedStudy] = (reviewed_study(review, store.rules) for review in reviews)
        classified = [classified_study(review, store.rules) for review in images]
        if leaving is not None:
            studies = _leaving(studies, leaving, originals, folder)
            names = leaving.by.pseudonyms
            originals |= {names.image(image.image_id): image.image_id for one in classified for image in one.images}
            classified = [pseudonymous_classified(one, names) for one in classified]
        write_export(str(format), studies, target, files_of=files_of, classified=classified)
    except BaseException:
        services.scratch.discard(target)
        raise
    finally:
        services.scratch.discard(folder)
    return FileResponse(
        target,
        media_type=about.media_type,
        filename=f"hepatic-{format}{about.suffix}",
        headers=NO_STORE,
        background=BackgroundTask(services.scratch.discard, target),
    )


def _reviews(store: ReviewStore, uids: Sequence[str] | None) -> list[Review]:
    """Return the studies under review that are meant: of a StudyInstanceUID all that is asked about its images, too."""
    reviews = store.book.reviews()
    if uids is None:
        return list(reviews.values())
    found: list[Review] = []
    for uid in dict.fromkeys(uids):
        own = [one for name, one in reviews.items() if uid in (name, name.rpartition(":")[0])]
        found += own or [store.review(uid)]  # refuses one that is not there
    return list(dict.fromkeys(found))


def _leaving(
    studies: Iterable[ReviewedStudy], leaving: Leaving, originals: dict[str, str], folder: Path
) -> Iterator[ReviewedStudy]:
    """Yield studies under other names, and note what their images are called here; empty the folder after each."""
    for study in studies:
        originals |= {leaving.by.pseudonyms.image(image_id): image_id for image_id in study.image_ids.values()}
        yield pseudonymous(study, leaving.by.pseudonyms)
        for file in folder.iterdir():
            file.unlink()
