"""Simulated patients as training cases, for the weights that come with hepatic."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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
        task: DSA segmentation, CT segmentation, the contrast phase, lesions on CT, or tumours on ultrasound.
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
    if task.name == "us_fll":
        return _lesions(folder, patients, first_seed=first_seed, progress=progress)
    if task.modality == "US" and task.type == "classification":
        return _tumours(task, folder, patients, first_seed=first_seed, progress=progress)
    if task.modality != "CT":
        raise BadInputError(
            f"task '{task.name}'",
            expected="a model of DSA, CT or ultrasound",
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


def _lesions(folder: Path, patients: int, *, first_seed: int, progress: Callable[[], None]) -> list[TrainingCase]:
    """B-mode stills of livers without lesion and with lesions of one kind, and their boxes."""
    from hepatic.engine.cases import ClassCase
    from sample_data.us import write_us

    stills = write_us(folder, patients, seed=first_seed, size="small", progress=progress)
    truths = json.loads((folder / "truth" / "truth.json").read_text())["images"]
    cases: list[TrainingCase] = []
    for still in stills:
        truth = truths[still.parent.name]
        boxes = tuple(_box(lesion["box"]) for lesion in truth["lesions"])
        about = {"image_id": still.parent.name, "patient_id": truth["patient"], "source": still}
        cases.append(ClassCase(**about, truth=truth["kind"], boxes=boxes))
    return cases


def _tumours(
    task: Task, folder: Path, patients: int, *, first_seed: int, progress: Callable[[], None]
) -> list[TrainingCase]:
    """Stills or contrast cines, whichever the task takes, of patients with one tumour each, its box at the onset."""
    from hepatic.engine.cases import ClassCase
    from sample_data.ceus.write import write_ceus, write_ceus_stills

    if task.dimension == 3:
        written = write_ceus(folder, patients, seed=first_seed, size="tiny", progress=progress)
        sources = [cine for _, cine in written]
    else:
        sources = write_ceus_stills(folder, patients, seed=first_seed, progress=progress)
    truths = json.loads((folder / "truth" / "truth.json").read_text())["images"]
    cases: list[TrainingCase] = []
    for source in sources:
        truth = truths[source.parent.name]
        (lesion,) = truth["lesions"]
        if task.dimension == 3:
            onset = np.abs(np.array(truth["frame_times_s"]) - truth["echo_onset_s"]).argmin()
            box = _box(lesion["boxes"][onset])
        else:
            box = _box(lesion["box"])
        about = {"image_id": source.parent.name, "patient_id": truth["patient"], "source": source}
        cases.append(ClassCase(**about, truth=truth["label"], boxes=(box,)))
    return cases


def _box(corners: list[float]) -> tuple[float, float, float, float]:
    """(top, left, bottom, right), one past the last, of (left, top, right, bottom) with the last included."""
    left, top, right, bottom = corners
    return top, left, bottom + 1, right + 1
