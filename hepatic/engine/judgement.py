"""What a new model's card says of it, and why it is served or not."""

from __future__ import annotations

from hepatic.engine.weights import ModelVersion, Registry
from hepatic.errors import NotFoundError

FEWEST_PATIENTS = 9
"""Patients from whom on a comparison of two models says something: the fewest of whom one may disagree. Eight of nine
who do better by one model are more than chance (sign test, two-sided, p = .04); seven of eight (p = .07) are not."""


def card_notes(said: str, *, patients: int, parent: ModelVersion | None, registry: Registry, doubt: str = "") -> str:
    """Return what a new model's card says to people.

    Args:
        said: by the person who trains it.
        patients: who judged it.
        parent: version it was trained on from. Its notes are told as those of its card; where it was trained on from
            another one itself, those of the first of that line.
        registry: where the versions before it are.
        doubt: on what it was judged, where that tells too little (``hepatic.engine.class_counts``); else empty.
    """
    few = f"Judged on {_counted(patients)} only: too few to tell whether it is better than another model."
    told = f"Judged on {doubt}." if doubt else ""
    return " ".join(filter(None, (few * (patients < FEWEST_PATIENTS), told, said, _lineage(parent, registry))))


def reason(
    metric: str,
    new: float,
    old: float | None,
    *,
    images: int,
    patients: int,
    wanted: int,
    promoted: bool,
    doubt: str = "",
) -> str:
    """Return in a sentence why a new model is served, or is not.

    Args:
        metric: by which the two are compared.
        new: its value.
        old: that of the model served until now, on the same patients; None where there is none.
        images: that judged.
        patients: whose they are.
        wanted: patients without whom no model is replaced.
        promoted: whether the new one is served.
        doubt: on what the new one was judged, where that tells too little; else empty.
    """
    judged = f"on the frozen validation patients ({images} image{'' if images == 1 else 's'})"
    verdict = "kept as a candidate" if not promoted else "served" if old is not None else "first model"
    against = "" if old is None else f" against {old:.3f} of the model served until now,"
    told = f"{verdict}: {metric} {new:.3f}{against} {judged}"
    if doubt:
        return f"{told}; judged on {doubt}"
    if old is None:
        return told
    if patients < wanted:
        return f"{told}; judged on {_counted(patients)}, and HEPATIC_JUDGING_PATIENTS asks for {wanted}"
    if patients < FEWEST_PATIENTS:
        return f"{told}; judged on {_counted(patients)} only: too few to tell which of the two is better"
    return told


def _lineage(parent: ModelVersion | None, registry: Registry) -> str:
    if parent is None:
        return ""
    first = parent
    while first.parent:
        try:
            first = registry.version(first.task, first.parent)
        except NotFoundError:
            break
    told = f"Trained on from {parent.version}"
    if not first.card.notes:
        return f"{told}."
    line = "whose card says" if first is parent else f"which goes back to {first.version}, whose card says"
    return f'{told}, {line}: "{first.card.notes}"'


def _counted(patients: int) -> str:
    return f"{patients} patient{'' if patients == 1 else 's'}"
