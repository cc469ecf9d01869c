"""Read a DICOM segmentation object as a labelmap on the grid of its series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.uid import SegmentationStorage

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.image import Labelmap
from hepatic.io.lattice import onto_grid
from hepatic.io.refusal import refusing
from hepatic.labels import structure

EXPECTED = "a DICOM segmentation"
_ELEMENTS = ("SOPClassUID", "SegmentSequence", "ReferencedSeriesSequence", "PatientID", "SeriesInstanceUID")


@dataclass(frozen=True)
class SegHeader:
    """A segmentation without its pixels.

    Attributes:
        series_uid: of the images it was made on; empty where it does not say.
        segments: segment number by name, as the file has it.
        instance_uids: of the images it was made on; empty where it names the series only.
    """

    series_uid: str
    segments: Mapping[str, int]
    instance_uids: frozenset[str] = frozenset()


def read_seg_header(path: Path) -> SegHeader | None:
    """Return what a segmentation says of itself; None for a file that is none."""
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_ELEMENTS))
    except (pydicom.errors.InvalidDicomError, OSError):
        return None
    if dataset.get("SOPClassUID") != SegmentationStorage:
        return None
    with refusing(path, expected=EXPECTED):
        series = dataset.get("ReferencedSeriesSequence") or []
        segments = {
            str(segment.get("SegmentLabel") or f"Segment {segment.SegmentNumber}"): int(segment.SegmentNumber)
            for segment in dataset.SegmentSequence
        }
        if not series:
            return SegHeader("", segments)
        instances = series[0].get("ReferencedInstanceSequence") or []
        uids = frozenset(str(one.get("ReferencedSOPInstanceUID") or "") for one in instances)
        return SegHeader(str(series[0].SeriesInstanceUID), segments, uids)


def read_dicom_seg(path: Path, *, like: Grid, meaning: Mapping[str, str] | None = None) -> Labelmap:
    """Read a segmentation onto the grid of the images it was made on.

    Args:
        path: the file.
        like: the grid of those images.
        meaning: the structure a segment's name means, in lower case, beside those hepatic knows.

    Returns:
        One value per structure, those that enclose others first (liver before tumour), so that a voxel of several
        segments has the innermost one. Segments that mean one structure share its value.

    Raises:
        BadInputError: it cannot be read, has no segments, or lies elsewhere.
    """
    header = read_seg_header(path)
    if header is None or not header.segments:
        raise BadInputError(path.name, expected=EXPECTED, came="another file, or no segments", fix="Check the file.")
    words = meaning or {}
    names = {name: _meant(name, words) for name in header.segments}
    values = {name: value for value, name in enumerate(sorted(set(names.values()), key=_outermost_first), 1)}
    array = np.zeros(like.shape, np.uint8 if len(values) < 256 else np.uint16)
    with refusing(path, expected=EXPECTED):
        segmentation = hd.seg.segread(path)
        for name in sorted(header.segments, key=lambda one: values[names[one]]):
            volume = segmentation.get_volume(
                segment_numbers=[header.segments[name]], combine_segments=True, relabel=True, skip_overlap_checks=True
            )
            affine = volume.affine[:, [2, 1, 0, 3]]  # from (k, j, i) to (i, j, k)
            mask = (np.asarray(volume.array) > 0).astype(np.uint8)
            grid = Grid((mask.shape[2], mask.shape[1], mask.shape[0]), np.asarray(affine, np.float64))
            array[onto_grid(mask, grid, like, name=path.name) > 0] = values[names[name]]
    return Labelmap(array, like, values)


def _meant(name: str, words: Mapping[str, str]) -> str:
    plain = " ".join(name.lower().replace("_", " ").split())
    known = structure(words.get(plain, name))
    return known.name if known else name


def _outermost_first(name: str) -> tuple[int, str]:
    inner = ("tumour", "lesion", "metastasis", "haemangioma", "cyst", "necrosis")
    return (0 if name == "liver" else 2 if name in inner else 1), name
