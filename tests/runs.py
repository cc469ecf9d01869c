"""Tiny XA runs, for tests that need a file and no picture."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid


def write_run(file, *, frames=12, size=(32, 24), seed=0, patient="P1", modality="XA", dark=None):
    """Write a multi-frame XA image of noise, (columns, rows) pixels, with a dark box if asked; return its path."""
    columns, rows = size
    pixels = np.random.default_rng(seed).integers(100, 200, (frames, rows, columns), dtype=np.uint8)
    if dark is not None:
        pixels[(slice(None), *dark)] -= 90
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = XRayAngiographicImageStorage
    names = [f"{patient}/{seed}/{what}" for what in ("study", "series", "instance")]
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = (generate_uid(entropy_srcs=[n]) for n in names)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PatientID, ds.PatientName, ds.Modality = patient, f"Test^{patient}", modality
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames, rows, columns
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.FrameTime = 7, 500.0
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB"
    ds.save_as(file, enforce_file_format=True)
    return file
