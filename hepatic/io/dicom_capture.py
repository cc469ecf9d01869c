"""A drawn picture as a DICOM secondary capture, for those who ask for one."""

from __future__ import annotations

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from hepatic import __version__
from hepatic.io.dicom_instance import MAKER, Instance
from hepatic.io.dicom_segment import LONG_STRING
from hepatic.io.dicom_source import with_patient_and_study

_SERIES_NUMBER = 320


def capture(
    picture: NDArray[np.uint8], of: Dataset, *, description: str, about: str, instance: Instance | None = None
) -> Dataset:
    """Return a picture as a secondary capture in the study of an image.

    Args:
        picture: (H, W) or (H, W, 3).
        of: header of the image it was drawn from; whether that has burnt-in text is said of the picture, too.
        description: of the series.
        about: what was drawn, in words.
        instance: which one of which series it is; a new one by default.
    """
    instance = instance or Instance.new()
    made: Dataset = SCImage.from_ref_dataset(
        with_patient_and_study(of),
        picture,
        "RGB" if picture.ndim == 3 else "MONOCHROME2",
        8,
        "PATIENT",
        instance.series_uid,
        _SERIES_NUMBER,
        instance.sop_uid,
        instance.number,
        MAKER,
        patient_orientation=("L", "P"),  # which it asks for; a drawing has none, so it is emptied below
        transfer_syntax_uid=ExplicitVRLittleEndian,
        manufacturer_model_name=MAKER,
        software_versions=__version__,
        series_description=description[:LONG_STRING],
    )
    made.PatientOrientation = ""
    made.BodyPartExamined = of.get("BodyPartExamined") or "LIVER"
    made.ConversionType = "WSD"
    made.SecondaryCaptureDeviceManufacturer = made.SecondaryCaptureDeviceManufacturerModelName = MAKER
    made.DerivationDescription = about
    if of.get("BurnedInAnnotation"):
        made.BurnedInAnnotation = of.BurnedInAnnotation
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = of.SOPClassUID, of.SOPInstanceUID
    made.SourceImageSequence = [source]
    return made
