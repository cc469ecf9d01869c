"""CT studies as classic CT Image Storage (PS3.3, A.3): one series per phase, one file per slice."""

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID, CTImageStorage

from sample_data.ct.flaws import SeriesLabel
from sample_data.ct.study import PHASES, CTStudy, Phase
from sample_data.dicom import new_image
from sample_data.uid import uid

INTERCEPT_HU: Final = -1024
STUDY_DATES: Final = ("20240102", "20240405", "20240709", "20241011")
INJECTION_CLOCK_S: Final = 10 * 3600 + 3 * 60
BEFORE_INJECTION_S: Final = 75.0
SECONDS_PER_SLICE: Final = 0.15


def patient_id(seed: int) -> str:
    """Patient of a seed."""
    return f"CT{seed:05d}"


def study_uid(study: CTStudy) -> UID:
    """StudyInstanceUID."""
    return uid(*_key(study), "study")


def series_uid(study: CTStudy, phase: Phase) -> UID:
    """SeriesInstanceUID."""
    return uid(*_key(study), phase, "series")


def acquisition_s(study: CTStudy, phase: Phase) -> float:
    """Seconds since midnight at which the first slice of a phase was taken."""
    taken = study[phase].time_s
    return INJECTION_CLOCK_S + (taken if phase != "nc" else -BEFORE_INJECTION_S)


def ct_series(study: CTStudy, phase: Phase, label: SeriesLabel) -> Iterator[FileDataset]:
    """Make the slices of one phase, feet first.

    Args:
        study: what to show.
        phase: which series.
        label: its number and description.
    """
    shown = study[phase]
    for index in range(len(shown.hu)):
        ds = header(study, phase, label, index)
        stored = (shown.hu[index] - INTERCEPT_HU).clip(0, 4095).astype("<u2")
        ds.PixelData = stored.tobytes()
        ds["PixelData"].VR = "OW"
        yield ds


def header(study: CTStudy, phase: Phase, label: SeriesLabel, index: int) -> FileDataset:
    """Make one slice without its pixels."""
    ds = new_image(
        CTImageStorage,
        uid(*_key(study), phase, index, "instance"),
        patient_id=patient_id(study.patient.seed),
        study_uid=study_uid(study),
        study_date=STUDY_DATES[study.visit % len(STUDY_DATES)],
        study_id=str(study.visit + 1),
        study_description="Liver four-phase CT",
    )
    _series(ds, study, phase, label)
    _plane(ds, study, index)
    _beam(ds, study, phase)
    count, height, width = study.grid.shape
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.ImagesInAcquisition = count
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = height, width
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = INTERCEPT_HU, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = 60, 350
    return ds


def _key(study: CTStudy) -> tuple[object, ...]:
    return "hepatic", "ct", study.patient.seed, study.visit, study.size


def _series(ds: Dataset, study: CTStudy, phase: Phase, label: SeriesLabel) -> None:
    taken = _clock(acquisition_s(study, phase))
    ds.Modality = "CT"
    ds.SeriesInstanceUID = series_uid(study, phase)
    ds.SeriesNumber = label.number
    ds.SeriesDescription = label.description
    ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = ds.StudyDate
    ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = taken
    ds.AcquisitionNumber = PHASES.index(phase) + 1
    ds.BodyPartExamined = "LIVER"
    ds.ProtocolName = "LIVER 4 PHASE"
    ds.PatientPosition = "HFS"
    ds.FrameOfReferenceUID = uid(*_key(study), "frame of reference")
    ds.PositionReferenceIndicator = ""


def _plane(ds: Dataset, study: CTStudy, index: int) -> None:
    across, down, along = (round(step, 4) for step in study.grid.spacing)
    x, y, z = study.grid.origin
    level = round(z + index * along, 4)
    ds.InstanceNumber = index + 1
    ds.PixelSpacing = [down, across]
    ds.SliceThickness = ds.SpacingBetweenSlices = along
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [round(x, 4), round(y, 4), level]
    ds.SliceLocation = level
    ds.ReconstructionDiameter = round(across * study.grid.size[0], 2)


def _beam(ds: Dataset, study: CTStudy, phase: Phase) -> None:
    ds.KVP = 120
    ds.XRayTubeCurrent, ds.ExposureTime, ds.Exposure = 220, 500, 110
    ds.ConvolutionKernel = "B30f"
    ds.FilterType = "0"
    ds.GantryDetectorTilt = 0
    ds.ScanOptions = "HELICAL"
    if phase != "nc":
        ds.ContrastBolusAgent = "Iohexol 350"
        ds.ContrastBolusRoute = "IV"
        ds.ContrastBolusVolume, ds.ContrastFlowRate, ds.ContrastFlowDuration = 110, 4, 27.5
        ds.ContrastBolusStartTime = _clock(INJECTION_CLOCK_S)


def _clock(seconds: float) -> str:
    """Seconds since midnight as DICOM writes them."""
    whole, rest = divmod(round(seconds * 100), 100)
    return f"{whole // 3600:02d}{whole // 60 % 60:02d}{whole % 60:02d}.{rest:02d}0000"
