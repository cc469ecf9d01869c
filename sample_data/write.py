"""Generated studies on disk: DICOM below OUT/studies, what is known of them below OUT/truth."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from hepatic.errors import BadInputError
from sample_data.atomic import replacing
from sample_data.dsa.angiogram import Size
from sample_data.dsa.run import LABELLED_FRAMES, DSARun, simulate
from sample_data.dsa.xa import Variant, xa_image
from sample_data.segmentation import LIVER, TUMOUR, write_segmentation
from sample_data.truth import merge_truth

VARIANTS: dict[str, tuple[Variant, ...]] = {
    "subtracted": ("subtracted",),
    "unsubtracted": ("unsubtracted",),
    "both": ("unsubtracted", "subtracted"),
}


@dataclass(frozen=True, slots=True)
class WrittenSeries:
    """One series as it was written.

    Attributes:
        image: the DICOM file.
        segmentation: its truth, .seg.nrrd.
        patient_id, study_uid, series_uid: DICOM's identifiers.
        seed: what it was simulated from.
        key_frame: index of the key frame.
    """

    image: Path
    segmentation: Path
    patient_id: str
    study_uid: str
    series_uid: str
    seed: int
    key_frame: int


def write_dsa(
    out: Path,
    count: int,
    *,
    seed: int = 0,
    size: Size = "small",
    variant: Literal["subtracted", "unsubtracted", "both"] = "subtracted",
    progress: Callable[[], None] | None = None,
) -> list[WrittenSeries]:
    """Write simulated DSA runs, one patient per seed, and their truth.

    Args:
        out: folder; what it holds already stays.
        count: runs, from seeds ``seed`` to ``seed + count - 1``.
        seed: the first seed.
        size: "small" 510 x 394 pixels, "full" 1021 x 788.
        variant: "subtracted", "unsubtracted", or "both" as two series of one study.
        progress: called once per finished run.

    Raises:
        BadInputError: an argument is out of range, or ``out`` is a file.
    """
    out = Path(out)
    if count < 1:
        raise BadInputError("count", expected="1 or more", came=str(count), fix="Ask for at least one run.")
    if variant not in VARIANTS:
        expected = ", ".join(VARIANTS)
        raise BadInputError("variant", expected=expected, came=repr(variant), fix="Choose one of these.")
    if out.exists() and not out.is_dir():
        raise BadInputError(out.name, expected="a folder", came="a file", fix="Name another folder.")
    written = []
    for index in range(seed, seed + count):
        run = simulate(index, size=size)
        series = [_write(out, run, chosen) for chosen in VARIANTS[variant]]
        merge_truth(out, {one.series_uid: about for one, about in series})
        written += [one for one, _ in series]
        if progress is not None:
            progress()
    return written


def labelmap(run: DSARun) -> NDArray[np.uint8]:
    """Labels (F, H, W): tumour 1, liver around it 2, on the key frame and the two after it; 0 elsewhere."""
    labels = np.zeros(run.frames.shape, np.uint8)
    labelled = labels[run.key_frame : run.key_frame + LABELLED_FRAMES]
    labelled[run.liver] = LIVER.value
    labelled[run.tumour] = TUMOUR.value
    return labels


def _write(out: Path, run: DSARun, variant: Variant) -> tuple[WrittenSeries, dict[str, Any]]:
    ds = xa_image(run, variant)
    folder = out / "studies" / ds.PatientID / ds.StudyInstanceUID / ds.SeriesInstanceUID
    image = folder / f"{ds.SOPInstanceUID}.dcm"
    with replacing(image) as path:
        ds.save_as(path, enforce_file_format=True)
    segmentation = out / "truth" / f"{ds.SeriesInstanceUID}.seg.nrrd"
    write_segmentation(segmentation, labelmap(run), image=image)
    one = WrittenSeries(
        image=image,
        segmentation=segmentation,
        patient_id=ds.PatientID,
        study_uid=ds.StudyInstanceUID,
        series_uid=ds.SeriesInstanceUID,
        seed=run.seed,
        key_frame=run.key_frame,
    )
    return one, _about(run, variant, ds)


def _about(run: DSARun, variant: Variant, ds: FileDataset) -> dict[str, Any]:
    return {
        "modality": "XA",
        "variant": variant,
        "patient": ds.PatientID,
        "study": ds.StudyInstanceUID,
        "instance": ds.SOPInstanceUID,
        "seed": run.seed,
        "key_frame": run.key_frame,
        "labelled_frames": list(range(run.key_frame, run.key_frame + LABELLED_FRAMES)),
        "frame_times_ms": [round(float(time_ms), 3) for time_ms in run.frame_times_ms],
        "pixel_spacing_mm": run.pixel_spacing_mm,
        "lesions": [
            {
                "type": "tumour",
                "kind": tumour.kind,
                "blood_supply": tumour.blood_supply,
                "box": list(tumour.box_px),
                "centre": list(tumour.centre_px),
                "size_px": tumour.size_px,
            }
            for tumour in run.tumours
        ],
    }
