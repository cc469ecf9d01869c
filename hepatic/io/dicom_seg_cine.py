"""A DICOM segmentation of a file that has frames and no place in the patient, which highdicom does not make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from highdicom.base import SOPClass
from highdicom.seg import SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage

from hepatic.io.dicom_segment import coded


def cine_segmentation(
    source: Dataset, labels: NDArray[np.uint16], descriptions: Sequence[SegmentDescription], about: dict[str, Any]
) -> Dataset:
    """Return a binary segmentation; frames without anything are left out.

    Args:
        source: the file.
        labels: (frames, rows, columns), segment numbers.
        descriptions: of the segments, in the order of their numbers.
        about: what highdicom asks of every object: UIDs, numbers, what made it.
    """
    made: Dataset = SOPClass(
        study_instance_uid=source.StudyInstanceUID,
        sop_class_uid=SegmentationStorage,
        modality="SEG",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=source.get("SpecificCharacterSet"),
        **about,
    )
    made.copy_patient_and_study_information(source)
    frames = [
        (description.SegmentNumber, frame)
        for description in descriptions
        for frame in np.flatnonzero((labels == description.SegmentNumber).any(axis=(1, 2))).tolist()
    ] or [(1, 0)]  # an object without a frame is none
    dimensions = UID(hd.UID())
    made.ImageType = ["DERIVED", "PRIMARY"]
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
        PurposeOfReferenceCodeSequence=[coded(("121322", "DCM", "Source image for image processing operation"))],
    )
    if int(source.get("NumberOfFrames") or 1) > 1:
        of.ReferencedFrameNumber = frame + 1
    derivation = _dataset(SourceImageSequence=[of], DerivationCodeSequence=[coded(("113076", "DCM", "Segmentation"))])
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
