"""``/datastore/label``: save, fetch and remove labels."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, UploadFile
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from hepatic.errors import BadInputError, ConflictError, HepaticError, NotFoundError
from hepatic.pacs.inbox import SOURCE
from hepatic.store.label import FINAL
from hepatic.store.names import check_tag
from server.access.user import UserDep, signed, without_author
from server.answer import media_type_of, sent_name
from server.cases.readings import OURS
from server.harvest import DEFAULT_READER
from server.harvest_slicer import take_saved_boxes
from server.host import is_shared
from server.intake.spool import SpoolingRoute
from server.params import asker, parsed
from server.plain import plain
from server.services import Services, ServicesDep

logger = logging.getLogger(__name__)
router = APIRouter(route_class=SpoolingRoute, prefix="/datastore", tags=["Datastore"])


async def fetched(services: ServicesDep, image: str) -> None:
    """Have the image here that a label is checked against; if it cannot be had, who needs it says so."""
    if not is_shared(services.host.datastore):
        return
    with suppress(HepaticError):
        await services.host.located(await run_in_threadpool(services.host.image_id, image))


@router.put(
    "/label",
    dependencies=[Depends(fetched)],
    summary="Save a label",
    responses={409: {"description": "It is saved, but the review of its study did not take all of its boxes"}},
)
def save(
    services: ServicesDep,
    user: UserDep,
    image: str,
    label: Annotated[UploadFile, File()],
    params: Annotated[str, Form(description="JSON object kept with the label: label_info, model, client_id")] = "{}",
    tag: str = FINAL,
) -> dict[str, Any]:
    """Answer with the ids of image and label, and what the app adds.

    Boxes on a study under review are also a reading of it. What the review refuses of them is told with 409, the only
    answer that 3D Slicer shows to its user; the label is saved then, too.
    """
    host = services.host
    tag = check_tag(tag or FINAL)
    image_id = host.image_id(image)
    given = _theirs(signed(user, parsed(params)))
    received = services.uploads.label(label, inspected=not is_shared(host.datastore))
    try:
        with host.storing() as datastore:
            label_id = datastore.save_label(image_id, str(received), tag, given)
    finally:
        services.uploads.discard(received)
    said = asker(user, given) or DEFAULT_READER
    refused = take_saved_boxes(
        services.harvest.store, host, image_id=image_id, label_id=str(label_id), tag=tag, user=user, said=said
    )
    try:
        added = host.app.on_save_label(image_id, label_id)
    except NotFoundError:
        logger.info("the image of a label that was saved is not there; its classes are not noted")
        added = None
    except BadInputError:  # classes that there are not: the label is saved, and who sent it can mend them
        raise
    except Exception:
        logger.exception("the app's on_save_label failed; the label is saved")
        added = None
    if refused:
        raise ConflictError(
            "the review of the saved boxes",
            expected="boxes that it can all take",
            came="; ".join(refused).rstrip("."),
            fix="The label is saved, and so is what was not refused. Correct it and save again, or go on at /qa.",
        )
    return {**plain(added if isinstance(added, dict) else {}), "image": image, "label": label_id}


@router.delete("/label", summary="Remove a label")
def remove(services: ServicesDep, id: str, tag: str) -> dict[str, Any]:
    """What removal means is the datastore's business."""
    label_id = _label_id(services, id, tag)
    with services.host.storing() as datastore:
        datastore.remove_label(label_id, tag)
    return {}


@router.head("/label", summary="Whether a label is there")
def check(services: ServicesDep, tag: str, image: str = "", label: str = "") -> dict[str, Any]:
    """Answer 404 if it is not."""
    services.host.label(label or image, check_tag(tag))
    return {}


@router.get("/label", summary="Download a label")
def download(services: ServicesDep, label: str, tag: str) -> FileResponse:
    """As the file that was saved, with its name."""
    _, path = services.host.label(label, check_tag(tag))
    name = sent_name(path)
    return FileResponse(path, media_type=media_type_of(name), filename=name)


@router.get("/label/info", summary="What is kept with a label")
def read_info(services: ServicesDep, label: str, tag: str) -> dict[str, Any]:
    """As the datastore keeps it."""
    label_id = _label_id(services, label, tag)
    with services.host.storing() as datastore:
        told: dict[str, Any] = plain(datastore.get_label_info(label_id, tag) or {})
    return told


@router.put("/label/info", summary="Add to what is kept with a label", response_model=None)
def write_info(services: ServicesDep, user: UserDep, label: str, tag: str, info: Annotated[str, Form()] = "{}") -> Any:
    """Merge a JSON object into it."""
    label_id = _label_id(services, label, tag)
    given = _theirs(without_author(user, parsed(info, "info")))
    with services.host.storing() as datastore:
        return plain(datastore.update_label_info(label_id, tag, given))


@router.put("/updatelabelinfo", include_in_schema=False, response_model=None)
def write_params(
    services: ServicesDep, user: UserDep, label: str, tag: str, params: Annotated[str, Form()] = "{}"
) -> Any:
    """The older name of ``PUT /datastore/label/info``."""
    return write_info(services, user, label, tag, params)


def _label_id(services: Services, asked: str, tag: str) -> str:
    """Return the id under which a label is there; NotFoundError if it is not."""
    label_id, _ = services.host.label(asked, check_tag(tag))
    return label_id


def _theirs(info: dict[str, Any]) -> dict[str, Any]:
    """Return what a client may say of a label: one that sends back what it was told says nothing of its history."""
    return {key: value for key, value in info.items() if key not in OURS | {SOURCE}}
