"""The contestants: servers in processes of their own, started as a user starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from hepatic.adapters import stock as stock_server

ROOT = Path(__file__).parents[1]
_START_S = 180.0
_ALONE = {
    "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
    "HEPATIC_SCORE_IN_BACKGROUND": "false",
    "HEPATIC_PROPOSE_IN_BACKGROUND": "false",
}
"""Neither server works in the background while the others are measured."""


@dataclass(frozen=True)
class Contestant:
    """A running server.

    Attributes:
        name: short.
        address: URL.
        process: its root.
    """

    name: str
    address: str
    process: psutil.Process

    def rss_mib(self) -> float:
        """Resident memory of all its processes; pages that several share count for each."""
        total = 0
        for member in [self.process, *self.process.children(recursive=True)]:
            try:
                total += member.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total / 2**20


@contextmanager
def stock(
    name: str, app: Path, studies: Path, conf: Mapping[str, str] | None = None, *, passive: bool = False
) -> Iterator[Contestant]:
    """The stock server over an app; ``passive`` lets its waiting threads sleep, as those of our workers do."""
    environment = {**_ALONE, "OMP_WAIT_POLICY": "PASSIVE"} if passive else _ALONE
    with stock_server.running(app, studies, conf=conf, environment=environment, start_timeout_s=_START_S) as server:
        yield Contestant(name, server.url, psutil.Process(server.pid))


@contextmanager
def ours(
    app: Path, studies: Path, log: Path, *, name: str = "ours", environment: Mapping[str, str] | None = None
) -> Iterator[Contestant]:
    """Our server over an app, with more settings, ready when its worker is."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ["--app", str(app), "--studies", str(studies), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "serve", *where],
            env={**os.environ, **_ALONE, **(environment or {}), "PYTHONPATH": str(ROOT)},
            cwd=log.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, process, log)
        yield Contestant(name, address, psutil.Process(process.pid))
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()  # its workers end by themselves


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{address}/ready", timeout=5).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"our server did not start:\n{log.read_text(errors='replace')[-3000:]}")
