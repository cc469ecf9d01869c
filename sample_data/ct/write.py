"""CT studies on disk: DICOM below OUT/studies, what is known of them below OUT/truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from sample_data.atomic import replacing
from sample_data.ct.ct_image import acquisition_s, ct_series, patient_id, series_uid, study_uid
from sample_data.ct.flaws import Flaws, Odds, draw_flaws
from sample_data.ct.motion import Motion
from sample_data.ct.patient import check_seed
from sample_data.ct.space import Size
from sample_data.ct.study import CTPhase, CTStudy, Phase, simulate, visits_of
from sample_data.segmentation import LIVER, TUMOUR, write_segmentation
from sample_data.truth import merge_truth


@dataclass(frozen=True, slots=True)
class WrittenCT:
    """One study as it was written.

    Attributes:
        patient_id, study_uid: DICOM's identifiers.
        seed, visit: what it was simulated from.
        flaws: what is wrong with it.
        series: folder of DICOM files by phase, in order of time.
        segmentations: truth by phase, .seg.nrrd.
    """

    patient_id: str
    study_uid: str
    seed: int
    visit: int
    flaws: Flaws
    series: dict[Phase, Path]
    segmentations: dict[Phase, Path]


def write_ct(
    out: Path,
    count: int,
    *,
    seed: int = 0,
    size: Size = "small",
    odds: Odds | None = None,
    follow_ups: bool = True,
    progress: Callable[[], None] | None = None,
) -> list[WrittenCT]:
    """Write simulated four-phase CT studies, one patient per seed, and their truth.

    Args:
        out: folder; what it holds already stays.
        count: patients, from seeds ``seed`` to ``seed + count - 1``.
        seed: the first seed.
        size: "small" or "full", see ``simulate``.
        odds: how often something is wrong with a study; None: never.
        follow_ups: a quarter of the patients have a second study.
        progress: called once per finished patient.

    Raises:
        BadInputError: an argument is out of range, or ``out`` is a file.
    """
    out = Path(out)
    if count < 1:
        raise BadInputError("count", expected="1 or more", came=str(count), fix="Ask for at least one patient.")
    check_seed(seed)
    if out.exists() and not out.is_dir():
        raise BadInputError(out.name, expected="a folder", came="a file", fix="Name another folder.")
    written = []
    for index in range(seed, seed + count):
        for visit in range(visits_of(index) if follow_ups else 1):
            flaws = draw_flaws(index, visit, odds or Odds())
            written.append(write_study(out, simulate(index, visit=visit, size=size), flaws))
        if progress is not None:
            progress()
    return written


def write_study(out: Path, study: CTStudy, flaws: Flaws | None = None) -> WrittenCT:
    """Write one study and its truth.

    Args:
        out: folder; what it holds already stays.
        study: what to write.
        flaws: what is wrong with it; None: nothing.
    """
    flaws = flaws or Flaws()
    patient, uid = patient_id(study.patient.seed), str(study_uid(study))
    series: dict[Phase, Path] = {}
    segmentations: dict[Phase, Path] = {}
    about: dict[str, dict[str, Any]] = {}
    for phase in flaws.phases:
        name = series_uid(study, phase)
        folder = out / "studies" / patient / uid / name
        files = []
        for ds in ct_series(study, phase, flaws.label(phase)):
            files.append(folder / f"{ds.SOPInstanceUID}.dcm")
            with replacing(files[-1]) as path:
                ds.save_as(path, enforce_file_format=True)
        segmentations[phase] = out / "truth" / f"{name}.seg.nrrd"
        write_segmentation(segmentations[phase], labelmap(study, phase), image=files[0])
        _write_lesions(out / "truth" / f"{name}.lesions.mha", study[phase].labels, study)
        _write_displacement(out / "truth" / f"{name}.displacement.mha", study[phase].motion)
        series[phase] = folder
        about[name] = _about(study, flaws, phase)
    merge_truth(out, about)
    return WrittenCT(patient, uid, study.patient.seed, study.visit, flaws, series, segmentations)


def labelmap(study: CTStudy, phase: Phase) -> NDArray[np.uint8]:
    """Labels (K, J, I): solid lesions are tumour, 1; the rest of the liver with cysts and other mimics is 2."""
    shown = study[phase]
    solid = np.array([False, *(lesion.solid for lesion in study.lesions)])
    labels = np.where(shown.liver, np.uint8(LIVER.value), np.uint8(0))
    labels[solid[shown.labels]] = TUMOUR.value
    return labels


def _write_lesions(path: Path, labels: NDArray[np.uint8], study: CTStudy) -> None:
    """Write one value per lesion, as the truth counts them."""
    _write_image(path, sitk.GetImageFromArray(labels), study.grid.spacing, study.grid.origin)


def _write_displacement(path: Path, motion: Motion) -> None:
    """Write vectors (LPS mm) that lead from a place in this phase to the tissue's place in the venous phase.

    ``sitk.DisplacementFieldTransform(sitk.ReadImage(path, sitk.sitkVectorFloat64))`` is that transform.
    """
    first = motion.displacement[0]
    vectors = np.stack([part.knots for part in motion.displacement[::-1]], -1)
    _write_image(path, sitk.GetImageFromArray(vectors, isVector=True), first.step_mm[::-1], first.origin_mm[::-1])


def _write_image(path: Path, image: sitk.Image, spacing: Sequence[float], origin: Sequence[float]) -> None:
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    with replacing(path) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True, compressionLevel=1)


def _about(study: CTStudy, flaws: Flaws, phase: Phase) -> dict[str, Any]:
    shown, label = study[phase], flaws.label(phase)
    return {
        "modality": "CT",
        "patient": patient_id(study.patient.seed),
        "study": study_uid(study),
        "seed": study.patient.seed,
        "visit": study.visit,
        "size": study.size,
        "phase": phase,
        "time_s": shown.time_s,
        "acquired_s": acquisition_s(study, phase),
        "series_number": label.number,
        "series_description": label.description,
        "flaws": {"missing": flaws.missing, "swapped": flaws.swapped, "naming": flaws.naming},
        "venous_series": series_uid(study, "venous") if flaws.missing != "venous" else None,
        "spacing_mm": list(study.grid.spacing),
        "shift_lps_mm": [round(mm, 3) for mm in shown.motion.shift_mm[::-1]],
        "liver_ml": _millilitres(shown.liver.sum(), study),
        "lesions": [_about_lesion(study, shown, number) for number in range(len(study.lesions))],
    }


def _about_lesion(study: CTStudy, shown: CTPhase, number: int) -> dict[str, Any]:
    lesion, box = study.lesions[number], shown.boxes[number]
    return {
        "number": number + 1,
        "type": "tumour" if lesion.solid else "mimic",
        "kind": lesion.kind,
        "pathology": lesion.pathology,
        "malignant": lesion.malignant,
        "primary": number == 0,
        "diameter_mm": round(lesion.diameter_mm, 2),
        "volume_ml": _millilitres((shown.labels == number + 1).sum(), study),
        "centre_lps_mm": list(box.centre_lps_mm),
        "box_lps_mm": list(box.lps_mm),
        "box_voxels": list(box.voxels),
    }


def _millilitres(voxels: float, study: CTStudy) -> float:
    return round(float(voxels) * float(np.prod(study.grid.spacing)) / 1000, 3)
