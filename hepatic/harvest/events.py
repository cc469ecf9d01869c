"""Events of a review: what a reader did, as their page sends it and as the store keeps it."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from hepatic.errors import BadInputError
from hepatic.harvest.study import Box

_Kind = TypeVar("_Kind", bound=StrEnum)

SLICER = "slicer"
"""The device of events that were derived from boxes saved in 3D Slicer."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_LONGEST_HIDDEN_MS = 30 * 86_400_000.0
_EARLIEST, _LATEST = 0.0, 4102444800.0  # 1970 to 2100


class EventType(StrEnum):
    """What can happen. The first seven come from a reader's page, the others from reviewers and the server."""

    DECIDE = "decide"
    UNDO = "undo"
    PRIMARY = "primary"
    MISSED = "missed"
    BOX = "box"
    FINISH = "finish"
    REOPEN = "reopen"
    ADJUDICATE = "adjudicate"
    ADJUDICATE_PRIMARY = "adjudicate_primary"
    FINALISE = "finalise"


OF_READERS = frozenset(EventType) - {EventType.ADJUDICATE, EventType.ADJUDICATE_PRIMARY, EventType.FINALISE}


class Verdict(StrEnum):
    """What a reader says of a candidate."""

    TRUE = "true"
    FALSE = "false"
    UNSURE = "unsure"


class ClassName(str):
    """What a reader says of an image: the name of one of the classes that its proposal lists."""

    __slots__ = ()

    @property
    def value(self) -> str:
        """Its text, as ``Verdict`` has it."""
        return str(self)


Said = Verdict | ClassName
"""Of a candidate that a detector proposed, a verdict; of an image, a class, or ``unsure``."""


