"""The web application: one MONAI Label app, served."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from hepatic.settings import settings
from server.access.access import Access
from server.access.guard import Guard
from server.access.headers import protected
from server.access.roles import declared
from server.claim import Claim
from server.failures import REFUSALS, install_handlers
from server.gate import LOOPBACK_HOSTS, Gate
from server.leaving import options_of_uploads
from server.monai_app import AppSpec
from server.observe.metrics import Metrics
from server.observe.request import HEADER, identified
from server.observe.served import Served
from server.routes import (
    activelearning,
    audit,
    auth,
    batch,
    cases,
    cases_page,
    cases_pictures,
    datastore,
    deidentify,
    docs,
    health,
    image,
    infer,
    info,
    jobs,
    label,
    landing,
    login,
    logs,
    model,
    ohif,
    pacs,
    proxy,
    qa,
    qa_export,
    qa_page,
    qa_pictures,
    qa_review,
    quarantine,
    quarantine_page,
    reload,
    scoring,
    session,
    static,
    train,
)
from server.routes import metrics as metrics_route
from server.services import Services
from server.slot import Slot
from server.upstream import connected, upstream_spec

logger = logging.getLogger(__name__)

_ROUTERS = (
    landing.router,
    docs.router,
    auth.router,
    login.router,
    health.router,
    info.router,
    infer.router,
    batch.router,
    jobs.router,
    train.router,
    qa.router,
    qa_review.router,
    qa_export.router,
    qa_pictures.router,
    qa_page.router,
    cases.router,
    cases_pictures.router,
    cases_page.router,
    quarantine.router,
    quarantine_page.router,
    pacs.router,
    activelearning.router,
    scoring.router,
    image.router,
    label.router,
    datastore.router,
    session.router,
    model.router,
    logs.router,
    metrics_route.router,
    audit.router,
    deidentify.router,
    reload.router,
    ohif.router,
    proxy.router,
    static.router,
)


def create_app(
    app_dir: str | PathLike[str],
    studies: str | PathLike[str],
    *,
    conf: Mapping[str, str] | None = None,
    workers: int | None = None,
    queue_limit: int | None = None,
    score_in_background: bool | None = None,
    max_upload_mib: int | None = None,
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
    auth: bool | None = None,
    behind_proxy: bool = False,
    make_slot: Callable[[], Slot] | None = None,
) -> FastAPI:
    """Make the application. Its processes start and stop with its lifespan.

    Args:
        app_dir: folder with the MONAI Label app's ``main.py``.
        studies: folder of the studies, or the URL of a DICOMweb server.
        conf: options for the app, as ``--conf`` gives them.
        workers: inference workers; by default as the settings say, and so on below.
        queue_limit: requests that may wait for a worker.
        score_in_background: score unlabelled images from the start, and whenever there are new ones or a new model.
        max_upload_mib: largest upload.
        hosts: host names to answer to besides this machine's own loopback names; ``"*"`` for any.
        origins: web origins whose pages may use the server, such as an OHIF served elsewhere.
        auth: whether a login is needed; by default if the settings ask for one or name an issuer of logins.
        behind_proxy: whether a trusted proxy tells the addresses of clients.
        make_slot: makes a worker's slot; for workers on other machines, and for tests.

    Returns:
        An ASGI application; its ``state.services`` holds what the routes use while it runs, its ``state.claim`` is the
        claim to the folder, taken when it starts unless it is held already, and its ``state.access`` knows who may come
        in.
    """
    spec = AppSpec(str(app_dir), str(studies), dict(conf or {}))
    claim = Claim(spec.data_dir, is_private=spec.is_remote)
    options_of_uploads()  # a wrong setting is said now, not to whoever uploads first
    dicomweb = upstream_spec(spec)
    required = auth if auth is not None else settings().auth or bool(settings().oidc_issuer)
    metrics = Metrics()
    access = Access(spec.data_dir, settings(), required=required, behind_proxy=behind_proxy)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        def build() -> Services:
            return Services(
                spec,
                workers=workers,
                queue_limit=queue_limit,
                score_in_background=score_in_background,
                make_slot=make_slot,
                metrics=metrics,
            )

        await run_in_threadpool(claim.take)
        try:
            await run_in_threadpool(access.audit.open)
            try:
                services = await run_in_threadpool(build)
                app.state.services = services
                try:
                    await run_in_threadpool(services.start)
                    logger.info("serving the app in %s", spec.app_dir)
                    async with connected(dicomweb) as app.state.upstream:
                        yield
                finally:
                    await run_in_threadpool(services.close)
            finally:
                await run_in_threadpool(access.close)
        finally:
            await run_in_threadpool(claim.release)

    app = _Application(
        title="hepatic", version=_version(), lifespan=lifespan, docs_url=None, redoc_url=None, responses=REFUSALS
    )
    app.state.claim, app.state.access, app.state.metrics = claim, access, metrics
    app.add_middleware(Guard, routes=app, access=access)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["*"],
            expose_headers=[HEADER],
        )
    app.add_middleware(
        Gate,
        hosts={*LOOPBACK_HOSTS, *hosts},
        origins=origins,
        max_body_bytes=(max_upload_mib or settings().max_upload_mib) << 20,
    )
    install_handlers(app)
    for router in _ROUTERS:
        app.include_router(router)
    return app


class _Application(FastAPI):
    """Answers to failures nobody foresaw are made outside of all middleware; they have their request's id, too."""

    def build_middleware_stack(self) -> ASGIApp:
        return identified(Served(protected(super().build_middleware_stack()), self.state.metrics))

    def openapi(self) -> dict[str, Any]:
        return declared(super().openapi())


def _version() -> str:
    try:
        return version("hepatic")
    except PackageNotFoundError:
        return "0"
