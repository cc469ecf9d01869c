"""Labels and boxes as a DICOM segmentation object that refers to the images they were made on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from hepatic import __version__
from hepatic.boxes import Boxes, voxels_inside
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.dicom import DicomHeader
from hepatic.io.dicom_element import items, numbers, text
from hepatic.io.dicom_seg_cine import cine_segmentation
from hepatic.io.dicom_segment import LONG_STRING, Algorithm, Segment
from hepatic.io.dicom_series import sorted_series
from hepatic.io.header import dicom_headers
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap
from hepatic.io.markups import ROI
from hepatic.io.read import read

logging.getLogger("highdicom").setLevel(logging.WARNING)  # it tells the log every image it refers to

_MAKER = "hepatic"
_SERIES_NUMBER = 300
_PATIENT_POSITION = "ImagePositionPatient"
_REFERRED_TO = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")


def dicom_source(source: Path) -> list[DicomHeader]:
    """Return the headers of an image's DICOM files, in the order of its slices.

    Args:
        source: a file, or a folder with the slices of one series.

    Raises:
        BadInputError: the image is not DICOM or has no UIDs, or its slices form no regular grid.
    """
    headers = dicom_headers(source)
    if isinstance(headers, Path):
        raise _refused("a DICOM image, which a DICOM segmentation refers to", "another format")
    lacking = sorted({keyword for keyword in _REFERRED_TO for h in headers if not text(h.dataset, keyword)})
    if lacking:
        raise _refused("a DICOM image with the UIDs a segmentation refers to", "none of " + ", ".join(lacking))
    return headers if len(headers) == 1 else sorted_series(headers)[0]


def write_dicom_seg(
    path: Path, labels: Path, source: Path, *, names: Mapping[str, int], algorithm: Algorithm
) -> dict[str, int]:
    """Write labels as a binary DICOM segmentation; frames without any are left out.

    Args:
        path: the file to write.
        labels: a labelmap file on the image's grid, or a crop of it.
        source: the image: a DICOM file, or the folder with the slices of one series.
        names: label value by name; what the labelmap file itself says goes first, a value nobody names is called by its
            number.
        algorithm: what made the labels.

    Returns:
        Segment number by name.

    Raises:
        BadInputError: the source is not DICOM, or the labels are none or not on it.
    """
    headers = dicom_source(source)
    labelmap = read_labelmap(labels, like=_grid(headers, source))
    numbered, named = _numbered(labelmap, names)
    descriptions = [Segment(name=name, algorithm=algorithm).described(number) for name, number in named.items()]
    datasets = [with_patient_and_study(header.dataset) for header in headers]
    about = _about(algorithm.name, f"Segmentation by {algorithm.name}")
    if _is_placed(datasets[0]):
        written = _placed(datasets, numbered, descriptions, about)
    else:
        written = cine_segmentation(datasets[0], numbered, descriptions, about)
    written.save_as(path, enforce_file_format=True)
    return named


def boxes_seg(
    datasets: Sequence[Dataset],
    grid: Grid,
    boxes: Boxes,
    segments: Sequence[Segment],
    *,
    model: str = _MAKER,
    description: str = "",
) -> Dataset:
    """Return filled boxes as a binary DICOM segmentation, one segment each; they may overlap.

    Args:
        datasets: headers of the slices of a series, in the order of the grid's, or of one file with all of them.
        grid: of these slices; a voxel belongs to a box if its centre lies in it, one at least.
        boxes: (N, 6), LPS millimetres.
        segments: one for each box, or one alone where there is no box: an object without a segment is none.
        model: what made them, as the name of a device.
        description: of the series.

    Raises:
        BadInputError: the images have no place in the patient.
    """
    if not _is_placed(datasets[0]):
        raise _refused("images that say where in the patient they lie, as boxes do", "none of that")
    spans = [voxels_inside(box, grid) for box in boxes]
    slices = sorted({k for span in spans if span for k in range(span[0].start, span[0].stop)}) or [0]
    if len(datasets) == 1:  # a file with all slices
        slices = list(range(grid.shape[0]))
    masks = np.zeros((len(slices), *grid.shape[1:], len(segments)), np.uint8)
    for number, span in enumerate(spans):
        if span:
            first = slices.index(span[0].start)
            masks[first : first + span[0].stop - span[0].start, span[1], span[2], number] = 1
    shown = datasets if len(datasets) == 1 else [datasets[k] for k in slices]
    described = [segment.described(number) for number, segment in enumerate(segments, 1)]
    about = _about(model, description or f"Boxes by {model}")
    return _placed([with_patient_and_study(one) for one in shown], masks, described, about)


def write_rois_seg(path: Path, rois: Sequence[ROI], source: Path, *, label: str, algorithm: Algorithm) -> None:
    """Write boxes that a detector found as a DICOM segmentation, a segment each; see ``boxes_seg``.

    Args:
        path: the file to write.
        rois: the boxes; ``about`` may have ``candidate``, the tracking UID, and ``class``, the structure.
        source: the image: a DICOM file, or the folder with the slices of one series.
        label: name of the one empty segment where there is no box.
        algorithm: what found them.

    Raises:
        BadInputError: the source is not DICOM or has no place in the patient.
    """
    headers = dicom_source(source)
    boxes = np.array([roi.box for roi in rois], np.float64).reshape(-1, 6)
    segments = [_of_roi(roi, number, algorithm) for number, roi in enumerate(rois, 1)]
    none = [Segment(name=label, algorithm=algorithm)]
    datasets = [header.dataset for header in headers]
    made = boxes_seg(datasets, _grid(headers, source), boxes, segments or none, model=algorithm.name)
    made.save_as(path, enforce_file_format=True)


def _of_roi(roi: ROI, number: int, algorithm: Algorithm) -> Segment:
    uid = UID(str(roi.about.get("candidate") or ""))
    return Segment(
        name=roi.label or f"Box {number}",
        meaning=str(roi.about.get("class") or ""),
        algorithm=algorithm,
        tracking_uid=str(uid) if uid.is_valid else "",
        tracking_id=f"Lesion {uid}" if uid.is_valid else "",
    )


def with_patient_and_study(dataset: Dataset) -> Dataset:
    """Return a copy with what highdicom asks for even where DICOM leaves it open."""
    copy = Dataset()
    copy.update(dataset)
    copy.file_meta = dataset.file_meta
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        if keyword not in copy:
            setattr(copy, keyword, "")
    for keyword in ("StudyDate", "StudyTime", "ReferringPhysicianName"):
        if keyword not in copy:
            setattr(copy, keyword, "")
    return copy


def _refused(expected: str, came: str) -> BadInputError:
    fix = "Ask with output=image for the labels as NRRD or NIfTI."
    return BadInputError("the image", expected=expected, came=came, fix=fix)


def _grid(headers: Sequence[DicomHeader], source: Path) -> Grid:
    return sorted_series(headers)[1] if len(headers) > 1 else read(source).grid


def _is_placed(dataset: Dataset) -> bool:
    """Whether the image says where in the patient it lies."""
    if "FrameOfReferenceUID" not in dataset:
        return False
    groups = (*items(dataset, "SharedFunctionalGroupsSequence"), *items(dataset, "PerFrameFunctionalGroupsSequence"))
    return numbers(dataset, _PATIENT_POSITION, 3) is not None or any(
        items(group, "PlanePositionSequence") for group in groups
    )


def _numbered(labelmap: Labelmap, names: Mapping[str, int]) -> tuple[NDArray[np.uint16], dict[str, int]]:
    """Return labels with the values 1 to n, and these by name, as a segmentation numbers its segments."""
    known = {**{value: name for name, value in names.items()}, **{v: n for n, v in labelmap.names.items()}}
    found = set(np.unique(labelmap.array).tolist()) - {0}
    values = sorted(found | {value for value in known if value > 0})
    if not values:
        raise BadInputError(
            "the result",
            expected="at least one label",
            came="none, and the model names none",
            fix="Ask with output=image.",
        )
    table = np.zeros(max(values) + 1, np.uint16)
    table[values] = np.arange(1, len(values) + 1)
    named: dict[str, int] = {}
    for number, value in enumerate(values, 1):
        name = str(known.get(value, f"Segment {value}"))[:LONG_STRING] or f"Segment {value}"
        named[name if name not in named else f"{name[: LONG_STRING - 6]} {value}"] = number
    return table[labelmap.array], named


def _about(model: str, description: str) -> dict[str, Any]:
    return {
        "series_instance_uid": hd.UID(),
        "series_number": _SERIES_NUMBER,
        "sop_instance_uid": hd.UID(),
        "instance_number": 1,
        "manufacturer": _MAKER,
        "manufacturer_model_name": model[:LONG_STRING],
        "software_versions": __version__,
        "device_serial_number": "0",
        "series_description": description[:LONG_STRING],
    }


def _placed(
    datasets: Sequence[Dataset],
    labels: NDArray[np.uint16] | NDArray[np.uint8],
    descriptions: Sequence[hd.seg.SegmentDescription],
    about: dict[str, Any],
) -> Dataset:
    """Return a segmentation of images that have a place in the patient.

    Args:
        datasets: the images.
        labels: (k, j, i), segment numbers; or (k, j, i, segments), 0 and 1.
        descriptions: of the segments.
        about: as ``_about`` returns it.
    """
    made: Dataset = Segmentation(
        source_images=datasets,
        pixel_array=labels,
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        content_label="SEGMENTATION",
        **about,
    )
    return made
