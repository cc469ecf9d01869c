"""DSA runs as X-Ray Angiographic Image Storage (PS3.3, A.14)."""

from typing import Literal

from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import XRayAngiographicImageStorage

from sample_data.dicom import new_image
from sample_data.dsa.angiogram import MASK_FRAMES
from sample_data.dsa.run import DSARun
from sample_data.uid import uid

Variant = Literal["subtracted", "unsubtracted"]
SOURCE_TO_DETECTOR_MM, SOURCE_TO_PATIENT_MM = 1100.0, 740.0
SERIES_NUMBER: dict[Variant, int] = {"unsubtracted": 1, "subtracted": 2}
STUDY_DATE, ACQUISITION_TIME = "20240102", "100100"


def patient_id(seed: int) -> str:
    """Patient of a seed."""
    return f"DSA{seed:04d}"


def xa_image(run: DSARun, variant: Variant = "subtracted", *, calibrated: bool = True) -> FileDataset:
    """Make a multi-frame XA image of a run.

    Args:
        run: what to show.
        variant: "subtracted" is 8 bit and shown as it is (NAT); "unsubtracted" is 12 bit and says that the mean of
            its first two frames is to be subtracted (AVG_SUB).
        calibrated: give PixelSpacing at the isocentre; otherwise there is only ImagerPixelSpacing.
    """
    count, height, width = run.frames.shape
    key = ("hepatic", "dsa", run.seed, run.draw, f"{height}x{width}")
    series = (*key, variant, "calibrated" if calibrated else "uncalibrated")
    ds = new_image(
        XRayAngiographicImageStorage,
        uid(*series, "instance"),
        patient_id=patient_id(run.seed),
        study_uid=uid(*key, "study"),
        study_date=STUDY_DATE,
        study_id="1",
        study_description="TACE",
    )
    ds.Modality = "XA"
    ds.SeriesInstanceUID = uid(*series, "series")
    ds.SeriesNumber = SERIES_NUMBER[variant]
    ds.SeriesDescription = f"Hepatic artery DSA, {variant}"
    ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = STUDY_DATE
    ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = ACQUISITION_TIME
    ds.AcquisitionNumber = ds.InstanceNumber = 1
    ds.BodyPartExamined = "LIVER"
    ds.PatientOrientation = ["L", "F"]
    _beam(ds, run, calibrated=calibrated)
    ds.NumberOfFrames = count
    ds.FrameTime = run.frame_time_ms
    ds.FrameIncrementPointer = Tag("FrameTime")
    ds.CineRate = ds.RecommendedDisplayFrameRate = round(1000 / run.frame_time_ms)
    ds.StartTrim, ds.StopTrim, ds.FrameDelay = 1, count, 0
    ds.EffectiveDuration = round(count * run.frame_time_ms / 1000, 3)
    ds.PreferredPlaybackSequencing = 0
    _pixels(ds, run, variant)
    return ds


def _beam(ds: Dataset, run: DSARun, *, calibrated: bool) -> None:
    """X-ray acquisition, positioner, table and contrast."""
    ds.KVP = 80
    ds.RadiationSetting = "GR"
    ds.RadiationMode = "PULSED"
    ds.XRayTubeCurrent, ds.ExposureTime, ds.Exposure, ds.AveragePulseWidth = 400, 60, 24, 60
    ds.FieldOfViewShape = "RECTANGLE"
    ds.DistanceSourceToDetector = SOURCE_TO_DETECTOR_MM
    ds.DistanceSourceToPatient = SOURCE_TO_PATIENT_MM
    ds.EstimatedRadiographicMagnificationFactor = round(SOURCE_TO_DETECTOR_MM / SOURCE_TO_PATIENT_MM, 4)
    ds.ImagerPixelSpacing = [run.imager_spacing_mm] * 2
    if calibrated:
        ds.PixelSpacing = [run.pixel_spacing_mm] * 2
        ds.PixelSpacingCalibrationType = "GEOMETRY"
        ds.PixelSpacingCalibrationDescription = "isocentre plane"
    ds.PositionerMotion = ds.TableMotion = "STATIC"
    ds.PositionerPrimaryAngle = ds.PositionerSecondaryAngle = 0
    ds.ContrastBolusAgent = "IODINATED"
    ds.ContrastBolusRoute = "INTRA-ARTERIAL"
    ds.ContrastBolusVolume, ds.ContrastFlowRate = 12, 4


def _pixels(ds: Dataset, run: DSARun, variant: Variant) -> None:
    pixels = run.frames if variant == "subtracted" else run.live
    stored = 8 if variant == "subtracted" else 12
    mask = Dataset()
    if variant == "subtracted":
        ds.ImageType = ["DERIVED", "PRIMARY", "SINGLE PLANE"]
        ds.DerivationDescription = "simulated, logarithmic mask subtraction"
        ds.RecommendedViewingMode = "NAT"
        mask.MaskOperation = "NONE"
    else:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
        ds.RecommendedViewingMode = "SUB"
        mask.MaskOperation = "AVG_SUB"
        mask.MaskFrameNumbers = list(range(1, MASK_FRAMES + 1))
        mask.ApplicableFrameRange = [1, len(pixels)]
    ds.MaskSubtractionSequence = [mask]
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelIntensityRelationship = "DISP"
    ds.Rows, ds.Columns = pixels.shape[1:]
    ds.BitsAllocated = 8 * pixels.dtype.itemsize
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = stored, stored - 1, 0
    ds.WindowCenter, ds.WindowWidth = 2 ** (stored - 1), round(2**stored * (0.6 if stored == 8 else 1))
    data = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if stored == 8 else "OW"
