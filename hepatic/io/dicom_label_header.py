"""What a segmentation or a report is, and which images it is about, without reading what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pydicom

from hepatic.errors import BadInputError
from hepatic.io.dicom_element import text, whole
from hepatic.io.dicom_instance import MAKER
from hepatic.io.dicom_report_read import read_report_header
from hepatic.io.dicom_seg_read import read_seg_header
from hepatic.io.refusal import refusing

EXPECTED = "a segmentation or a report of images"
_OWN = ("SOPInstanceUID", "SeriesInstanceUID", "ContentDate", "ContentTime", "InstanceNumber", "Manufacturer")


class OtherObjectError(BadInputError):
    """It is neither a segmentation nor a report, or is about no image."""


@dataclass(frozen=True)
class LabelHeader:
    """What an object is and refers to.

    Attributes:
        sop_uid, series_uid: its own.
        made: orders the objects of a series: the later, or of one moment the one with the higher number, is greater.
        images: SOPInstanceUIDs by SeriesInstanceUID; none of them where it names a series only.
        is_own: whether hepatic wrote it, whose objects of one series and one image are versions of each other.
    """

    sop_uid: str
    series_uid: str
    made: str
    images: Mapping[str, frozenset[str]]
    is_own: bool = False


def read_label_header(path: Path) -> LabelHeader:
    """Read it from a file.

    Raises:
        OtherObjectError: it is neither a segmentation nor a report, or is about no image.
        BadInputError: it cannot be read.
    """
    images: Mapping[str, frozenset[str]] = {}
    if (seg := read_seg_header(path)) is not None:
        images = {seg.series_uid: seg.instance_uids}
    elif (report := read_report_header(path)) is not None:
        images = report.images
    images = {series: uids for series, uids in images.items() if series}
    if not images:
        raise OtherObjectError("the object", expected=EXPECTED, came="another", fix="Leave it where it is.")
    with refusing(path, expected=EXPECTED):
        own = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_OWN))
    sop_uid, series_uid, date, moment = (text(own, keyword) or "" for keyword in _OWN[:4])
    made = f"{date:8.8} {moment:13.13} {whole(own, 'InstanceNumber') or 0:012d} {sop_uid}"
    return LabelHeader(sop_uid, series_uid, made, images, is_own=text(own, "Manufacturer") == MAKER)
