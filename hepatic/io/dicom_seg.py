"""Labels and boxes as a DICOM segmentation object that refers to the images they were made on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from hepatic import __version__
from hepatic.boxes import Boxes, voxels_inside
from hepatic.errors import BadInputError
from hepatic.io.dicom_instance import MAKER, Instance, uid_of
from hepatic.io.dicom_seg_cine import cine_segmentation
from hepatic.io.dicom_segment import LONG_STRING, Algorithm, Segment
from hepatic.io.dicom_source import DicomSource, person_name, refused
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap
from hepatic.io.markups import ROI

logging.getLogger("highdicom").setLevel(logging.WARNING)  # it tells the log every image it refers to

_SERIES_NUMBER = 300
_VERSION = "VERSION_{}"


def labels_seg(
    labels: Labelmap,
    source: DicomSource,
    *,
    names: Mapping[str, int],
    algorithm: Algorithm | None,
    judged: bool = False,
    by: str = "",
    instance: Instance | None = None,
) -> Dataset:
    """Return labels as a binary DICOM segmentation; frames without any are left out.

    Args:
        labels: on the image's grid.
        source: the image.
        names: label value by name; what the labelmap itself says goes first, a value nobody names is called by its
            number.
        algorithm: what made the labels; None for what somebody drew by hand.
        judged: whether somebody looked at what the algorithm found, and could correct it.
        by: who drew or judged them; empty where nobody did.
        instance: which one of which series it is; a new one by default.

    Raises:
        BadInputError: there are no labels, or the image's slices do not say where in the patient they lie.
    """
    if not source.is_placed and len(source.datasets) > 1:  # the frames of one file are told apart by their numbers
        raise refused("slices that say where in the patient they lie", "no FrameOfReferenceUID or place in them")
    numbered, named = _numbered(labels, names)
    made_by = algorithm.name if algorithm else MAKER
    said = "by hand" if algorithm is None else f"by {algorithm.name}{', corrected' if judged else ''}"
    about = _about(made_by, f"Segmentation {said}", instance or Instance.new())
    segments = [
        Segment(
            name=name,
            algorithm=algorithm,
            judged=judged,
            tracking_uid=uid_of(about["series_instance_uid"], name),
            about=f"{'Drawn' if algorithm is None else 'Corrected'} by {by}" if by else "",
        ).described(number)
        for name, number in named.items()
    ]
    if source.is_placed:
        made = _placed(source.datasets, numbered, segments, about)
    else:
        made = cine_segmentation(source.datasets[0], numbered, segments, about)
    _say_version(made, instance)
    if by:
        say_creators(made, [by])
    return made


def write_dicom_seg(path: Path, labels: Path, source: Path, *, names: Mapping[str, int], algorithm: Algorithm) -> None:
    """Write labels that a model made, on the image's grid or a crop of it, as a segmentation; see ``labels_seg``."""
    image = DicomSource.read(source)
    made = labels_seg(read_labelmap(labels, like=image.grid), image, names=names, algorithm=algorithm)
    made.save_as(path, enforce_file_format=True)


def boxes_seg(
    source: DicomSource,
    boxes: Boxes,
    segments: Sequence[Segment],
    *,
    model: str = MAKER,
    description: str = "",
    instance: Instance | None = None,
) -> Dataset:
    """Return filled boxes as a binary DICOM segmentation, one segment each; they may overlap.

    Args:
        source: the images; a voxel belongs to a box if its centre lies in it, one at least.
        boxes: (N, 6), LPS millimetres.
        segments: one for each box, or one alone where there is no box: an object without a segment is none.
        model: what made them, as the name of a device.
        description: of the series.
        instance: which one of which series it is; a new one by default.

    Raises:
        BadInputError: the images have no place in the patient.
    """
    if not source.is_placed:
        raise refused("images that say where in the patient they lie, as boxes do", "none of that")
    datasets, grid = source.datasets, source.grid
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
    made = _placed(
        shown, masks, described, _about(model, description or f"Boxes by {model}", instance or Instance.new())
    )
    _say_version(made, instance)
    return made


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
    boxes = np.array([roi.box for roi in rois], np.float64).reshape(-1, 6)
    segments = [_of_roi(roi, number, algorithm) for number, roi in enumerate(rois, 1)]
    none = [Segment(name=label, algorithm=algorithm)]
    made = boxes_seg(DicomSource.read(source), boxes, segments or none, model=algorithm.name)
    made.save_as(path, enforce_file_format=True)


def say_creators(made: Dataset, people: Sequence[str]) -> None:
    """Name the people behind a segmentation, the one with the last word first."""
    made.ContentCreatorName = person_name(people[0])
    made.OperatorsName = [person_name(name) for name in people]


def _say_version(made: Dataset, instance: Instance | None) -> None:
    if instance is not None and instance.note:
        made.ContentLabel = _VERSION.format(instance.number)
        made.ContentDescription = instance.note[:LONG_STRING]


def _of_roi(roi: ROI, number: int, algorithm: Algorithm) -> Segment:
    uid = UID(str(roi.about.get("candidate") or ""))
    return Segment(
        name=roi.label or f"Box {number}",
        meaning=str(roi.about.get("class") or ""),
        algorithm=algorithm,
        tracking_uid=str(uid) if uid.is_valid else "",
        tracking_id=f"Lesion {uid}" if uid.is_valid else "",
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
    table = np.zeros(max(found, default=0) + 1, np.uint16)
    named: dict[str, int] = {}
    for number, value in enumerate(values, 1):
        if value in found:
            table[value] = number
        name = str(known.get(value, f"Segment {value}"))[:LONG_STRING] or f"Segment {value}"
        named[name if name not in named else f"{name[: LONG_STRING - 6]} {value}"] = number
    return table[labelmap.array], named


def _about(model: str, description: str, instance: Instance) -> dict[str, Any]:
    return {
        "series_instance_uid": instance.series_uid,
        "series_number": _SERIES_NUMBER,
        "sop_instance_uid": instance.sop_uid,
        "instance_number": instance.number,
        "manufacturer": MAKER,
        "manufacturer_model_name": model[:LONG_STRING],
        "software_versions": __version__,
        "device_serial_number": "0",
        "series_description": description[:LONG_STRING],
    }


def _placed(
    datasets: Sequence[Dataset],
    labels: NDArray[np.uint16] | NDArray[np.uint8],
    descriptions: Sequence[SegmentDescription],
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
