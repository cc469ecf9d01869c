"""Series that hold several stacks: some scanners and archives put all contrast phases into one.

Of HCC-TACE-Seg, many series are such ("LIVER 3 PHASE"): every place in the patient has a slice per phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

from hepatic.io.dicom import DicomHeader
from hepatic.io.dicom_element import numbers, text
from hepatic.io.dicom_grid import orientation

_SAME_PLACE_MM = 1e-3


@dataclass(frozen=True)
class Slice:
    """What has to be known of one file to sort it.

    Attributes:
        path: the file.
        instance_uid: SOPInstanceUID.
        place_mm: along the normal of the slice; None where the file does not say.
        acquisition: AcquisitionNumber.
        temporal: TemporalPositionIdentifier.
        number: InstanceNumber.
    """

    path: Path
    instance_uid: str
    place_mm: float | None
    acquisition: str
    temporal: str
    number: int

    @classmethod
    def of(cls, header: DicomHeader) -> Slice:
        """Read what is needed from a header."""
        dataset = header.dataset
        axes, place = orientation(dataset), numbers(dataset, "ImagePositionPatient", 3)
        instance = numbers(dataset, "InstanceNumber", 1)
        return cls(
            header.path,
            text(dataset, "SOPInstanceUID") or "",
            None if axes is None or place is None else float(axes[:, 2] @ place),
            text(dataset, "AcquisitionNumber") or "",
            text(dataset, "TemporalPositionIdentifier") or "",
            int(instance[0]) if instance else 0,
        )


def stacks(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Return the stacks of a series, each with one slice in every place; the series as it is where it has one only.

    They are told apart by AcquisitionNumber, or by TemporalPositionIdentifier, or by where InstanceNumber comes back to
    a place it was in. A series that cannot be told apart so is one stack, which its reader refuses with the reason.
    """
    if _is_one(slices):
        return [list(slices)]
    for key in (attrgetter("acquisition"), attrgetter("temporal")):
        parts: dict[str, list[Slice]] = {}
        for one in slices:
            parts.setdefault(key(one), []).append(one)
        if len(parts) > 1 and all(_is_one(part) for part in parts.values()):
            return [parts[name] for name in sorted(parts, key=lambda name: (len(name), name))]
    runs = _runs(slices)
    longest = max(len(run) for run in runs)
    return runs if longest > 1 and all(len(run) == longest for run in runs) else [list(slices)]


def _is_one(slices: Sequence[Slice]) -> bool:
    places = sorted(one.place_mm for one in slices if one.place_mm is not None)
    return len(places) < len(slices) or all(b - a > _SAME_PLACE_MM for a, b in pairwise(places))


def _runs(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Cut the slices, in the order of InstanceNumber, wherever a place comes again."""
    runs: list[list[Slice]] = []
    seen: set[int] = set()
    for one in sorted(slices, key=lambda one: one.number):
        place = round((one.place_mm or 0.0) / (10 * _SAME_PLACE_MM))
        if not runs or place in seen:
            runs.append([])
            seen = set()
        runs[-1].append(one)
        seen.add(place)
    return runs
