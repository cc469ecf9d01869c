"""Screens as Ultrasound Image and Ultrasound Multi-frame Image Storage (PS3.3, A.6 and A.7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import UID, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from hepatic.io.dicom_pixels import put_pixels
from sample_data.dicom import new_image
from sample_data.uid import uid
from sample_data.us.probe import FREQUENCY_MHZ
from sample_data.us.screen import Region, Screen

STUDY_DATE: Final = "20240102"
_CENTIMETRES, _TISSUE, _2D = 3, 1, 1


@dataclass(frozen=True, slots=True)
class Series:
    """What a header says besides the picture; nothing of what is found.

    Attributes:
        key: what the identifiers are made from.
        patient_id: PatientID.
        number: SeriesNumber.
        description: SeriesDescription.
        time: of the acquisition, HHMMSS.
        with_contrast: whether microbubbles were given.
    """

    key: tuple[object, ...]
    patient_id: str
    number: int
    description: str
    time: str
    with_contrast: bool = False

    @property
    def study_uid(self) -> UID:
        """The same for all series of a patient."""
        return uid("hepatic", "us", self.patient_id, "study")

    @property
    def uid(self) -> UID:
        """SeriesInstanceUID."""
        return uid(*self.key, "series")


def us_still(screen: Screen, series: Series) -> FileDataset:
    """Make an Ultrasound Image of a screen of one frame."""
    return _image(screen, series, UltrasoundImageStorage)


def us_cine(screen: Screen, series: Series, times_s: Sequence[float]) -> FileDataset:
    """Make an Ultrasound Multi-frame Image.

    Args:
        screen: F frames.
        series: what else the header says.
        times_s: (F,); FrameTime where they lie in equal steps, FrameTimeVector otherwise.
    """
    ds = _image(screen, series, UltrasoundMultiFrameImageStorage)
    steps_ms = np.round(np.diff(times_s) * 1000, 3)
    ds.NumberOfFrames = len(screen.pixels)
    if np.ptp(steps_ms) == 0:
        ds.FrameTime = float(steps_ms[0])
        ds.FrameIncrementPointer = Tag("FrameTime")
    else:
        ds.FrameTimeVector = [0.0, *steps_ms.tolist()]
        ds.FrameIncrementPointer = Tag("FrameTimeVector")
    ds.RecommendedDisplayFrameRate = 10
    ds.StartTrim, ds.StopTrim = 1, len(screen.pixels)
    ds.EffectiveDuration = round(float(times_s[-1] - times_s[0]), 3)
    return ds


def _image(screen: Screen, series: Series, sop_class: UID) -> FileDataset:
    ds = new_image(
        sop_class,
        uid(*series.key, "instance"),
        patient_id=series.patient_id,
        study_uid=series.study_uid,
        study_date=STUDY_DATE,
        study_id="1",
        study_description="Liver ultrasound",
    )
    ds.Modality = "US"
    ds.SeriesInstanceUID = series.uid
    ds.SeriesNumber, ds.SeriesDescription = series.number, series.description
    ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = STUDY_DATE
    ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = series.time
    ds.AcquisitionNumber = ds.InstanceNumber = 1
    ds.BodyPartExamined = "LIVER"
    ds.PatientOrientation = ""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"]
    ds.BurnedInAnnotation = "YES"
    ds.LossyImageCompression = "00"
    ds.TransducerData, ds.TransducerType = ["C5-1", "", ""], "CURVED LINEAR"
    ds.MechanicalIndex = 0.08 if series.with_contrast else 1.1
    if series.with_contrast:
        ds.ContrastBolusAgent, ds.ContrastBolusRoute, ds.ContrastBolusVolume = "MICROBUBBLE", "INTRAVENOUS", 2.0
    ds.SequenceOfUltrasoundRegions = [_region(one) for one in screen.regions]
    ds.UltrasoundColorDataPresent = int(screen.pixels.ndim == 4)
    put_pixels(ds, screen.pixels)
    return ds


def _region(region: Region) -> Dataset:
    """Make an item of the US Region Calibration module (PS3.3, C.8.5.5)."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = _2D, _TISSUE, 2
    item.RegionLocationMinX0, item.RegionLocationMinY0 = region.box[:2]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = region.box[2:]
    item.ReferencePixelX0, item.ReferencePixelY0 = region.face
    item.ReferencePixelPhysicalValueX = item.ReferencePixelPhysicalValueY = 0.0
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = _CENTIMETRES
    item.PhysicalDeltaX = item.PhysicalDeltaY = region.pixel_mm / 10
    item.TransducerFrequency = round(FREQUENCY_MHZ * 1000)
    return item
