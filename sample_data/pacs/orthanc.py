"""A real Orthanc on this machine, for demonstrations and tests: reached on 127.0.0.1 and from nowhere else.

Orthanc 1.10 listens at every address whatever ``HttpBindAddresses`` says. It therefore runs in a network namespace that
has only a loopback interface, and a relay there takes the connections of a socket opened outside of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from functools import cache
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pydicom
from dicomweb_client import DICOMwebClient

from hepatic.errors import HepaticError, NotFoundError

_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_RELAY = Path(__file__).with_name("relay.py")
_PORT = 8042
_START_S = 60.0
_STOP_S = 15.0
_SENT_TOGETHER = 64


def orthanc_problem() -> str:
    """Say in a sentence why Orthanc cannot run here; empty where it can."""
    if _program() is None or not _PLUGIN.exists():
        return "Install it: apt-get install orthanc orthanc-dicomweb"
    if not _unshare():
        return "Allow network namespaces (unshare -n, or unshare -rn for who is not root)."
    return ""


class Orthanc:
    """Orthanc with an empty store of its own, until the ``with`` block ends, or this process.

    Attributes:
        url: root of its own REST interface, without a slash at the end.
        dicomweb_url: root of DICOMweb, the same.

    Args:
        port: where on 127.0.0.1 it is reached; 0 for any free port.
        settings: more of Orthanc's own settings.

    Raises:
        NotFoundError: it cannot run here.
        HepaticError: it did not start.
        OSError: the port is taken.
    """

    def __init__(self, port: int = 0, **settings: Any) -> None:
        if problem := orthanc_problem():
            raise NotFoundError("Orthanc", expected="one that can run here", came="none", fix=problem)
        self._listening = _bound(port)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.dicomweb_url = f"{self.url}/dicom-web"
        self._folder = Path(tempfile.mkdtemp(prefix="hepatic-orthanc-"))
        (self._folder / "settings.json").write_text(json.dumps(_settings(self._folder) | settings))
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, after a stop with what it had, and wait until it answers."""
        self._listening.listen(128)
        listening = self._listening.fileno()
        program = [str(_program()), str(self._folder / "settings.json")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_unshare(), sys.executable, _RELAY, str(listening), self._folder, str(_PORT), *program],
                stdin=subprocess.PIPE,  # it ends when this does, or this process
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(listening,),
                start_new_session=True,  # Ctrl-C is for who started it
            )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                told = self._log.read_text(errors="replace")[-2000:]
                self.remove()
                raise HepaticError(f"Orthanc did not start. Its log ends with: {told}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it as a power cut does: connections are refused; what it stored stays."""
        port = self._listening.getsockname()[1]
        self._listening.close()
        self._end(b"keep")
        self._listening = _bound(port)  # the port remains ours

    def remove(self) -> None:
        """Stop it for good and remove what it stored."""
        self._listening.close()
        self._end(b"")
        shutil.rmtree(self._folder, ignore_errors=True)

    def empty(self) -> None:
        """Remove every study."""
        with self._client() as client:
            for study in client.get("/studies").raise_for_status().json():
                client.delete(f"/studies/{study}").raise_for_status()

    def store(self, files: Iterable[Path]) -> None:
        """Store DICOM files by STOW-RS.

        Raises:
            requests.HTTPError: it takes none of them.
            HepaticError: it takes not all of them.
        """
        client, left = DICOMwebClient(self.dicomweb_url), iter(files)
        while some := list(islice(left, _SENT_TOGETHER)):
            answer = client.store_instances([pydicom.dcmread(file) for file in some])
            if refused := answer.get("FailedSOPSequence"):
                raise HepaticError(f"Orthanc refused {len(refused)} of {len(some)} files.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60.0, trust_env=False)

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError), self._client() as client:
            return client.get("/system", timeout=5.0).status_code in (200, 401)  # it may want a password
        return False

    def _end(self, last_words: bytes) -> None:
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(last_words, timeout=_STOP_S)
        self._process.kill()
        self._process.wait()
        self._process = None


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _settings(folder: Path) -> dict[str, Any]:
    return {
        "Name": "hepatic-demo",
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "Plugins": [str(_PLUGIN)],
        "HttpPort": _PORT,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": True, "WadoRoot": "/wado"},
    }


def _program() -> str | None:
    return shutil.which("Orthanc", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


@cache
def _unshare() -> tuple[str, ...]:
    """Return what runs a program in a network namespace of its own; nothing where that is not allowed."""
    for options in ("-n", "-rn"):  # as root; as a user
        with contextlib.suppress(OSError):
            if subprocess.run(["unshare", options, "true"], capture_output=True, check=False).returncode == 0:
                return ("unshare", options)
    return ()
