"""``hepatic start_server``: the command line of MONAI Label's own server, for those who have one in a script."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import typer
from rich.console import Console

from hepatic.errors import BadInputError
from hepatic.settings import settings
from server.commands.options import app_dir
from server.commands.serve import serve
from server.monai_app import check_app_dir

CONTEXT = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""Click passes everything on: the options are MONAI Label's, whose --conf takes two values."""

_REFUSED = {
    "uvicorn_app": "It serves MONAI Label apps and nothing else.",
    "ssl_keyfile_password": "Take the password off the key, or let a proxy do TLS.",
    "ssl_ca_certs": "Certificates of clients are not asked for; let a proxy do it.",
    "limit_concurrency": "Set HEPATIC_QUEUE_LIMIT: more requests are answered with 503.",
    "root_path": "It is served at the root of a host name; give it one of its own.",
}
_WITHOUT_EFFECT = {
    "access_log": "Requests are logged with their ids in any case.",
    "log_config": "The log is in .hepatic/logs inside the studies.",
    "log_level": "Use --verbose.",
}


def start_server(context: typer.Context) -> None:
    """Serve as ``monailabel start_server`` does, with its options; see ``hepatic serve --help`` for ours.

    [bold]Example[/]

    hepatic start_server --app radiology --studies images --conf models deepedit
    """
    given = _parser().parse_args(context.args)
    for option, words in _REFUSED.items():
        if getattr(given, option) is not None:
            raise BadInputError(f"--{option}", expected="it left out", came="one", fix=words)
    told = Console(stderr=True)
    for option, words in _WITHOUT_EFFECT.items():
        if getattr(given, option) is not None:
            told.print(f"[yellow]--{option} has no effect here.[/] {words}")
    if given.workers is not None:
        told.print("One process serves; [bold]--workers[/] is the number of inference workers.")
        os.environ["HEPATIC_WORKERS"] = str(given.workers)
        settings.cache_clear()
    if given.dryrun:
        check_app_dir(app_dir(given.app))
        told.print(f"Would serve {given.app} over {given.studies} at {given.host}:{given.port}; no .env is written.")
        return
    serve(
        studies=given.studies,
        app=given.app,
        host=given.host,
        port=given.port,
        conf=[f"{key}={value}" for key, value in given.conf],
        ssl_certfile=given.ssl_certfile,
        ssl_keyfile=given.ssl_keyfile,
        log_level=given.verbose.lower(),
    )


def _parser() -> argparse.ArgumentParser:
    environment = os.environ.get
    parser = argparse.ArgumentParser(
        "hepatic start_server",
        description="Serve a MONAI Label app; the options are those of monailabel start_server.",
        epilog="Example: hepatic start_server --app radiology --studies images --conf models deepedit",
    )
    parser.add_argument(
        "-a", "--app", type=Path, default=Path(environment("MONAI_LABEL_APP_DIR") or "apps/hepatic"), help="the app"
    )
    studies = environment("MONAI_LABEL_STUDIES")
    parser.add_argument("-s", "--studies", default=studies, required=not studies, help="folder, or DICOMweb URL")
    parser.add_argument("-v", "--verbose", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    parser.add_argument("-c", "--conf", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"))
    parser.add_argument("-i", "--host", default="127.0.0.1", help="default: this machine alone, not 0.0.0.0")
    parser.add_argument("-p", "--port", type=int, default=int(environment("MONAI_LABEL_SERVER_PORT") or 8000))
    parser.add_argument("--ssl_keyfile", type=Path)
    parser.add_argument("--ssl_certfile", type=Path)
    parser.add_argument("--workers", type=int, help="number of inference workers")
    parser.add_argument("--dryrun", action="store_true", help="check the options and end")
    parser.add_argument("--access_log", action="store_true", default=None, help="without effect")
    parser.add_argument("--log_level", help="without effect")
    parser.add_argument("-l", "--log_config", help="without effect")
    for refused in _REFUSED:
        parser.add_argument(f"--{refused}", help="not supported")
    return parser
