"""What is under review: a multi-phase CT study with possible lesions, or ultrasound images with possible classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatic.geometry import Grid

Box = tuple[float, float, float, float, float, float]
"""(x, y, z, x, y, z), LPS millimetres: the lowest corner, then the highest."""


StudyKind = Literal["detection", "classification"]
"""What is asked of the candidates: whether each is a lesion, or which class each image shows."""


class Phase(StrEnum):
    """Contrast phases, in the order in which they are scanned and shown."""

    NC = "nc"
    ARTERIAL = "arterial"
    VENOUS = "venous"
    DELAYED = "delayed"


@dataclass(frozen=True, eq=False)
class PhaseVolume:
    """One phase of a study in the study's frame.

    Attributes:
        phase: which.
        image_id: of the series, in the datastore.
        hu: (K, J, I) int16, carried onto the study's grid along ``warp``; -1024 where nothing was scanned.
        told_by: how the phase is known: ``picture``, ``tags`` or both, such as ``picture+tags``.
        registered: how it was brought into place: ``reference``, ``convexadam``, ``bspline`` or ``none`` (a fall-back).
    """

    phase: Phase
    image_id: str
    hu: NDArray[np.int16]
    told_by: str
    registered: str


@dataclass(frozen=True, eq=False)
class PreparedStudy:
    """A study whose phases lie on the grid of one of them, the reference: the venous one where there is one.

    Attributes:
        study_uid: StudyInstanceUID.
        patient_id: PatientID.
        reference: phase whose grid all share.
        grid: that grid; index to LPS millimetres.
        phases: those that are there; a missing one is missing.
        liver: (K, J, I) bool on the grid, lesions not cut out of it.
        warnings: in words for the reader, such as a registration that was given up.
        content: hash of the series and settings it was made from; names it in caches.
    """

    study_uid: str
    patient_id: str
    reference: Phase
    grid: Grid
    phases: Mapping[Phase, PhaseVolume]
    liver: NDArray[np.bool_]
    warnings: tuple[str, ...] = ()
    content: str = ""


@dataclass(frozen=True)
class Proposal:
    """A box that a detector proposed in one phase.

    Attributes:
        phase: in which.
        box: (x, y, z, x, y, z), LPS millimetres in the study's frame.
        score: in [0, 1].
    """

    phase: Phase
    box: Box
    score: float


@dataclass(frozen=True)
class Candidate:
    """A possible lesion of a study, merged from what the phases proposed; or an image, and which class it may show.

    Attributes:
        uid: DICOM UID (2.25...), its tracking UID; the same whenever the same model proposes the same box.
        box: (x, y, z, x, y, z), LPS millimetres in the study's frame.
        score: of its best proposal, in [0, 1].
        lineage: the proposals it was merged from, the best first.
        model: name of the task.
        model_hash: SHA-256 of the weights.
        key_slice: index k on the study's grid.
        image_id: of an image that is to be classified, in the datastore; its box is then the whole image.
        probabilities: of an image, what the model holds each class to be.
    """

    uid: str
    box: Box
    score: float
    lineage: tuple[Proposal, ...]
    model: str
    model_hash: str
    key_slice: int
    image_id: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ProposedStudy:
    """What is known of a study once a model has seen it.

    Attributes:
        study_uid: StudyInstanceUID; of images to be classified, it and the note of their classes (``classified_uid``).
        patient_id: DICOM's.
        reference: phase whose frame the boxes lie in.
        image_ids: series by phase.
        candidates: up to ten, the best score first.
        warnings: as ``PreparedStudy``.
        size: (i, j, k) of the study's grid.
        affine: 4 x 4 of the study's grid, rows.
        content: as ``PreparedStudy``.
        kind: what is asked of the candidates. Where images are to be classified, there are no phases.
        classes: that a reader may name; empty for lesions.
        note: key of the notes of an image in which its class is kept.
    """

    study_uid: str
    patient_id: str
    reference: Phase
    image_ids: Mapping[Phase, str]
    candidates: tuple[Candidate, ...]
    size: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]
    warnings: tuple[str, ...] = ()
    content: str = field(default="")
    kind: StudyKind = "detection"
    classes: tuple[str, ...] = ()
    note: str = ""

    def asks_as(self, other: ProposedStudy) -> bool:
        """Whether both ask the same of their candidates: of images, for the same classes."""
        return self.kind == other.kind and set(self.classes) == set(other.classes)
