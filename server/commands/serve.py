"""``hepatic serve``."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hepatic.errors import BadInputError
from server.commands.options import App, Conf, Studies, app_dir, log_to_terminal, pairs


def serve(
    studies: Studies,
    app: App = Path("apps/hepatic"),
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-P", min=1, max=65535, help="Port to listen at.")] = 8000,
    conf: Conf = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Web origin whose pages may use the server, for an OHIF elsewhere.")
    ] = None,
    open_to_all: Annotated[
        bool, typer.Option("--i-know-this-is-open", help="Listen beyond this machine, although there is no login yet.")
    ] = False,
) -> None:
    """Serve a MONAI Label app to 3D Slicer, OHIF and others.

    [bold]Examples[/]

    hepatic serve --studies demo/studies

    hepatic serve --app path/to/radiology --studies images --conf models=deepedit

    hepatic serve --studies images --origin http://localhost:3000
    """
    if not _is_loopback(host) and not open_to_all:
        raise BadInputError(
            "--host",
            expected="an address of this machine alone, such as 127.0.0.1",
            came=host,
            fix="Anybody who reaches the server could read and change the studies; a login comes with the next "
            "version. Use an SSH tunnel, or add --i-know-this-is-open on a network you trust.",
        )
    import uvicorn

    from server.app import create_app
    from server.host import check_app_dir

    folder = app_dir(app)
    check_app_dir(folder)
    log_to_terminal()
    application = create_app(
        folder,
        studies,
        conf=pairs(conf, "--conf"),
        hosts=("*",) if open_to_all else (host,),
        origins=tuple(address.rstrip("/") for address in origin or ()),
    )
    application.state.claim.take()  # here, so that a second server ends with one sentence and not in uvicorn's log
    shown = f"[{host}]" if ":" in host else host
    Console(stderr=True).print(
        f"Serving [bold]{folder.name}[/] at [bold cyan]http://{shown}:{port}[/]  (Ctrl-C stops; loading takes a moment)"
    )
    uvicorn.run(
        application,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
        lifespan="on",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