def read_said(given: str) -> Said:
    """Return the verdict that a text is, else the class."""
    return Verdict(given) if given in list(Verdict) else ClassName(given)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event. Events are only ever added; what holds now is derived from them.

    Attributes:
        id: UUID of the client's making, unique for ever: sending it twice stores it once.
        type: what happened.
        study: StudyInstanceUID.
        candidate: its UID; of ``primary``, empty says that none of them is.
        model_hash: of the model that proposed the candidates that were seen.
        reader: who.
        round: how often this reader has read this study, from 1 on.
        verdict: of ``decide`` and ``adjudicate``.
        box: of ``box``, LPS millimetres.
        of: of ``undo``, the event that is undone.
        shown_at, decided_at: seconds since 1970 on the client's clock; None where it did not say.
        hidden_ms: of the time between them, how long the page was not to be seen.
        device: mouse, key, touch, slicer.
        tag: what it came by if not by a click, such as ``batch:...``.
        at: seconds since 1970 when the server took it.
        seq: its number in the store; 0 before it is there.
        may_label: whether who said it may save labels: a class becomes one only then.
    """

    id: str
    type: EventType
    study: str
    candidate: str = ""
    model_hash: str = ""
    reader: str = ""
    round: int = 0
    verdict: Said | None = None
    box: Box | None = None
    of: str = ""
    shown_at: float | None = None
    decided_at: float | None = None
    hidden_ms: float = 0.0
    device: str = ""
    tag: str = ""
    at: float = 0.0
    seq: int = 0
    may_label: bool = True

    @property
    def seconds(self) -> float | None:
        """How long the reader looked before deciding, without the time the page was hidden; None where unknown."""
        if self.shown_at is None or self.decided_at is None:
            return None
        return max(0.0, self.decided_at - self.shown_at - self.hidden_ms / 1000)

    def as_json(self) -> dict[str, Any]:
        """Return what a client is told of it."""
        return {
            "id": self.id,
            "type": self.type.value,
            "study": self.study,
            "candidate": self.candidate,
            "verdict": None if self.verdict is None else self.verdict.value,
            "box": None if self.box is None else list(self.box),
            "of": self.of,
            "round": self.round,
            "tag": self.tag,
            "decided_at": self.decided_at,
        }


def read_event(given: Any) -> Event:
    """Read an event that a page sent.

    Raises:
        BadInputError: it is none; nothing of it is kept.
    """
    if not isinstance(given, Mapping):
        raise _wrong("an event", "a JSON object", given)
    type_ = _one_of(EventType, given.get("type"), "type")
    if type_ not in OF_READERS:
        raise _wrong("type", "one of " + ", ".join(sorted(OF_READERS)), type_.value)
    return Event(
        id=event_id(given.get("id")),
        type=type_,
        study=plain_text(given.get("study"), "study", needed=True),
        candidate=plain_text(given.get("candidate"), "candidate", needed=type_ is EventType.DECIDE),
        verdict=_said(given.get("verdict")) if type_ is EventType.DECIDE else None,
        box=_box(given.get("box")) if type_ is EventType.BOX else None,
        of=event_id(given.get("of")) if type_ is EventType.UNDO else "",
        shown_at=_moment(given.get("shown_at"), "shown_at"),
        decided_at=_moment(given.get("decided_at"), "decided_at"),
        hidden_ms=_hidden(given.get("hidden_ms")),
        device=plain_text(given.get("device"), "device", longest=40),
    )


def event_id(given: Any) -> str:
    """Return a UUID in its usual form.

    Raises:
        BadInputError: it is none.
    """
    try:
        if not isinstance(given, str) or len(given) > 64:
            raise ValueError
        return str(uuid.UUID(given))
    except ValueError:
        raise _wrong("id", "a UUID", given) from None


def plain_text(given: Any, what: str, *, needed: bool = False, longest: int = 200) -> str:
    """Return a text without control characters, empty for None.

    Raises:
        BadInputError: it is none, or is empty and needed.
    """
    if given is None and not needed:
        return ""
    if not isinstance(given, str) or len(given) > longest or _CONTROL.search(given) or (needed and not given):
        raise _wrong(what, f"a text of at most {longest} characters", given)
    return given


def read_box(given: Any) -> Box:
    """Return six finite numbers, the lowest corner below the highest; ValueError or TypeError where they are none."""
    x, y, z, x2, y2, z2 = (_number(value) for value in given)
    if not (x < x2 and y < y2 and z < z2):
        raise ValueError("a box begins below its end: (x, y, z, x, y, z)")
    return x, y, z, x2, y2, z2


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:  # nor NaN
        raise ValueError("not a finite number")
    return float(value)


def _one_of(kind: type[_Kind], given: Any, what: str) -> _Kind:
    try:
        return kind(given)
    except ValueError:
        raise _wrong(what, "one of " + ", ".join(kind), given) from None


def _said(given: Any) -> Said:
    return read_said(plain_text(given, "verdict", needed=True, longest=64))


def _box(given: Any) -> Box:
    try:
        return read_box(given)
    except (TypeError, ValueError):
        raise _wrong("box", "six numbers in millimetres, [x, y, z, x, y, z], the lower corner first", given) from None


def _moment(given: Any, what: str) -> float | None:
    """Seconds since 1970 of a number of milliseconds, as pages have them, or of an ISO 8601 text."""
    if given is None:
        return None
    seconds = math.nan
    if isinstance(given, int | float) and not isinstance(given, bool):
        seconds = float(given) / 1000 if abs(given) < 1e15 else math.nan
    elif isinstance(given, str) and len(given) < 40:
        try:
            moment = datetime.fromisoformat(given)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            pass
    if not _EARLIEST <= seconds <= _LATEST:
        raise _wrong(what, "milliseconds since 1970, or a time such as 2026-11-21T12:00:00Z", given)
    return seconds


def _hidden(given: Any) -> float:
    if given is None:
        return 0.0
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= _LONGEST_HIDDEN_MS:
        raise _wrong("hidden_ms", "milliseconds", given)
    return float(given)


def _wrong(what: str, expected: str, came: Any) -> BadInputError:
    return BadInputError(what, expected=expected, came=ascii(came)[:60], fix="Reload the page, then try again.")
