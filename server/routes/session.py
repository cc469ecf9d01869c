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
from server.intake.uploads import receive_image
from server.services import ServicesDep

router = APIRouter(prefix="/session", tags=["Session"])


@router.put("/", summary="Open a session with an image")
def create(
    services: ServicesDep,
    files: Annotated[list[UploadFile], File(description="one image, or the files of one DICOM series")],
    uncompress: bool = False,
    expiry: int = 0,
) -> dict[str, Any]:
    """Answer with the session's id; ``expiry`` is in seconds after its last use."""
    if uncompress:
        raise BadInputError(
            "the session", expected="image files", came="an archive to unpack", fix="Send the files themselves."
        )
    received: list[Path] = []
    try:
        for file in files:
            received.append(receive_image(services.scratch, file))
        suffixes = {split_suffix(path.name)[1] for path in received}
        if len(suffixes) != 1:
            raise BadInputError(
                "the session", expected="one image", came="files of several kinds", fix="Open a session for each."
            )
        session = services.sessions.add(received, suffixes.pop(), expiry)
    finally:
        services.scratch.discard(*received)
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
