"""Sends results to the PACS and reads those of others, off the event loop; tells how the sending goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hepatic.errors import BadInputError, HepaticError
from hepatic.harvest.store import ReviewStore
from hepatic.pacs.client import PacsClient
from hepatic.pacs.inbox import Inbox, Unread
from hepatic.pacs.outbox import Entry, Outbox, State
from hepatic.pacs.sender import Made, NotNowError, Sender
from hepatic.pacs.spec import PacsSpec
from server.executor import Executor, NoWorkerError, QueueFullError, WorkCancelledError
from server.host import Host
from server.pacs.found import FoundLabels
from server.pacs.results import Results
from server.slot import RemoteError

logger = logging.getLogger(__name__)

_LOOK_S = 2.0
_MAKING_S = 900.0


class PacsResults:
    """The outbox of a server, and the thread that empties it.

    Args:
        spec: the PACS; None where there is none: then nothing is sent, and nothing written down.
        kinds: what is sent by itself (``settings().dicomweb_results``).
        data_dir: where the record is kept.
        host: the app.
        executor: in whose workers objects are made.
        reviews: of studies.
        scratch: for temporary files.
        reads: whether segmentations and reports that lie beside the images are read as their labels.
    """

    def __init__(
        self,
        spec: PacsSpec | None,
        kinds: str,
        data_dir: Path,
        *,
        host: Host,
        executor: Executor,
        reviews: ReviewStore,
        scratch: Path,
        reads: bool,
    ) -> None:
        self.kinds = [name for name in kinds.split(",") if name]
        self._executor = executor
        self._ended, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._making: Future[list[Made]] | None = None
        self._inbox = Inbox(data_dir / "inbox.sqlite")
        self.outbox: Outbox | None = None
        if spec is not None:
            self.outbox = Outbox(data_dir / "outbox.sqlite")
            self._client = PacsClient(spec)
            self._results = Results(host, reviews, self.outbox, self._inbox, self.kinds)
            self._sender = Sender(self.outbox, self._client, due=self._results.due, make=self._make)
        ours = (lambda uids: set()) if self.outbox is None else self.outbox.ours
        self._found = FoundLabels(host, executor, ours=ours, inbox=self._inbox, scratch=scratch) if reads else None

    def start(self) -> None:
        """Begin to send and to read."""
        if self.outbox is not None or self._found is not None:
            self._thread = threading.Thread(target=self._run, name="results to and from the PACS", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop; what is being sent at the moment may be sent still, and is known at the next start."""
        self._ended.set()
        self._wake.set()
        if self._making is not None:
            self._executor.cancel(self._making)
        if self._thread is not None:
            self._thread.join(timeout=10)
        if self.outbox is not None:
            self._client.close()
            self.outbox.close()
        self._inbox.close()

    def told(self, state: State | None, *, limit: int, offset: int) -> dict[str, Any]:
        """Return what is sent by itself, how many results are in each state, and some of them; and what is unread."""
        unread = {
            "counts": self._inbox.unread_counts(),
            "objects": [_unread_as_json(one) for one in self._inbox.unread(limit=limit)],
        }
        if self.outbox is None:
            return {"pacs": False, "sends": [], "trouble": "", "counts": {}, "results": [], "unread": unread}
        found = self.outbox.entries(state, limit=limit, offset=offset)
        return {
            "pacs": True,
            "sends": self.kinds,
            "trouble": self._sender.trouble,
            "counts": self.outbox.counts(),
            "results": [_as_json(one) for one in found],
            "unread": unread,
        }

    def retry(self, result: str = "") -> int:
        """Try again now what was refused, left out or put off: one result, or all; return how many."""
        tried = self._there().retry(result)
        self._hurry()
        return tried

    def send(self, image_id: str, tag: str) -> None:
        """Have a label sent, whatever its tag and whatever is sent by itself.

        Raises:
            NotFoundError: there is no such label.
        """
        self._there()
        self._results.ask(image_id, tag)
        self._hurry()

    def _hurry(self) -> None:
        self._results.look_again()
        self._sender.hurry()
        self._wake.set()

    def _there(self) -> Outbox:
        if self.outbox is None:
            raise BadInputError(
                "the PACS", expected="one to send to", came="none", fix="Set HEPATIC_DICOMWEB_URL, or serve its URL."
            )
        return self.outbox

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.clear()
            more = False
            try:
                if self.outbox is not None:
                    self._sender.look()
                more = self._found is not None and self._found.look()
            except Exception:
                logger.exception("results could not be sent or read; it is tried again")
            if not more:
                self._wake.wait(_LOOK_S)

    def _make(self, entry: Entry) -> list[Made]:
        work: Callable[..., list[Made]]
        work, args = self._results.work(entry)
        if self._ended.is_set():
            raise NotNowError
        try:
            self._making = self._executor.submit(work, *args, timeout_s=_MAKING_S)
            return list(self._making.result())
        except (QueueFullError, NoWorkerError, WorkCancelledError) as busy:
            raise NotNowError from busy
        except RemoteError as failure:
            logger.error("a DICOM object could not be made: %s", failure.trace or failure)
            raise HepaticError(f"It could not be made ({failure.kind}); the server's log says why.") from failure
        finally:
            self._making = None


def _as_json(one: Entry) -> dict[str, Any]:
    return {
        "result": one.result,
        "number": one.number,
        "about": one.about,
        "state": one.state,
        "reason": one.told,
        "refusals": one.attempts,
        "at": _iso(one.at),
        "next_at": _iso(one.next_at) if one.state == "waiting" and one.next_at else None,
    }


def _unread_as_json(one: Unread) -> dict[str, Any]:
    return {
        "object": one.key,
        "state": one.outcome,
        "reason": one.told,
        "at": _iso(one.at),
        "next_at": _iso(one.next_at) if one.next_at else None,
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
