"""A CT series and a segmentation of it, as an archive lays them out."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

FRAME = generate_uid()


def write_ct(
    folder: Path,
    *,
    patient="HCC_001",
    study="1.2.9",
    description="LIVER 3 PHASE",
    shape=(8, 12, 16),
    z0=0.0,
    prone=False,
):
    """Write a CT series of (k, j, i) voxels of 0.8 x 0.7 x 2.5 mm; returns its files, from foot to head."""
    series, files = generate_uid(), []
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(shape[0]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = generate_uid()
        d = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
        d.SOPClassUID, d.SOPInstanceUID, d.Modality = CTImageStorage, meta.MediaStorageSOPInstanceUID, "CT"
        d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = study, series, FRAME
        d.PatientID, d.PatientName, d.PatientBirthDate, d.PatientSex = patient, "", "", ""
        d.StudyDate, d.StudyTime, d.StudyID, d.AccessionNumber, d.ReferringPhysicianName = "", "", "", "", ""
        d.SeriesDescription, d.SeriesNumber, d.InstanceNumber = description, 3, k + 1
        d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        d.ImagePositionPatient, d.ImageOrientationPatient = [-10, -20, z0 + 2.5 * k], [1, 0, 0, 0, 1, 0]
        if prone:
            d.ImagePositionPatient, d.ImageOrientationPatient = [25, 5, z0 + 2.5 * k], [-1, 0, 0, 0, -1, 0]
        d.PixelSpacing, d.SliceThickness = [0.7, 0.8], 2.5
        d.RescaleSlope, d.RescaleIntercept = 1, -1024
        d.Rows, d.Columns = shape[1:]
        d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = 1, "MONOCHROME2", 0
        d.BitsAllocated, d.BitsStored, d.HighBit = 16, 12, 11
        d.PixelData = np.full(shape[1:], 1000 + k, np.uint16).tobytes()
        path = folder / f"1-{k + 1:02d}.dcm"
        pydicom.dcmwrite(path, d, enforce_file_format=True)
        files.append(path)
    return files


def write_seg(path: Path, ct: list[Path], masks: dict[str, np.ndarray]) -> Path:
    """Write a segmentation; ``masks`` are arrays (k, j, i) by name, which may overlap."""
    described = [
        SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type="MANUAL",
        )
        for number, name in enumerate(masks, 1)
    ]
    made = Segmentation(
        source_images=[pydicom.dcmread(file) for file in ct],
        pixel_array=np.stack([mask.astype(np.uint8) for mask in masks.values()], axis=-1),
        segmentation_type="BINARY",
        segment_descriptions=described,
        series_instance_uid=hd.UID(),
        series_number=300,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="archive",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="0",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path)
    return path
