"""Pictures and videos of ultrasound as DICOM, so that they are read, shown and held back as any other ultrasound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from hepatic.io.dicom_pixels import put_pixels

_NAMESPACE = UUID("0f2f6a8e-0d5b-4b57-9d3c-8a4f6f1c52d1")
_GREY = 4  # most difference between the colours of a grey picture that was compressed with loss


@dataclass(frozen=True)
class Origin:
    """Whose a picture is and where it comes from.

    Attributes:
        patient_id: PatientID.
        study_uid: StudyInstanceUID.
        series_uid: SeriesInstanceUID, by ``series_uid_of``.
        description: SeriesDescription.
        compression: LossyImageCompressionMethod where it came compressed with loss, empty where DICOM has no term for
            how; None where it came without loss.
    """

    patient_id: str
    study_uid: str
    series_uid: str
    description: str = ""
    compression: str | None = None


def series_uid_of(*names: str) -> str:
    """Return a SeriesInstanceUID for a picture that has none: the same for the same names, always."""
    return str(UID(f"2.25.{uuid5(_NAMESPACE, chr(0).join(names)).int}"))


def write_us(
    path: Path,
    frames: NDArray[np.uint8],
    origin: Origin,
    times_s: NDArray[np.float64] | None = None,
    *,
    came_bytes: int = 0,
) -> None:
    """Write frames as an Ultrasound (Multi-frame) Image; grey pictures in colour become grey.

    The file says nothing of burnt-in text, for nobody knows: its pictures are held back from exports until they are
    approved. It has no scale.

    Args:
        path: the file to write.
        frames: (F, H, W) or (F, H, W, 3).
        origin: whose it is.
        times_s: (F,), for several frames.
        came_bytes: size of what it came in, for LossyImageCompressionRatio.
    """
    raw_bytes = frames.nbytes
    if frames.ndim == 4 and int(np.ptp(frames, axis=-1).max(initial=0)) <= _GREY:
        frames = np.ascontiguousarray(frames[..., 1])
    is_cine = times_s is not None and len(frames) > 1
    ds = _new(UltrasoundMultiFrameImageStorage if is_cine else UltrasoundImageStorage, origin)
    if is_cine and times_s is not None:
        steps_ms = np.round(np.diff(times_s) * 1000, 3)
        ds.NumberOfFrames = len(frames)
        if np.ptp(steps_ms) < 1e-3:
            ds.FrameTime, ds.FrameIncrementPointer = float(steps_ms[0]), Tag("FrameTime")
        else:
            ds.FrameTimeVector = [0.0, *steps_ms.tolist()]
            ds.FrameIncrementPointer = Tag("FrameTimeVector")
    if origin.compression is not None and came_bytes:
        ds.LossyImageCompressionRatio = round(max(1.0, raw_bytes / came_bytes), 2)
    ds.UltrasoundColorDataPresent = int(frames.ndim == 4)
    put_pixels(ds, frames)
    ds.save_as(path, enforce_file_format=True)


def _new(sop_class: UID, origin: Origin) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = UID(series_uid_of(origin.series_uid, "instance"))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.PatientID, ds.PatientName = origin.patient_id[:64], origin.patient_id[:64]
    ds.PatientBirthDate = ds.PatientSex = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.StudyInstanceUID, ds.SeriesInstanceUID = origin.study_uid, origin.series_uid
    ds.StudyDate = ds.StudyTime = ds.StudyID = ds.Manufacturer = ds.PatientOrientation = ""
    ds.Modality = "US"
    ds.Laterality = ""
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.SeriesDescription = origin.description[:64]
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.DerivationDescription = "imported picture or video"
    ds.LossyImageCompression = "00" if origin.compression is None else "01"
    if origin.compression:
        ds.LossyImageCompressionMethod = origin.compression
    return ds
