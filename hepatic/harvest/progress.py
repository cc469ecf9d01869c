"""How the harvest goes, in numbers: what is done, what it took, how readers agree, and what models made of it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any, Protocol

import numpy as np

from hepatic.harvest.agreement import Agreement, Drift, agreement, drift
from hepatic.harvest.book import Review, by_reader
from hepatic.harvest.events import Event
from hepatic.harvest.leases import Lease
from hepatic.harvest.ledger import ledger, negatives_in
from hepatic.harvest.reading import Reading
from hepatic.harvest.rules import Rules
from hepatic.harvest.snapshots import Snapshot
from hepatic.harvest.study_state import study_state
from hepatic.harvest.triage import READING_MINUTES, calibrate, chance_of_a_hit, expected_minutes
from hepatic.harvest.verdicts import State, settled, was_boxed, was_missed, was_read

_LONGEST_LOOK_S = 300.0
MEASURES = ("p1td_1", "p1td_10", "froc")


class Version(Protocol):
    """A version of a model, as the registry knows it."""

    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def created(self) -> str: ...  # noqa: D102
    @property
    def metrics(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def card(self) -> Any: ...  # noqa: D102


def counts(reviews: Iterable[Review], held: Mapping[str, Lease], rules: Rules) -> dict[str, Any]:
    """Return how many studies and candidates are in which state."""
    studies: Counter[str] = Counter(dict.fromkeys(("waiting", "reading", "boxing", "conflict", "done"), 0))
    candidates: Counter[str] = Counter(dict.fromkeys([state.value for state in State], 0))
    inherited = batch = 0
    for review in reviews:
        state = study_state(review, rules)
        studies["reading" if state == "waiting" and review.uid in held else state] += 1
        for one in settled(review, rules).values():
            candidates[one.state.value] += 1
            inherited += bool(one.inherited)
            batch += one.batch
    return {
        "studies": {**studies, "total": sum(studies.values())},
        "candidates": {**candidates, "total": sum(candidates.values()), "inherited": inherited, "batch": batch},
    }


def effort(reviews: Sequence[Review], rules: Rules) -> dict[str, Any]:
    """Return m, what a study takes, and what was saved against boxing every study by hand.

    ``per_study`` = reading + manual x m (paper 001: 1 + 15 m), with the time that was measured here, by study, of first
    readings. Studies with one that nobody timed, as in 3D Slicer, are not in its mean, and count as it in what was
    saved. Hidden repeats are taken off what was saved; boxing by hand is in it as ``manual`` for each study.
    """
    read = [review for review in reviews if was_read(review, rules) or was_boxed(review)]
    missed = sum(was_missed(review) or was_boxed(review) for review in read)
    share = missed / len(read) if read else None
    finished = [one for review in read for one in review.readings if one.finished]
    spent = {
        name: sum(one.seconds for one in finished if one.kind == kind) / 60
        for name, kind in (("reading", "first"), ("boxing", "boxing"), ("repeats", "repeat"))
    }
    firsts = [[r.seconds for r in review.readings if r.finished and r.kind == "first"] for review in read]
    firsts = [readings for readings in firsts if readings]
    timed = [sum(readings) / 60 for readings in firsts if all(readings)]
    reading = sum(timed) / len(timed) if timed else None
    taken = READING_MINUTES if reading is None else reading
    read_in = sum(timed) + taken * (len(firsts) - len(timed))
    low, high = wilson(missed, len(read)) if read else (None, None)
    return {
        "studies_read": len(read),
        "sent_to_boxing": missed,
        "m": {"value": share, "low": low, "high": high},
        "reading_minutes": reading,
        "manual_minutes": rules.manual_minutes,
        "minutes_per_study": None if share is None else taken + rules.manual_minutes * share,
        "spent": spent,
        "minutes_spent": sum(spent.values()),
        "minutes_saved": rules.manual_minutes * (len(read) - missed) - read_in - spent["repeats"],
    }


def clicks(readings: Iterable[Reading]) -> dict[str, Any]:
    """Return how long a decision takes: in all, by device and by day (UTC)."""
    timed = [(event, look) for one in readings for event in one.decisions if (look := _look(event)) is not None]
    devices: dict[str, list[float]] = defaultdict(list)
    days: dict[str, list[float]] = defaultdict(list)
    for event, look in timed:
        devices[event.device or "unknown"].append(look)
        days[datetime.fromtimestamp(event.at, UTC).date().isoformat()].append(look)
    return {
        **_times([look for _, look in timed]),
        "by_device": {device: _times(looks) for device, looks in sorted(devices.items())},
        "by_day": [{"day": day, **_times(looks)} for day, looks in sorted(days.items())],
    }


def readers(reviews: Sequence[Review], *, only: str | None = None) -> list[dict[str, Any]]:
    """Return what each reader has done and how steady they are; of one of them, where only that one may be told."""
    found = []
    for reader, readings in by_reader(reviews).items():
        if only is None or reader == only:
            finished = [one for one in readings if one.finished]
            found.append(
                {
                    "reader": reader,
                    "studies": len({one.study for one in finished}),
                    "minutes": sum(one.seconds for one in finished) / 60,
                    **_times([look for one in readings for e in one.decisions if (look := _look(e)) is not None]),
                    "drift": _drift(drift(reader, reviews)),
                }
            )
    return found


def agreed(reviews: Iterable[Review], *, names: bool) -> dict[str, Any]:
    """Return the agreement of readers; without names, no reader can be told from it."""
    return told_of(agreement(reviews), names=names)


def told_of(found: Agreement, *, names: bool) -> dict[str, Any]:
    """Return an agreement of readers; without names, no reader can be told from it."""
    pairs = [
        {"readers": list(pair), "kappa": kappa, "candidates": count} for pair, (kappa, count) in found.cohen.items()
    ]
    return {
        "candidates": found.candidates,
        "raw": found.raw,
        "fleiss": found.fleiss,
        "gwet": found.gwet,
        "cohen": pairs if names else [],
    }


def curve(versions: Iterable[Version], snapshots: Iterable[Snapshot]) -> list[dict[str, Any]]:
    """Return each version of the detector against the minutes that had been reviewed when it was trained.

    A measure is a value with a 95 % interval: the bootstrap over patients that its card holds (``froc_low`` and
    ``froc_high``, for example), else Wilson's where it is a share of the cases.
    """
    known = {snapshot.sha256: snapshot for snapshot in snapshots}
    found = []
    for version in versions:
        trained = known.get(str(version.card.data.get("snapshot", "")))
        metrics = version.metrics
        found.append(
            {
                "version": version.version,
                "created": version.created,
                "state": version.state,
                "snapshot": trained.sha256 if trained else None,
                "minutes": trained.summary["minutes"] if trained else 0.0,
                "clicks": trained.summary["clicks"] if trained else 0,
                "cases": metrics.get("cases"),
                **{measure: _measure(measure, metrics) for measure in MEASURES},
            }
        )
    return found


def negatives(reviews: Iterable[Review], rules: Rules, document: dict[str, Any] | None) -> dict[str, Any]:
    """Return the ledger of hard negatives against the training set of a snapshot."""
    rows = ledger(reviews, rules, used=negatives_in(document) if document else set())
    fates = Counter(row.fate for row in rows)
    fates_used = Counter(row.fate for row in rows if row.used)
    firing = sorted((row for row in rows if row.fate == "fires"), key=lambda row: -(row.score_now or 0))
    return {
        "mined": len(rows),
        "used": sum(row.used for row in rows),
        "still_fires": fates["fires"],
        "silent": fates["silent"],
        "untried": fates["untried"],
        "used_still_fires": fates_used["fires"],
        "used_silent": fates_used["silent"],
        "firing": [
            {"study": row.study, "candidate": row.candidate, "score": row.score, "score_now": row.score_now}
            for row in firing[:50]
        ],
    }


def outlook(reviews: Sequence[Review], rules: Rules) -> dict[str, Any]:
    """Return what the studies that wait are expected to take, from calibrated scores."""
    waiting = [review for review in reviews if study_state(review, rules) == "waiting"]
    calibrations = {h: calibrate(reviews, h) for h in {review.latest.model_hash for review in waiting}}
    chances = [
        chance_of_a_hit([c.score for c in review.study.candidates], calibrations[review.latest.model_hash])
        for review in waiting
    ]
    return {
        "studies": len(waiting),
        "minutes": sum(expected_minutes(chance, rules=rules) for chance in chances),
        "straight_to_boxing": sum(chance < rules.straight_to_boxing for chance in chances),
        "calibrated_on": max((one.clicks for one in calibrations.values()), default=0),
    }


def wilson(successes: int, n: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (1927, equation 3)."""
    share = successes / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _measure(name: str, metrics: Mapping[str, float]) -> dict[str, float | None]:
    value, cases = metrics.get(name), metrics.get("cases")
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    if value is not None and low is None and cases and name.startswith("p1td"):
        low, high = wilson(round(value * cases), int(cases))
    return {"value": value, "low": low, "high": high}


def _look(event: Event) -> float | None:
    look = None if event.tag else event.seconds
    return None if look is None else min(look, _LONGEST_LOOK_S)


def _times(looks: Sequence[float]) -> dict[str, Any]:
    return {
        "clicks": len(looks),
        "median_s": median(looks) if looks else None,
        "p90_s": float(np.percentile(looks, 90)) if looks else None,
    }


def _drift(found: Drift) -> dict[str, Any]:
    return dict(vars(found))
