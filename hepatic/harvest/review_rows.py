"""How events lie in the review store."""
# ruff: noqa: S608 - queries are put together from constants of this package

from __future__ import annotations

import json
from typing import Any

from hepatic.harvest.events import Event, EventType, read_box, read_said
from hepatic.store.connection import Connection

_COLUMNS = (
    "seq, id, type, study, candidate, model_hash, reader, round, verdict, box, of, shown_at, decided_at, hidden_ms, "
    "device, tag, at, may_label"
)


def events_where(connection: Connection, condition: str, *parameters: object) -> list[Event]:
    """Return the events for which a condition holds, in the order they came."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM event WHERE {condition} ORDER BY seq", parameters)
    return [_event(row) for row in rows]


def write_event(connection: Connection, event: Event) -> int:
    """Add an event inside a transaction; return its number."""
    row = connection.execute(
        "INSERT INTO event (id, type, study, candidate, model_hash, reader, round, verdict, box, of, shown_at, "
        "decided_at, hidden_ms, device, tag, at, may_label) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "RETURNING seq",
        (
            event.id,
            event.type.value,
            event.study,
            event.candidate,
            event.model_hash,
            event.reader,
            event.round,
            None if event.verdict is None else event.verdict.value,
            None if event.box is None else json.dumps(event.box),
            event.of,
            event.shown_at,
            event.decided_at,
            event.hidden_ms,
            event.device,
            event.tag,
            event.at,
            int(event.may_label),
        ),
    ).fetchone()
    return int(row[0])


def _event(row: tuple[Any, ...]) -> Event:
    values = dict(zip(_COLUMNS.replace(" ", "").split(","), row, strict=True))
    values["type"] = EventType(values["type"])
    values["verdict"] = None if values["verdict"] is None else read_said(values["verdict"])
    values["box"] = None if values["box"] is None else read_box(json.loads(values["box"]))
    values["may_label"] = bool(values["may_label"])
    return Event(**values)
