"""Tiny studies on disk: NIfTI, NRRD, DICOM series and runs."""

from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    XRayAngiographicImageStorage,
    generate_uid,
)


def write_image(path: Path, *, value: int = 0) -> Path:
    """Write 2 slices of 3 x 4 pixels as NIfTI or NRRD, by the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.full((2, 3, 4), value, np.uint8)), str(path))
    return path


def write_ct_slice(path: Path, *, series: str, study: str, patient: str = "P1", k: int = 0) -> str:
    """Write one CT slice and return its SOPInstanceUID."""
    dataset = _dataset(CTImageStorage, series=series, study=study, patient=patient)
    dataset.Modality, dataset.InstanceNumber = "CT", k + 1
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, float(k)], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [1, 1], 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    return _write(dataset, path, np.full((4, 4), k, np.uint16))


def write_xa_run(path: Path, *, series: str, study: str, patient: str = "P1", frames: int = 5) -> str:
    """Write an XA multi-frame file and return its SOPInstanceUID."""
    dataset = _dataset(XRayAngiographicImageStorage, series=series, study=study, patient=patient)
    dataset.Modality, dataset.NumberOfFrames, dataset.FrameTime = "XA", frames, 250
    dataset.FrameIncrementPointer = 0x00181063
    return _write(dataset, path, np.zeros((frames, 4, 4), np.uint16))


def write_pacs_export(root: Path) -> dict[str, str]:
    """Write a patient's CT (3 slices) and XA run, nested as a PACS exports them, with what lies about there.

    Returns:
        Series UIDs ``ct`` and ``xa`` and study UID ``study``.
    """
    uids = {"ct": generate_uid(), "xa": generate_uid(), "study": generate_uid()}
    for k in range(3):
        write_ct_slice(root / f"DICOM/PA0/ST0/SE0/IM{k}", series=uids["ct"], study=uids["study"], k=k)
    write_xa_run(root / "DICOM/PA0/ST0/SE1/IM0", series=uids["xa"], study=uids["study"])
    (root / "README.TXT").write_text("Viewer: start viewer.exe")
    return uids


def _dataset(sop_class: str, *, series: str, study: str, patient: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = sop_class, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.PatientID = series, study, patient
    dataset.SeriesDescription = "portal venous"
    return dataset


def _write(dataset: FileDataset, path: Path, pixels: np.ndarray) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = pixels.tobytes()
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return str(dataset.SOPInstanceUID)
