"""Read a DICOM segmentation object as a labelmap on the grid of its series."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.dicom_element import items, text, whole
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.image import Labelmap
from hepatic.io.lattice import onto_grid
from hepatic.io.refusal import refusing
from hepatic.io.size import check_size
from hepatic.labels import plain_name, structure, structure_of_type

EXPECTED = "a DICOM segmentation"
_ELEMENTS = (
    "SOPClassUID", "SOPInstanceUID", "SegmentSequence", "ReferencedSeriesSequence", "PatientID", "SeriesInstanceUID",
    "ContentCreatorName", "Rows", "Columns", "NumberOfFrames", "FrameOfReferenceUID",
)  # fmt: skip


@dataclass(frozen=True)
class SegHeader:
    """A segmentation without its pixels.

    Attributes:
        series_uid: of the images it was made on; empty where it does not say.
        segments: name by segment number, as the file has them; several may have one name.
        instance_uids: of the images it was made on; empty where it names the series only.
        sop_uid: its own.
        automatic: numbers of the segments that an algorithm made and nobody judged.
        types: the structure that a segment's type means, by the segment's name in lower case, where it is known.
        algorithm: name and version of what made the first segment that names one; None where none does.
        creator: who made it; empty where it does not say.
        is_placed: whether it says where in the patient it lies; else its frames name those of a file.
    """

    series_uid: str
    segments: Mapping[int, str]
    instance_uids: frozenset[str] = frozenset()
    sop_uid: str = ""
    automatic: frozenset[int] = frozenset()
    types: Mapping[str, str] = field(default_factory=dict)
    algorithm: Algorithm | None = None
    creator: str = ""
    is_placed: bool = True


def read_seg_header(path: Path) -> SegHeader | None:
    """Return what a segmentation says of itself; None for a file that is none."""
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_ELEMENTS))
    except (pydicom.errors.InvalidDicomError, OSError):
        return None
    if dataset.get("SOPClassUID") != SegmentationStorage:
        return None
    with refusing(path, expected=EXPECTED):
        size = [int(dataset.get(keyword) or 1) for keyword in ("Columns", "Rows", "NumberOfFrames")]
        check_size(path.name, size, max_pixels=None)
        described = {int(segment.SegmentNumber): segment for segment in dataset.SegmentSequence}
        series = (dataset.get("ReferencedSeriesSequence") or [Dataset()])[0]
        uids = (text(one, "ReferencedSOPInstanceUID") or "" for one in items(series, "ReferencedInstanceSequence"))
        types = {plain_name(_name(segment)): _type(segment) for segment in described.values()}
        return SegHeader(
            text(series, "SeriesInstanceUID") or "",
            {number: _name(segment) for number, segment in described.items()},
            frozenset(uids),
            sop_uid=text(dataset, "SOPInstanceUID") or "",
            automatic=frozenset(
                number for number, one in described.items() if text(one, "SegmentAlgorithmType") == "AUTOMATIC"
            ),
            types={name: meant for name, meant in types.items() if meant},
            algorithm=next(filter(None, map(_algorithm, described.values())), None),
            creator=(text(dataset, "ContentCreatorName") or "").replace("^", " ").strip(),
            is_placed="FrameOfReferenceUID" in dataset,
        )


def read_dicom_seg(
    path: Path,
    *,
    like: Grid,
    meaning: Mapping[str, str] | None = None,
    only: Collection[int] | None = None,
    exactly: bool = False,
) -> Labelmap:
    """Read a segmentation onto the grid of the images it was made on; one without a place in the patient by its frames.

    Args:
        path: the file.
        like: the grid of those images.
        meaning: the structure a segment's name means, in plain spelling (``plain_name``), beside those hepatic knows.
        only: numbers of the segments to read; all by default.
        exactly: refuse one that does not lie on the pixels of the images.

    Returns:
        One value per structure, those that enclose others first (liver before tumour), so that a voxel of several
        segments has the innermost one. Segments that mean one structure share its value.

    Raises:
        BadInputError: it cannot be read, has no segments, lies elsewhere, or has no place and is of several files.
    """
    chosen = _chosen(path, meaning or {}, only)
    if not chosen.header.is_placed:
        return _by_frame(path, chosen, like, _only_file(path, chosen.header))
    array = np.zeros(like.shape, chosen.dtype)
    with refusing(path, expected=EXPECTED):
        segmentation = hd.seg.segread(path)
        for number, value in chosen.numbers:
            volume = segmentation.get_volume(
                segment_numbers=[number], combine_segments=True, relabel=True, skip_overlap_checks=True
            )
            affine = volume.affine[:, [2, 1, 0, 3]]  # from (k, j, i) to (i, j, k)
            mask = (np.asarray(volume.array) > 0).astype(np.uint8)
            grid = Grid((mask.shape[2], mask.shape[1], mask.shape[0]), np.asarray(affine, np.float64))
            array[onto_grid(mask, grid, like, name=path.name, exactly=exactly) > 0] = value
    return Labelmap(array, like, chosen.values)


def read_cine_seg(
    path: Path, *, source: DicomSource, meaning: Mapping[str, str] | None = None, only: Collection[int] | None = None
) -> Labelmap:
    """Read a segmentation of a file whose frames have no place in the patient, frame by frame.

    Args:
        path: the file.
        source: the file it was made on.
        meaning: as ``read_dicom_seg`` takes it.
        only: likewise.

    Raises:
        BadInputError: it cannot be read, has no segments, or its frames are of another size or of none of the file's.
    """
    uid = str(source.datasets[0].SOPInstanceUID)
    return _by_frame(path, _chosen(path, meaning or {}, only), source.grid, uid)


def _by_frame(path: Path, chosen: _Chosen, like: Grid, uid: str) -> Labelmap:
    """Read a segmentation of the frames of the file with a SOPInstanceUID."""
    columns, rows, count = like.size
    array = np.zeros(like.shape, chosen.dtype)
    with refusing(path, expected=EXPECTED):
        segmentation = hd.seg.segread(path)
        if (segmentation.Rows, segmentation.Columns) != (rows, columns):
            raise BadInputError(
                path.name,
                expected=f"frames of {columns} x {rows} pixels, as its image has",
                came=f"{segmentation.Columns} x {segmentation.Rows}",
                fix="Make it on the image again.",
            )
        frames = _frames(segmentation, uid, count)
        if not frames:
            raise _no_frame(path)
        top = int(segmentation.get("MaximumFractionalValue") or 1)
        for number, value in chosen.numbers:
            for index, of, k in frames:
                if of != number:
                    continue
                if k is None:
                    raise _no_frame(path)
                stored = segmentation.get_stored_frame(index, as_index=True)
                if not np.isin(stored, (0, top)).all():
                    raise BadInputError(path.name, expected="each pixel in or out", came="fractions", fix="Round them.")
                array[k][stored > 0] = value
    return Labelmap(array, like, chosen.values)


def _only_file(path: Path, header: SegHeader) -> str:
    if len(header.instance_uids) != 1:
        raise BadInputError(
            path.name,
            expected="a segmentation that says where in the patient it lies, or is of one file",
            came=f"one without a place, of {len(header.instance_uids)} files",
            fix="Make one for each image.",
        )
    return next(iter(header.instance_uids))


def _frames(segmentation: Dataset, uid: str, count: int) -> list[tuple[int, int, int | None]]:
    """Return which frames of a segmentation are about a file; those that are about others are passed over.

    Args:
        segmentation: the object.
        uid: SOPInstanceUID of the file.
        count: how many frames the file has.

    Returns:
        Index of each, its segment, and the index of the frame it was made on: None where it says none that there is.
    """
    found: list[tuple[int, int, int | None]] = []
    shared = next(iter(items(segmentation, "SharedFunctionalGroupsSequence")), Dataset())
    for index, group in enumerate(items(segmentation, "PerFrameFunctionalGroupsSequence")):
        named = _of_frame(group, shared, "SegmentIdentificationSequence")
        number = next((whole(one, "ReferencedSegmentNumber") for one in named), None) or 0
        derived = _of_frame(group, shared, "DerivationImageSequence")
        sources = [one for several in derived for one in items(several, "SourceImageSequence")]
        mine = [one for one in sources if text(one, "ReferencedSOPInstanceUID") == uid]
        frame = (whole(mine[0], "ReferencedFrameNumber") or (1 if count == 1 else 0)) if len(mine) == 1 else 0
        if mine or not sources:
            found.append((index, number, frame - 1 if 1 <= frame <= count else None))
    return found


def _of_frame(group: Dataset, shared: Dataset, keyword: str) -> tuple[Dataset, ...]:
    return items(group, keyword) or items(shared, keyword)


def _no_frame(path: Path) -> BadInputError:
    return BadInputError(
        path.name,
        expected="frames that each name one frame of the image",
        came="one that names none that the image has, or none of this image",
        fix="Make it on the image again.",
    )


@dataclass(frozen=True)
class _Chosen:
    """What is read: value by structure; segment numbers with their values, the outermost first."""

    header: SegHeader
    values: Mapping[str, int]
    numbers: tuple[tuple[int, int], ...]

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        return np.uint8 if len(self.values) < 256 else np.uint16


def _chosen(path: Path, meaning: Mapping[str, str], only: Collection[int] | None) -> _Chosen:
    header = read_seg_header(path)
    named = {n: name for n, name in header.segments.items() if only is None or n in only} if header else {}
    if header is None or not named:
        raise BadInputError(path.name, expected=EXPECTED, came="another file, or no segments", fix="Check the file.")
    meant = {number: _meant(name, meaning) for number, name in named.items()}
    values = {name: value for value, name in enumerate(sorted(set(meant.values()), key=_outermost_first), 1)}
    numbers = sorted(((number, values[name]) for number, name in meant.items()), key=lambda one: one[1])
    return _Chosen(header, values, tuple(numbers))


def _name(segment: Dataset) -> str:
    return str(segment.get("SegmentLabel") or f"Segment {segment.SegmentNumber}")


def _type(segment: Dataset) -> str:
    """Return the structure that a segment's type means; empty where it is none that hepatic knows."""
    code = next(iter(items(segment, "SegmentedPropertyTypeCodeSequence")), Dataset())
    meant = structure_of_type(text(code, "CodeValue") or "")
    return meant.name if meant else ""


def _algorithm(segment: Dataset) -> Algorithm | None:
    named = next(iter(items(segment, "SegmentationAlgorithmIdentificationSequence")), Dataset())
    name = text(named, "AlgorithmName") or text(segment, "SegmentAlgorithmName")
    return Algorithm(name, text(named, "AlgorithmVersion") or "") if name else None


def _meant(name: str, words: Mapping[str, str]) -> str:
    known = structure(words.get(plain_name(name), name))
    return known.name if known else name


def _outermost_first(name: str) -> tuple[int, str]:
    inner = ("tumour", "lesion", "metastasis", "haemangioma", "cyst", "necrosis")
    return (0 if name == "liver" else 2 if name in inner else 1), name
