"""``/infer``: run a model on an image of the datastore, of a session, or of the request itself."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from hepatic.errors import BadInputError, NotFoundError
from server import dicom_results, worker
from server.access.noting import note
from server.access.roles import Role
from server.access.user import User, UserDep, signed
from server.answer import MultipartResponse, media_type_of, sent_name
from server.executor import Priority
from server.intake.spool import SpoolingRoute
from server.jobs.batch import result_tag
from server.names import check_listed
from server.observe.served import observed
from server.observe.stages import stages_ms
from server.params import cleaned, parsed
from server.services import INFERENCE_TIMEOUT_S, Services, ServicesDep

logger = logging.getLogger(__name__)
router = APIRouter(route_class=SpoolingRoute, prefix="/infer", tags=["Infer"])

_POLL_S = 0.25
_RETRIES = 2  # a request that kills every worker it is given to must not keep the others waiting for long
_CLIENT_GONE = 499


class Output(StrEnum):
    """What is sent back: the result file, its JSON, or both."""

    IMAGE = "image"
    JSON = "json"
    ALL = "all"
    DICOM_SEG = "dicom_seg"
    DICOM_SR = "dicom_sr"
    DICOM_SR_SLICES = "dicom_sr_slices"
    DICOM_SC = "dicom_sc"


_AS_DICOM = {
    Output.DICOM_SEG: dicom_results.segmentation,
    Output.DICOM_SR: dicom_results.report,
    Output.DICOM_SR_SLICES: dicom_results.report_of_slices,
    Output.DICOM_SC: dicom_results.heat_map,
}


@router.post("/{model}", summary="Run a model", response_model=None)
async def infer(
    request: Request,
    services: ServicesDep,
    user: UserDep,
    model: str,
    image: str = "",
    session_id: str = "",
    output: Output = Output.ALL,
    params: Annotated[str, Form(description="JSON object of options")] = "{}",
    file: Annotated[UploadFile | None, File(description="an image that is not kept")] = None,
    label: Annotated[UploadFile | None, File(description="scribbles or a mask the model starts from")] = None,
) -> Response:
    """Answer with ``params`` and the result file as two parts, unless ``output`` asks for one of them.

    The DICOM objects refer to the image, which must be DICOM: a segmentation (``dicom_seg``); of detectors and
    classifiers a Comprehensive 3D SR (``dicom_sr``), or one with rectangles on key slices, of which OHIF makes
    annotations (``dicom_sr_slices``); where a classifier looked, as a secondary capture (``dicom_sc``).
    """
    uploads: list[Path] = []
    try:
        asked = await run_in_threadpool(_prepare, services, model, image, session_id, params, file, label, uploads)
        if "image_id" in asked:
            asked["image"] = str(await services.host.located(asked["image_id"]))
        given = parsed(params)
        save = result_tag(given.get("label_tag")) if _is_on(given.get("save_label")) and "image_id" in asked else ""
        work = _AS_DICOM.get(output, worker.infer)
        if save:
            user.require(Role.ANNOTATOR, "save_label")
            note(request.state, "request")
        future = services.executor.submit(
            work, asked, priority=Priority.INTERACTIVE, retries=_RETRIES, timeout_s=INFERENCE_TIMEOUT_S
        )
        if not await _finished(request, services, future):
            return Response(status_code=_CLIENT_GONE)
        result = future.result()
        observed(request, model=model, stages_ms=stages_ms(result["params"], waited_s=future.waited_s))
    finally:
        if uploads:
            await run_in_threadpool(services.scratch.discard, *uploads)
    return await run_in_threadpool(_answer, services, user, result, output, asked, save)


def _prepare(
    services: Services,
    model: str,
    image: str,
    session_id: str,
    params: str,
    file: UploadFile | None,
    label: UploadFile | None,
    uploads: list[Path],
) -> dict[str, Any]:
    """Return the request for the app, but for where an image of the datastore lies; files are noted in ``uploads``."""
    check_listed("the model", model, services.host.models, fix="GET /info/ lists the models.")
    asked = cleaned(parsed(params))
    asked["model"] = model
    services.executor.check_room()  # before an upload is stored and read
    if session_id:
        session = services.sessions.get(session_id, touch=True)
        asked |= {"image": session.image, "session": session.for_app()}
    elif file is not None:
        uploads.append(services.uploads.image(file))
        asked["image"] = str(uploads[-1])
    elif image:
        asked["image_id"] = services.host.image_id(image)
    else:
        raise BadInputError(
            "the request", expected="an image id, a session id or a file", came="none of them", fix="Send one."
        )
    if label is not None:
        uploads.append(services.uploads.label(label))
        asked["label"] = str(uploads[-1])
    return asked


async def _finished(request: Request, services: Services, future: Future[Any]) -> bool:
    """Wait for the result; False if the client went away while it waited for its turn, and the work was dropped."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(done.set))
    while not done.is_set():
        try:
            await asyncio.wait_for(done.wait(), _POLL_S)
        except TimeoutError:
            if await request.is_disconnected() and services.executor.cancel(future, kill=False):
                logger.info("a client left before its turn; its request is dropped")
                return False
    return True


def _answer(
    services: Services, user: User, result: dict[str, Any], output: Output, asked: dict[str, Any], save: str
) -> Response:
    file = Path(result["file"]) if result["file"] else None
    if file is not None and not file.is_file():
        file = None
    params: dict[str, Any] = result["params"]
    if save and file is not None:
        with services.host.storing() as datastore:
            made_by = signed(user, {"model": asked["model"], "params": params})
            datastore.save_label(asked["image_id"], str(file), save, made_by)

    def cleanup() -> None:
        services.scratch.discard(file)

    if output is Output.JSON:
        cleanup()
        return JSONResponse(params)
    if output in _AS_DICOM:
        cleanup()
        file = Path(result["dicom"])
    if output is Output.ALL:
        return MultipartResponse(params, file, cleanup)
    if file is None:
        raise NotFoundError(
            "the result", expected="an image", came="none: this model returns only JSON", fix="Ask with output=json."
        )
    name = sent_name(file)
    media_type = "application/dicom" if output in _AS_DICOM else media_type_of(name)
    return FileResponse(file, media_type=media_type, filename=name, background=BackgroundTask(cleanup))


def _is_on(value: Any) -> bool:
    return value is True or str(value).lower() in ("true", "1", "yes", "on")
