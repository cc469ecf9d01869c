"""Simulated patients as training cases, for the weights that come with hepatic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hepatic.errors import BadInputError

if TYPE_CHECKING:
    from hepatic.engine.cases import TrainingCase
    from hepatic.tasks.spec import Task

FULL_SIZE_EVERY = 10
"""One CT patient of so many is scanned in full resolution and whole, the others about the liver."""


def demo_cases(
    task: Task, folder: Path, patients: int, *, first_seed: int, progress: Callable[[], None]
) -> list[TrainingCase]:
    """Simulate patients as a task needs them.

    Args:
        task: DSA segmentation, CT segmentation, the contrast phase, or lesions on CT.
        folder: where the images go.
        patients: how many, one run or study each.
        first_seed: of the first.
        progress: called once per patient.

    Raises:
        BadInputError: nothing is simulated for a task of this kind here.
    """
    from hepatic.engine.cases import Case, ClassCase
    from sample_data.ct.write import write_ct
    from sample_data.write import write_dsa

    if task.modality == "XA":
        runs = write_dsa(folder, patients, seed=first_seed, size="small", progress=progress)
        return [
            Case(image_id=w.series_uid, patient_id=w.patient_id, source=w.image, label=w.segmentation) for w in runs
        ]
    if task.modality != "CT":
        raise BadInputError(
            f"task '{task.name}'",
            expected="a model of DSA or CT",
            came=f"{task.type} on {task.modality}",
            fix="Train it with `hepatic train`.",
        )
    # a detector sees the liver's box at one size, whatever the scan
    whole = 0 if task.type == "detection" else patients // FULL_SIZE_EVERY
    studies = write_ct(folder, patients - whole, seed=first_seed, follow_ups=False, progress=progress)
    if whole:
        seed = first_seed + patients - whole
        studies += write_ct(folder, whole, seed=seed, size="full", follow_ups=False, progress=progress)
    cases: list[TrainingCase] = []
    for study in studies:
        for phase, source in study.series.items():
            image, patient = source.name, study.patient_id
            if task.type == "classification":
                cases.append(ClassCase(image_id=image, patient_id=patient, source=source, truth=phase))
            else:
                label = study.segmentations[phase]
                study_uid = study.study_uid
                cases.append(Case(image_id=image, patient_id=patient, source=source, study_uid=study_uid, label=label))
    return cases
