"""MONAI Label's own server, started in this environment: its commands with the stand-ins of ``compat`` in place.

``python -m hepatic.adapters.stock start_server --app apps/hepatic --studies DIR`` is ``monailabel start_server``,
except that it listens at this machine alone unless told otherwise: it lets everybody in.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hepatic.adapters import compat
from hepatic.errors import HepaticError

_MODULE = "hepatic.adapters.stock"
_TASK = "task"
_LOOK_S = 0.1
_STOP_S = 10.0
_TOLD_LINES = 15


@dataclass(frozen=True)
class StockServer:
    """A running stock server.

    Args:
        url: its address.
        pid: its process.
        log_file: what it has printed so far.
    """

    url: str
    pid: int
    log_file: Path


def main(arguments: Sequence[str]) -> None:
    """Run one of the stock commands (``start_server``, ``apps``, ``plugins``) with these arguments."""
    compat.install()
    if arguments[:1] == [_TASK]:
        from monailabel.interfaces.utils.app import run_main

        sys.argv = ["monailabel", *arguments[1:]]
        run_main()
        return
    from monailabel.main import Main
    from monailabel.utils.async_tasks import utils

    utils.subprocess = SimpleNamespace(Popen=_start_task, PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT)
    sys.argv = ["monailabel", *_on_loopback(arguments)]
    Main().run()


@contextmanager
def running(
    app_dir: Path,
    studies: Path | str,
    *,
    conf: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    start_timeout_s: float = 120.0,
) -> Iterator[StockServer]:
    """Serve a copy of an app by the stock server on a free port, in a process of its own; for tests and benchmarks.

    A copy, because the stock server makes folders and a log inside the app's. The copy and the log last as long as the
    ``with`` block.

    Args:
        app_dir: folder with the app's ``main.py``.
        studies: folder of the studies, or the URL of a DICOMweb server.
        conf: options for the app.
        environment: variables on top of this process's own.
        start_timeout_s: how long it may take to start.

    Raises:
        HepaticError: it did not start; says what it printed last.
    """
    with tempfile.TemporaryDirectory(prefix="hepatic-stock-", ignore_cleanup_errors=True) as scratch:
        copy, log_file, port = Path(scratch) / "app", Path(scratch) / "stock.log", _free_port()
        shutil.copytree(app_dir, copy, ignore=shutil.ignore_patterns("__pycache__", "logs"))
        options = [text for pair in (conf or {}).items() for text in ("--conf", *pair)]
        where = ["--app", str(copy), "--studies", str(studies), "--host", "127.0.0.1", "--port", str(port)]
        paths = (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, "start_server", *where, *options],
                cwd=scratch,  # it reads settings from a file .env there
                env=variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait(process, port, log_file, start_timeout_s)
            yield StockServer(f"http://127.0.0.1:{port}", process.pid, log_file)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start_task(command: list[str], **options: Any) -> subprocess.Popen[Any]:
    """Start what the stock server runs in processes of their own (training, scoring), with the stand-ins there too."""
    python, _, _, *rest = command
    return subprocess.Popen([python, "-m", _MODULE, _TASK, *rest], **options)


def _on_loopback(arguments: Sequence[str]) -> list[str]:
    named = any(text.startswith(("-i", "--host")) for text in arguments)
    return list(arguments) if named or "start_server" not in arguments else [*arguments, "--host", "127.0.0.1"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait(process: subprocess.Popen[bytes], port: int, log_file: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:  # it listens once the app is loaded
                return
        time.sleep(_LOOK_S)
    last = "\n".join(log_file.read_text(errors="replace").splitlines()[-_TOLD_LINES:])
    raise HepaticError(f"The stock server did not start. It printed last:\n{last}")


if __name__ == "__main__":
    main(sys.argv[1:])
