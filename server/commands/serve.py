"""``hepatic serve``."""

from __future__ import annotations

import ipaddress
import logging
import os
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hepatic.errors import BadInputError, NotFoundError
from hepatic.settings import settings
from server.access.access import check_configured, tokens_dir
from server.access.token import Tokens
from server.commands.options import App, Conf, Studies, app_dir, log_to_terminal, pairs
from server.monai_app import AppSpec, check_app_dir
from server.stock_settings import stock_environment, without_effect

logger = logging.getLogger(__name__)

_NOT_STARTED = 3
"""Exit code of a server that could not start, as uvicorn's own."""
_NO_STUDY = "2.25.0"


def serve(
    studies: Studies,
    app: App = Path("apps/hepatic"),
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", "-P", envvar="MONAI_LABEL_SERVER_PORT", min=1, max=65535, help="Port to listen at.")
    ] = 8000,
    conf: Conf = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Web origin whose pages may use the server, for an OHIF elsewhere.")
    ] = None,
    auth: Annotated[
        bool, typer.Option("--auth", help="Ask for a login on this machine's own address, too; elsewhere always.")
    ] = False,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="A reverse proxy that says where requests come from; asks for a login."),
    ] = None,
    ohif: Annotated[
        bool,
        typer.Option("--ohif", help="Check that the OHIF viewer and its DICOMweb server are there, and say where."),
    ] = False,
    ssl_certfile: Annotated[Path | None, typer.Option(help="Certificate (PEM), to be reached by https.")] = None,
    ssl_keyfile: Annotated[Path | None, typer.Option(help="Its key, if that is another file.")] = None,
    log_level: Annotated[str, typer.Option(help="What is shown: debug, info, warning or error.")] = "info",
) -> None:
    """Serve a MONAI Label app to 3D Slicer, OHIF and others.

    [bold]Examples[/]

    hepatic serve --studies demo/studies

    hepatic serve --studies http://pacs:8042/dicom-web --ohif

    hepatic serve --app path/to/radiology --studies images --conf models=deepedit

    hepatic serve --studies images --origin http://localhost:3000

    hepatic tokens create "Dr. K" --studies images
    hepatic serve --studies images --host 0.0.0.0 --ssl-certfile cert.pem --ssl-keyfile key.pem

    hepatic serve --studies images --trusted-proxy 127.0.0.1
    """
    proxies = [_network(address) for address in trusted_proxy or ()]
    _check_tls(ssl_certfile, ssl_keyfile)
    local = _is_loopback(host)
    required = auth or not local or bool(proxies) or settings().auth or bool(settings().oidc_issuer)
    if required:
        tokens = Tokens(tokens_dir(AppSpec(str(app), studies).data_dir))
        check_configured(tokens, settings(), studies=studies, why="the login" if local else f"--host {host}")
    import uvicorn

    from server.app import create_app
    from server.running import Server

    folder = app_dir(app)
    check_app_dir(folder)
    if ohif:
        _check_ohif(AppSpec(str(app), studies))
    log_to_terminal(_level(log_level))
    stock = stock_environment()
    for sentence in without_effect(os.environ):
        logger.warning("%s", sentence)
    origins = tuple(address.rstrip("/") for address in origin or stock.origins)
    if "*" in origins and not required:
        raise BadInputError(
            "--origin",
            expected="the origins of viewers by name, where no login is needed",
            came="*: any web page could read the images through a browser on this machine",
            fix="Name them, such as http://localhost:3000, or add --auth.",
        )
    application = create_app(
        folder,
        studies,
        conf={**stock.conf, **pairs(conf, "--conf")},
        hosts=("*",) if required and (proxies or not local) else (host,),
        origins=origins,
        auth=required,
        behind_proxy=bool(proxies),
    )
    application.state.claim.take()  # here, so that a second server ends with one sentence and not in uvicorn's log
    shown = f"[{host}]" if ":" in host else host
    scheme = "https" if ssl_certfile else "http"
    told = Console(stderr=True)
    if not (local or ssl_certfile or proxies):
        told.print(
            "[yellow]Tokens and images cross the network readable to anybody on the way:[/] add --ssl-certfile, or put "
            "a proxy with TLS in front (--trusted-proxy)."
        )
    told.print(
        f"Serving [bold]{folder.name}[/] at [bold cyan]{scheme}://{shown}:{port}[/]"
        f"{', to who logs in' if required else ''}  (Ctrl-C stops; loading takes a moment)"
    )
    if ohif:
        told.print(f"OHIF, with the studies of the DICOMweb server: [bold cyan]{scheme}://{shown}:{port}/ohif/[/]")
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
        lifespan="on",
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
    )
    server = Server(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise typer.Exit(_NOT_STARTED)


def _check_ohif(spec: AppSpec) -> None:
    from hepatic.pacs.client import PacsClient
    from server.routes.ohif import viewer
    from server.upstream import upstream_spec

    viewer()
    pacs = upstream_spec(spec)
    if pacs is None:
        raise BadInputError(
            "--ohif",
            expected="a DICOMweb server, where the viewer finds the images",
            came="none",
            fix="Serve its studies (--studies http://HOST:PORT/dicom-web), or set HEPATIC_DICOMWEB_URL.",
        )
    with closing(PacsClient(pacs)) as client:
        client.studies({"StudyInstanceUID": _NO_STUDY})


def _level(name: str) -> int:
    level = logging.getLevelNamesMapping().get(name.upper())
    if not level:
        raise BadInputError("--log-level", expected="debug, info, warning or error", came=name, fix="Choose one.")
    return level


def _network(address: str) -> str:
    try:
        return str(ipaddress.ip_network(address))
    except ValueError:
        raise BadInputError(
            "--trusted-proxy", expected="an IP address or network", came=address, fix="Write for example 10.0.0.2."
        ) from None


def _check_tls(certfile: Path | None, keyfile: Path | None) -> None:
    if keyfile is not None and certfile is None:
        raise BadInputError("--ssl-keyfile", expected="--ssl-certfile with it", came="none", fix="Name both.")
    for option, file in (("--ssl-certfile", certfile), ("--ssl-keyfile", keyfile)):
        if file is not None and not file.is_file():
            raise NotFoundError(option, expected="a PEM file", came="no file there", fix="Correct the path.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
