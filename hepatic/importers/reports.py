"""What readers say of an image in the structured reports of a folder (TID 1500): its boxes and its classes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.uid import Comprehensive3DSRStorage

from hepatic.errors import BadInputError
from hepatic.io.dicom_label_header import LabelHeader, read_label_header
from hepatic.io.dicom_report_read import ReadReport, read_report, read_report_header
from hepatic.io.dicom_source import DicomSource


@dataclass(frozen=True)
class Report:
    """A report, not read yet.

    Attributes:
        path: its file.
        header: what it is about.
        in_space: whether its boxes may lie in space, not on pictures only.
        singles: SOPInstanceUIDs of images that are one by themselves, not a slice.
    """

    path: Path
    header: LabelHeader
    in_space: bool
    singles: frozenset[str]

    def is_about(self, series_uid: str, instance_uids: Collection[str]) -> bool:
        """Whether an image with these instances is one of those that it refers to."""
        return not self.header.images.get(series_uid, frozenset()).isdisjoint(instance_uids)


def find_report(path: Path) -> Report | None:
    """Return what a file is, if it is a report about images."""
    header = read_report_header(path)
    if header is None:
        return None
    with suppress(BadInputError):
        in_space = header.sop_class_uid == Comprehensive3DSRStorage
        return Report(path, read_label_header(path), in_space, header.singles)
    return None


def read_reports(reports: Sequence[Report], source: DicomSource) -> tuple[ReadReport | None, str]:
    """Return what readers say of an image, None where only algorithms say something; and why some were left out.

    One that cannot be read, or is a document of another kind, keeps no other out. Of versions of a report (those of one
    series) the last counts. Reports of the same boxes, in space and on pictures, are one.

    Args:
        reports: about it, perhaps.
        source: the image.

    Raises:
        BadInputError: two contradict each other.
    """
    said: list[tuple[Report, ReadReport]] = []
    left_out: list[str] = []
    for one in _last_versions(reports):
        try:
            told = read_report(one.path, source)
        except BadInputError as refused:
            left_out.append(str(refused))
            continue
        if told.by or told.algorithm is None:
            said.append((one, told))
    why = " ".join(left_out)
    boxed = [(one, told) for one, told in said if told.boxes or told.complete]
    classes: dict[str, str] = {}
    for _, told in said:
        if any(classes.get(note, name) != name for note, name in told.classes.items()):
            raise _contradictory(reports)
        classes |= told.classes
    if not boxed and not classes:
        return None, why
    findings = {frozenset(roi.about.get("candidate") or roi.box for roi in told.boxes) for _, told in boxed}
    places = {_places(told) for one, told in boxed if one.in_space}
    if max(len(findings), len(places)) > 1:
        raise _contradictory(reports)
    return replace((boxed or said)[0][1], classes=classes), why


def _places(told: ReadReport) -> frozenset[tuple[int, ...]]:
    """Return where its boxes lie, to a tenth of a millimetre."""
    return frozenset(tuple(round(10 * edge) for edge in roi.box) for roi in told.boxes)


def _last_versions(reports: Sequence[Report]) -> Iterator[Report]:
    """Yield the last report of each series, those in space first."""
    last = {one.header.series_uid: one for one in sorted(reports, key=lambda one: one.header.made)}
    yield from sorted(last.values(), key=lambda one: not one.in_space)


def _contradictory(reports: Sequence[Report]) -> BadInputError:
    return BadInputError(
        "several reports",
        expected="reports of an image that say the same",
        came=", ".join(one.path.name for one in reports[:5]),
        fix="Keep the one that counts.",
    )
