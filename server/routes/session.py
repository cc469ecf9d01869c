"""``/session``: images to work on that are not put into the datastore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, UploadFile
from fastapi.responses import FileResponse
from starlette.responses import Response

from hepatic.errors import BadInputError
from hepatic.store.names import split_suffix
from server.answer import media_type_of
from server.intake.spool import SpoolingRoute
from server.services import ServicesDep

router = APIRouter(route_class=SpoolingRoute, prefix="/session", tags=["Session"])


@router.put("/", summary="Open a session with an image")
def create(
    services: ServicesDep,
    files: Annotated[list[UploadFile], File(description="one image, or the files of one DICOM series")],
    uncompress: bool = False,
    expiry: int = 0,
) -> dict[str, Any]:
    """Answer with the session's id; ``expiry`` is in seconds after its last use.

    With ``uncompress``, the one file is a zip, tar or tar.gz with an image, or with the files of one DICOM series.
    """
    if uncompress and len(files) != 1:
        raise BadInputError("the session", expected="one archive", came=f"{len(files)} files", fix="Send one of them.")
    received = services.uploads.archive(files[0]) if uncompress else services.uploads.images(files)
    try:
        session = services.sessions.add(received, split_suffix(received[0].name)[1], expiry)
    finally:
        services.uploads.discard(*received)
    return {"session_id": session.name, "session_info": session.for_client()}


@router.get("/{session_id}", summary="Look at a session", response_model=None)
def read(services: ServicesDep, session_id: str, update_ts: bool = False, image: bool = False) -> Any:
    """Answer with its record, or with ``image`` with its image; ``update_ts`` counts as a use."""
    session = services.sessions.get(session_id, touch=update_ts)
    if not image:
        return session.for_client()
    path = Path(session.image)
    if not path.is_file():
        raise BadInputError(
            "the session's image", expected="one file", came="a series of files", fix="Keep your own copy."
        )
    response: Response = FileResponse(path, media_type=media_type_of(path.name), filename=path.name)
    return response


@router.delete("/{session_id}", summary="Close a session")
def remove(services: ServicesDep, session_id: str) -> dict[str, Any]:
    """Its image is deleted."""
    return services.sessions.remove(session_id).for_client()
