"""Which trainings were asked for and how they went. In memory; a durable table can take this class's place."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from server.hiding import without_paths

TrainingStatus = Literal["SUBMITTED", "RUNNING", "DONE", "ERROR", "STOPPED"]
ENDED: frozenset[TrainingStatus] = frozenset({"DONE", "ERROR", "STOPPED"})

TAIL_LINES = 20
"""Lines of output a record carries."""


def now_text() -> str:
    """Return the time in MONAI Label's format, in this machine's zone."""
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")


@dataclass
class TrainingRecord:
    """One training, in the terms of MONAI Label's task records."""

    request: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: TrainingStatus = "SUBMITTED"
    start_ts: str = field(default_factory=now_text)
    end_ts: str | None = None
    details: deque[str] = field(default_factory=lambda: deque(["Waiting to start."], TAIL_LINES))
    result: Any = None

    def as_json(self) -> dict[str, Any]:
        """Return the record in the shape clients know. ``details`` is never empty: 3D Slicer takes its last line."""
        record: dict[str, Any] = {
            "id": self.id,
            "status": self.status,
            "request": self.request,
            "start_ts": self.start_ts,
            "details": [without_paths(line) for line in self.details],
        }
        if self.end_ts is not None:
            record["end_ts"] = self.end_ts
        if self.result is not None:
            record["result"] = self.result
        return record


class TrainingRecords:
    """All records, in the order they came. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, TrainingRecord] = {}

    def add(self, request: Mapping[str, Any]) -> TrainingRecord:
        """Record that a training was asked for."""
        record = TrainingRecord(dict(request))
        with self._lock:
            self._records[record.id] = record
        return record

    def start(self, record: TrainingRecord) -> bool:
        """Mark as running; False if it was stopped before it could start."""
        with self._lock:
            if record.status != "SUBMITTED":
                return False
            record.status = "RUNNING"
            record.start_ts = now_text()
            record.details.append("Starting.")
            return True

    def line(self, record: TrainingRecord, text: str) -> None:
        """Append a line of output."""
        with self._lock:
            record.details.append(text)

    def end(self, record: TrainingRecord, status: TrainingStatus, result: Any = None) -> bool:
        """Mark as ended; False if it had ended before."""
        with self._lock:
            if record.status in ENDED:
                return False
            record.status, record.result, record.end_ts = status, result, now_text()
            return True

    def all(self) -> list[dict[str, Any]]:
        """Return every record."""
        with self._lock:
            return [record.as_json() for record in self._records.values()]

    def running(self) -> dict[str, Any] | None:
        """Return the record of the training that runs."""
        return next((record for record in self.all() if record["status"] == "RUNNING"), None)

    def latest(self) -> dict[str, Any] | None:
        """Return the training that runs, or else the one asked for last."""
        records = self.all()
        return self.running() or (records[-1] if records else None)
