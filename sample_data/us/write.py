"""Ultrasound on disk: DICOM below OUT/studies, what is known of it below OUT/truth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from hepatic.errors import BadInputError
from sample_data.atomic import replacing
from sample_data.segmentation import TUMOUR, write_segmentation
from sample_data.truth import merge_truth
from sample_data.us.patient import MALIGNANT, Kind, check_seed
from sample_data.us.probe import Size
from sample_data.us.screen import Box, Region, Screen, in_colour
from sample_data.us.still import Still, screen_of, simulate
from sample_data.us.us_image import Series, us_still


def patient_id(seed: int) -> str:
    """Patient of a seed."""
    return f"US{seed:05d}"


def write_us(
    out: Path,
    count: int,
    *,
    seed: int = 0,
    size: Size = "small",
    kind: Kind | None = None,
    progress: Callable[[], None] | None = None,
) -> list[Path]:
    """Write simulated B-mode stills, one patient per seed, and their truth.

    Args:
        out: folder; what it holds already stays.
        count: patients, from seeds ``seed`` to ``seed + count - 1``.
        seed: the first seed.
        size: "small" or "full", see ``simulate``.
        kind: what all of them have; None draws it.
        progress: called once per finished patient.

    Returns:
        The DICOM files.

    Raises:
        BadInputError: an argument is out of range, or ``out`` is a file.
    """
    out = checked(out, count, seed)
    written = []
    for index in range(seed, seed + count):
        still = simulate(index, kind=kind, size=size)
        screen = stored(screen_of(still, patient_id=patient_id(index)), index)
        series = Series(("hepatic", "us", index, size), patient_id(index), 1, "Liver", "100200")
        written.append(save(out, us_still(screen, series)))
        write_lesions(out, written[-1], lesions_of(still, screen), still.patient.kind)
        merge_truth(out, {str(series.uid): about(still, screen, series)})
        if progress is not None:
            progress()
    return written


def stored(screen: Screen, seed: int) -> Screen:
    """A still as the scanner stores it: half of them in colour, drawn apart from what is found."""
    return in_colour(screen) if np.random.default_rng([seed, 8810]).random() < 0.5 else screen


def checked(out: Path, count: int, seed: int) -> Path:
    """Return the folder to write to; BadInputError where one of these is out of range."""
    if count < 1:
        raise BadInputError("count", expected="1 or more", came=str(count), fix="Ask for at least one patient.")
    check_seed(seed)
    if Path(out).exists() and not Path(out).is_dir():
        raise BadInputError(Path(out).name, expected="a folder", came="a file", fix="Name another folder.")
    return Path(out)


def save(out: Path, ds: FileDataset) -> Path:
    """Save an image by patient, study and series; return the file."""
    folder = out / "studies" / ds.PatientID / ds.StudyInstanceUID / ds.SeriesInstanceUID
    file: Path = folder / f"{ds.SOPInstanceUID}.dcm"
    with replacing(file) as path:
        ds.save_as(path, enforce_file_format=True)
    return file


def lesions_of(still: Still, screen: Screen) -> NDArray[np.bool_]:
    """Where a screen shows lesions, (1, H, W)."""
    made = np.zeros(screen.pixels.shape[:3], bool)
    for mask in still.masks:
        made[0] |= on_screen(mask, screen)
    return made


def on_screen(mask: NDArray[np.bool_], screen: Screen, *, right: int = 0, down: int = 0) -> NDArray[np.bool_]:
    """A mask of the first fan's picture on the screen, moved by so many pixels; what leaves the fan is lost."""
    made = np.zeros(screen.pixels.shape[1:3], bool)
    x0, y0, x1, y1 = screen.regions[0].box
    inside = made[y0 : y1 + 1, x0 : x1 + 1]
    y, x = np.nonzero(mask)
    kept = (y + down >= 0) & (y + down < mask.shape[0]) & (x + right >= 0) & (x + right < mask.shape[1])
    inside[y[kept] + down, x[kept] + right] = True
    return made


def write_lesions(out: Path, image: Path, masks: NDArray[np.bool_], kind: str) -> Path:
    """Write lesions (F, H, W) as a segment called by its kind, empty where there is none; return the file."""
    path = out / "truth" / f"{image.parent.name}.seg.nrrd"
    write_segmentation(path, masks.astype(np.uint8), image=image, segments=(replace(TUMOUR, name=kind),))
    return path


def about(still: Still, screen: Screen, series: Series) -> dict[str, Any]:
    """What is known of a still; boxes in pixels of the screen, last column and row included."""
    patient = still.patient
    (region,) = screen.regions
    return {
        "modality": "US",
        "patient": series.patient_id,
        "study": str(series.study_uid),
        "seed": patient.seed,
        "size": still.size,
        "shows": "B-mode",
        "kind": patient.kind,
        "malignant": patient.kind in MALIGNANT,
        "regions": [about_region(region)],
        "banner": list(screen.banner),
        "lesions": [
            {
                "type": "lesion",
                "kind": lesion.kind,
                "malignant": lesion.kind in MALIGNANT,
                "box": list(moved(box, region)),
                "size_mm": round(lesion.size_mm, 2),
            }
            for lesion, box in zip(patient.lesions, still.boxes, strict=True)
        ],
    }


def about_region(region: Region) -> dict[str, Any]:
    """Where a fan lies on the screen, and what it shows."""
    return {"content": region.content, "box": list(region.box), "pixel_mm": round(region.pixel_mm, 6)}


def moved(box: Box, region: Region) -> Box:
    """A box on a fan's picture as one on the screen."""
    x, y = region.box[:2]
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y
