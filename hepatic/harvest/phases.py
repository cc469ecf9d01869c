"""Which contrast phase a series shows: from its picture, checked against its tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hepatic.harvest.series import SeriesTags, seconds_between
from hepatic.harvest.study import Phase

SURE = 0.9
"""From which probability the picture is believed though the tags say something else."""

_UNTIL_S = ((0.0, Phase.NC), (50.0, Phase.ARTERIAL), (110.0, Phase.VENOUS), (3600.0, Phase.DELAYED))
_BEFORE_S = 3600.0

_WORDS = {
    Phase.NC: r"non.?contrast|unenhanced|without|\bw/?o\b|plain|nativ|nativa|pre.?contrast|\bnc\b|sans (inj|pdc)|"
    r"senza|sin contraste|ohne (km|kontrast)|平扫",
    Phase.ARTERIAL: r"arteri|\bart\b|\bhap\b|动脉",
    Phase.VENOUS: r"portal|ven[oö]|\bven\b|veineu|\bpvp?\b|门静脉|门脉",
    Phase.DELAYED: r"delay|equilib|late\b|tardi|sp(ae|ä)t|washout|延迟",
}
_PATTERNS = {phase: re.compile(words, re.IGNORECASE) for phase, words in _WORDS.items()}


@dataclass(frozen=True)
class PhaseFinding:
    """Which phase a series shows and how that is known.

    Attributes:
        phase: None where neither picture nor tags say.
        told_by: ``picture``, ``tags``, ``picture+tags`` or, where nobody says, ``nothing``.
        picture: most probable by the picture; None where nobody looked.
        certainty: its probability, 0 where nobody looked.
        tags: by the tags; None where they do not say.
        tag: which tag said so.
        warning: in words, where the two differ or the picture is unsure and alone.
    """

    phase: Phase | None
    told_by: str
    picture: Phase | None
    certainty: float
    tags: Phase | None
    tag: str
    warning: str | None = None


def phases_by_tags(study: Sequence[SeriesTags]) -> list[tuple[Phase | None, str]]:
    """Return for each series of a study the phase its tags tell, and the tag that told it.

    The time since the injection is believed first: names are typed by people and copied from protocol to protocol. One
    series' ContrastBolusStartTime serves all of the study. Without it the SeriesDescription decides, if it names one
    phase.
    """
    injections = [tags.injected_s for tags in study if tags.injected_s is not None]
    found: list[tuple[Phase | None, str]] = []
    for tags in study:
        by_time = None
        if tags.acquired_s is not None and injections:
            injected = tags.injected_s if tags.injected_s is not None else injections[0]
            by_time = phase_at(seconds_between(injected, tags.acquired_s))
        by_name = phase_named(tags.description)
        if by_time is not None:
            found.append((by_time, "AcquisitionTime"))
        else:
            found.append((by_name, "SeriesDescription" if by_name else ""))
    return found


def phase_at(seconds: float) -> Phase | None:
    """Return the phase scanned so many seconds after the injection began; None beyond an hour to either side."""
    if seconds < -_BEFORE_S:
        return None
    return next((phase for until, phase in _UNTIL_S if seconds < until), None)


def phase_named(description: str) -> Phase | None:
    """Return the phase a SeriesDescription names; None where it names none, or the arterial and the venous one.

    "Late arterial" is arterial, "portal venous late" is venous.
    """
    named = [phase for phase, pattern in _PATTERNS.items() if pattern.search(description)]
    if Phase.ARTERIAL in named and Phase.VENOUS in named:
        return None
    return named[0] if named else None


def decide(called: str, picture: Mapping[Phase, float] | None, tags: tuple[Phase | None, str]) -> PhaseFinding:
    """Weigh picture against tags: where they differ the picture wins only if it is sure.

    Args:
        called: what a warning calls the series.
        picture: probability by phase; None where nobody looked.
        tags: as ``phases_by_tags`` gives it.
    """
    by_tags, tag = tags
    if not picture:
        told = "tags" if by_tags else "nothing"
        return PhaseFinding(by_tags, told, None, 0.0, by_tags, tag)
    seen, certainty = max(picture.items(), key=lambda item: item[1])
    if by_tags is None:
        doubt = None
        if certainty < SURE:
            doubt = f"{called}: its tags name no phase; the picture looks {_said(seen)} ({certainty:.0%} sure)."
        return PhaseFinding(seen, "picture", seen, certainty, None, "", doubt)
    if seen == by_tags:
        return PhaseFinding(seen, "picture+tags", seen, certainty, by_tags, tag)
    wins = certainty >= SURE
    warning = (
        f"{called}: {tag} says {_said(by_tags)}, the picture looks {_said(seen)} ({certainty:.0%} sure); "
        f"it is taken as {_said(seen if wins else by_tags)}."
    )
    phase, told = (seen, "picture") if wins else (by_tags, "tags")
    return PhaseFinding(phase, told, seen, certainty, by_tags, tag, warning)


def order_warnings(scans: Mapping[Phase, float | None]) -> list[str]:
    """Say which phases were scanned in another order than contrast medium flows.

    Args:
        scans: AcquisitionTime by phase, seconds since midnight; None where it is not known.
    """
    known = [(phase, scans[phase]) for phase in Phase if scans.get(phase) is not None]
    return [
        f"By their AcquisitionTime the {_said(later)} phase was scanned before the {_said(earlier)} one."
        for (earlier, first), (later, second) in pairwise(known)
        if first is not None and second is not None and seconds_between(first, second) < 0
    ]


def _said(phase: Phase) -> str:
    return "non-contrast" if phase is Phase.NC else phase.value
