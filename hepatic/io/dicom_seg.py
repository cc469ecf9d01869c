"""Labels as a DICOM segmentation object that refers to the images they were made on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from highdicom.base import SOPClass
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage

from hepatic import __version__
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.dicom import DicomHeader
from hepatic.io.dicom_element import items, numbers, text
from hepatic.io.dicom_series import sorted_series
from hepatic.io.header import dicom_headers
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap
from hepatic.io.read import read
from hepatic.labels import UNKNOWN, Code, structure

_MAKER = "hepatic"
_SERIES_NUMBER = 300
_LONG_STRING = 64
_PATIENT_POSITION = "ImagePositionPatient"
_REFERRED_TO = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")


@dataclass(frozen=True)
class Algorithm:
    """What made the labels.

    Attributes:
        name: of the model.
        version: of the model.
    """

    name: str
    version: str


def dicom_source(source: Path) -> list[DicomHeader]:
    """Return the headers of an image's DICOM files, in the order of its slices.

    Args:
        source: a file, or a folder with the slices of one series.

    Raises:
        BadInputError: the image is not DICOM or has no UIDs, or its slices form no regular grid.
    """
    headers = dicom_headers(source)
    if isinstance(headers, Path):
        raise BadInputError(
            "the image",
            expected="a DICOM image, which a DICOM segmentation refers to",
            came="another format",
            fix="Ask with output=image for the labels as NRRD or NIfTI.",
        )
    lacking = sorted({keyword for keyword in _REFERRED_TO for h in headers if not text(h.dataset, keyword)})
    if lacking:
        raise BadInputError(
            "the image",
            expected="a DICOM image with the UIDs a segmentation refers to",
            came="none of " + ", ".join(lacking),
            fix="Ask with output=image for the labels as NRRD or NIfTI.",
        )
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
    descriptions = [_description(number, name, algorithm) for name, number in named.items()]
    datasets = [with_patient_and_study(header.dataset) for header in headers]
    if _is_placed(datasets[0]):
        written: Dataset = _of_volume(datasets, numbered, descriptions, algorithm)
    else:
        written = _of_cine(datasets[0], numbered, descriptions, algorithm)
    written.save_as(path, enforce_file_format=True)
    return named


def _grid(headers: Sequence[DicomHeader], source: Path) -> Grid:
    return sorted_series(headers)[1] if len(headers) > 1 else read(source).grid


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
        name = str(known.get(value, f"Segment {value}"))[:_LONG_STRING] or f"Segment {value}"
        named[name if name not in named else f"{name[: _LONG_STRING - 6]} {value}"] = number
    return table[labelmap.array], named


def _description(number: int, name: str, algorithm: Algorithm) -> SegmentDescription:
    meant = structure(name) or UNKNOWN
    return SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=_coded(meant.category),
        segmented_property_type=_coded(meant.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=algorithm.name[:_LONG_STRING],
            family=codes.DCM.ArtificialIntelligence,
            version=algorithm.version[:_LONG_STRING] or "unknown",
        ),
        tracking_uid=hd.UID(),
        tracking_id=name,
        display_color=hd.color.CIELabColor.from_rgb(*meant.rgb),
    )


def _coded(code: Code) -> hd.sr.CodedConcept:
    return hd.sr.CodedConcept(*code)


def _about(algorithm: Algorithm) -> dict[str, Any]:
    return {
        "series_instance_uid": hd.UID(),
        "series_number": _SERIES_NUMBER,
        "sop_instance_uid": hd.UID(),
        "instance_number": 1,
        "manufacturer": _MAKER,
        "manufacturer_model_name": algorithm.name[:_LONG_STRING],
        "software_versions": __version__,
        "device_serial_number": "0",
        "series_description": f"Segmentation by {algorithm.name}"[:_LONG_STRING],
    }


def _of_volume(
    datasets: Sequence[Dataset],
    labels: NDArray[np.uint16],
    descriptions: Sequence[SegmentDescription],
    algorithm: Algorithm,
) -> Segmentation:
    return Segmentation(
        source_images=datasets,
        pixel_array=labels,
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        content_label="SEGMENTATION",
        **_about(algorithm),
    )


def _of_cine(
    source: Dataset, labels: NDArray[np.uint16], descriptions: Sequence[SegmentDescription], algorithm: Algorithm
) -> Dataset:
    """A segmentation of a file that has frames and no place in the patient, which highdicom does not make."""
    made: Dataset = SOPClass(
        study_instance_uid=source.StudyInstanceUID,
        sop_class_uid=SegmentationStorage,
        modality="SEG",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **_about(algorithm),
    )
    made.copy_patient_and_study_information(source)
    frames = [
        (description.SegmentNumber, frame)
        for description in descriptions
        for frame in np.flatnonzero((labels == description.SegmentNumber).any(axis=(1, 2))).tolist()
    ] or [(1, 0)]  # an object without a frame is none
    dimensions = UID(hd.UID())
    made.ImageType = ["DERIVED", "PRIMARY"]
    made.InstanceNumber = 1
    made.PatientOrientation = ""
    made.ContentLabel, made.ContentDescription, made.ContentCreatorName = "SEGMENTATION", "", ""
    made.LossyImageCompression, made.BurnedInAnnotation = "00", "NO"
    made.SegmentationType = "BINARY"
    made.SegmentSequence = list(descriptions)
    made.DimensionOrganizationSequence = [_dataset(DimensionOrganizationUID=dimensions)]
    made.DimensionIndexSequence = [
        _dataset(DimensionIndexPointer=what, FunctionalGroupPointer=where, DimensionOrganizationUID=dimensions)
        for what, where in ((0x0062000B, 0x0062000A), (0x00209057, 0x00209111))  # segment, place in the stack
    ]
    instance = _dataset(ReferencedSOPClassUID=source.SOPClassUID, ReferencedSOPInstanceUID=source.SOPInstanceUID)
    made.ReferencedSeriesSequence = [
        _dataset(SeriesInstanceUID=source.SeriesInstanceUID, ReferencedInstanceSequence=[instance])
    ]
    made.SharedFunctionalGroupsSequence = [Dataset()]
    made.PerFrameFunctionalGroupsSequence = [_group(source, segment, frame) for segment, frame in frames]
    made.NumberOfFrames = len(frames)
    made.Rows, made.Columns = source.Rows, source.Columns
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated = made.BitsStored = 1
    made.HighBit = 0
    pixels = np.stack([labels[frame] == segment for segment, frame in frames])
    made.add_new("PixelData", "OB", pack_bits(pixels.astype(np.uint8).ravel()))
    return made


def _group(source: Dataset, segment: int, frame: int) -> Dataset:
    """What a frame of a segmentation says of itself: its segment, its place, the frame it was made on."""
    of = _dataset(
        ReferencedSOPClassUID=source.SOPClassUID,
        ReferencedSOPInstanceUID=source.SOPInstanceUID,
        SpatialLocationsPreserved="YES",
        PurposeOfReferenceCodeSequence=[_coded(("121322", "DCM", "Source image for image processing operation"))],
    )
    if int(source.get("NumberOfFrames") or 1) > 1:
        of.ReferencedFrameNumber = frame + 1
    derivation = _dataset(SourceImageSequence=[of], DerivationCodeSequence=[_coded(("113076", "DCM", "Segmentation"))])
    place = _dataset(DimensionIndexValues=[segment, frame + 1], StackID="1", InStackPositionNumber=frame + 1)
    return _dataset(
        SegmentIdentificationSequence=[_dataset(ReferencedSegmentNumber=segment)],
        FrameContentSequence=[place],
        DerivationImageSequence=[derivation],
    )


def _dataset(**elements: Any) -> Dataset:
    made = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made
