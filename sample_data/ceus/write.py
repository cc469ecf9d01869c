"""Contrast-enhanced ultrasound on disk: a cine and a B-mode still of every patient."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import RLELossless

from sample_data.ceus.cine import Cine, record
from sample_data.ceus.patient import Label, Patient, draw_patient
from sample_data.ceus.show import Style, draw_style, screen_of
from sample_data.truth import merge_truth
from sample_data.us import still as bmode
from sample_data.us import write as us
from sample_data.us.probe import Size
from sample_data.us.screen import Screen
from sample_data.us.us_image import Series, us_cine, us_still


def patient_id(seed: int) -> str:
    """Patient of a seed."""
    return f"CEUS{seed:05d}"


def write_ceus(
    out: Path,
    count: int,
    *,
    seed: int = 0,
    size: Size = "small",
    label: Label | None = None,
    style: Style | None = None,
    progress: Callable[[], None] | None = None,
) -> list[tuple[Path, Path]]:
    """Write simulated contrast cines, each with the B-mode still of its patient, one patient per seed, and their truth.

    Args:
        out: folder; what it holds already stays.
        count: patients, from seeds ``seed`` to ``seed + count - 1``.
        seed: the first seed.
        size: "small" or "full", see ``simulate``.
        label: what all of them have; None draws it.
        style: how all are shown and stored; None draws it.
        progress: called once per finished patient.

    Returns:
        The DICOM files of each patient: the still and the cine.

    Raises:
        BadInputError: an argument is out of range, or ``out`` is a file.
    """
    out = us.checked(out, count, seed)
    written = []
    for index in range(seed, seed + count):
        name, chosen = patient_id(index), style or draw_style(index)
        patient = draw_patient(index, label=label)
        still = _write_still(out, patient, name, size)
        cine = record(patient, chosen.times_s, size)
        shown = screen_of(cine, chosen, patient_id=name)
        key = ("hepatic", "ceus", index, size, "cine", chosen)
        series = Series(key, name, 2, "Liver contrast", "100500", with_contrast=True)
        file = us.save(out, _cine(shown, series, cine))
        us.write_lesions(out, file, lesions_of(cine, shown), patient.label)
        merge_truth(out, {str(series.uid): about(cine, chosen, shown, series)})
        written.append((still, file))
        if progress is not None:
            progress()
    return written


def write_ceus_stills(
    out: Path,
    count: int,
    *,
    seed: int = 0,
    size: Size = "small",
    progress: Callable[[], None] | None = None,
) -> list[Path]:
    """Write the B-mode stills of ``write_ceus`` alone, and their truth; arguments and errors are the same."""
    out = us.checked(out, count, seed)
    written = []
    for index in range(seed, seed + count):
        written.append(_write_still(out, draw_patient(index), patient_id(index), size))
        if progress is not None:
            progress()
    return written


def _write_still(out: Path, patient: Patient, name: str, size: Size) -> Path:
    still = bmode.take(patient.examined, size)
    screen = us.stored(bmode.screen_of(still, patient_id=name), patient.seed)
    series = Series(("hepatic", "ceus", patient.seed, size, "still"), name, 1, "Liver", "100200")
    file = us.save(out, us_still(screen, series))
    us.write_lesions(out, file, us.lesions_of(still, screen), patient.label)
    taken = us.about(still, screen, series) | {"malignant": True, "label": patient.label}
    for lesion in taken["lesions"]:
        lesion["malignant"] = True
    merge_truth(out, {str(series.uid): taken})
    return file


def lesions_of(cine: Cine, screen: Screen) -> NDArray[np.bool_]:
    """Where the contrast side of a screen shows the lesion, (F, H, W); nowhere while it is out of the plane."""
    pixels = np.rint(cine.motion.shifts_mm / cine.panel.pixel_mm).astype(int)
    made = [us.on_screen(cine.mask, screen, right=int(right), down=int(down)) for right, down in pixels]
    return np.stack(made) & cine.motion.in_plane[:, None, None]


def about(cine: Cine, style: Style, screen: Screen, series: Series) -> dict[str, Any]:
    """What is known of a cine; boxes in pixels of the screen on every frame, on its contrast side."""
    patient = cine.patient
    return {
        "modality": "US",
        "patient": series.patient_id,
        "study": str(series.study_uid),
        "seed": patient.seed,
        "size": cine.size,
        "shows": "CEUS",
        "label": patient.label,
        "pathology": patient.pathology,
        "malignant": True,
        "colour": style.colour,
        "side_by_side": style.side_by_side,
        "frame_times_s": [round(float(time), 3) for time in cine.times_s],
        "echo_onset_s": round(patient.arrival_s, 3),
        "washout_onset_s": round(patient.washout_onset_s, 2),
        "rim": round(patient.rim, 3),
        "in_plane": [bool(one) for one in cine.motion.in_plane],
        "regions": [us.about_region(region) for region in screen.regions],
        "banner": list(screen.banner),
        "lesions": [
            {
                "type": "lesion",
                "kind": patient.label,
                "malignant": True,
                "boxes": [list(us.moved(box, screen.regions[0])) for box in cine.boxes],
                "size_mm": round(patient.examined.lesions[0].size_mm, 2),
            }
        ],
    }


def _cine(screen: Screen, series: Series, cine: Cine) -> FileDataset:
    """Make the file, compressed without loss: scanners store cines compressed, and most of a screen is black."""
    ds = us_cine(screen, series, np.asarray(cine.times_s).tolist())
    ds.compress(RLELossless, generate_instance_uid=False)
    return ds
