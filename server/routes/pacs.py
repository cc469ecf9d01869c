"""``/pacs``: which results go to the PACS, and what became of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from hepatic.pacs.outbox import State
from hepatic.store.label import FINAL
from server.services import ServicesDep

router = APIRouter(prefix="/pacs", tags=["PACS"])


class Sending(BaseModel):
    """A label that is to be sent."""

    image: str = Field(description="id of its image")
    tag: str = Field(FINAL, description="its tag")


@router.get("/", summary="What goes to the PACS")
def results(
    services: ServicesDep,
    state: Annotated[State | None, Query(description="only results in this state")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> dict[str, Any]:
    """How many results wait, were sent, were refused or left out, and why; those whose state changed last come first.

    ``sends`` is what is sent by itself (``HEPATIC_DICOMWEB_RESULTS``), ``trouble`` why nothing is sent at the moment.
    ``unread`` are segmentations and reports of others that are no labels, and why: ``left`` (never), ``later`` (tried
    again at ``next_at``), ``waits`` (for its images).
    """
    return services.pacs.told(state, limit=limit, offset=offset)


@router.post("/retry", summary="Try again what was not sent")
def retry(
    services: ServicesDep,
    result: Annotated[str, Query(max_length=300, description="only this one")] = "",
) -> dict[str, Any]:
    """What the PACS refused, what was left out, and what is put off because the PACS was down."""
    return {"tried_again": services.pacs.retry(result)}


@router.post("/send", summary="Send a label now", status_code=202)
def send(services: ServicesDep, body: Sending) -> dict[str, Any]:
    """Whatever its tag, and whatever is sent by itself; ``GET /pacs/`` tells what becomes of it."""
    image_id = services.host.image_id(body.image)
    services.pacs.send(image_id, body.tag)
    return {"image": image_id, "tag": body.tag}
