"""From what a classifier says of the ultrasound images of a study to the cards that a reader names classes on."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.harvest.events import Verdict
from hepatic.harvest.study import Box, Candidate, Phase, ProposedStudy

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "hepatic image to be classified")
MOST_CLASSES = 9
"""As many as there are keys for them."""


@dataclass(frozen=True)
class Classified:
    """What a classifier says of an image.

    Attributes:
        image_id: in the datastore.
        grid: of the image.
        probabilities: by class.
    """

    image_id: str
    grid: Grid
    probabilities: Mapping[str, float]


def propose_classes(
    study_uid: str,
    patient_id: str,
    images: Sequence[Classified],
    *,
    classes: Sequence[str],
    note: str,
    model: str,
    model_hash: str,
    warnings: Sequence[str] = (),
) -> ProposedStudy:
    """Return a study whose images are to be classified: one candidate each.

    Args:
        study_uid: StudyInstanceUID.
        patient_id: PatientID.
        images: of the study, those the classifier could look at.
        classes: that a reader may name.
        note: key of the notes of an image in which its class is kept.
        model: name of the task.
        model_hash: SHA-256 of its weights.
        warnings: in words for the reader, such as images that were left out.

    Raises:
        BadInputError: there are no images, no keys for so many classes, or a class is called as a verdict is.
    """
    if not images:
        raise BadInputError(
            "the study",
            expected="an ultrasound image that the classifier can look at",
            came="none. " + " ".join(warnings),
            fix="Choose another classifier: some look at cines only.",
        )
    taken = [name for name in classes if name in list(Verdict)]
    if not 2 <= len(classes) <= MOST_CLASSES or taken:
        raise BadInputError(
            "the classes",
            expected=f"two to {MOST_CLASSES}, none of them called " + ", ".join(Verdict),
            came=", ".join(classes) or "none",
            fix="Use a classifier with other classes.",
        )
    uid = classified_uid(study_uid, note)
    candidates = [
        Candidate(
            uid=f"2.25.{uuid.uuid5(_NAMESPACE, f'{uid}|{one.image_id}').int}",
            box=_whole(one.grid),
            score=max(one.probabilities.values(), default=0.0),
            lineage=(),
            model=model,
            model_hash=model_hash,
            key_slice=0,
            image_id=one.image_id,
            probabilities=dict(one.probabilities),
        )
        for one in images
    ]
    first = images[0].grid
    return ProposedStudy(
        study_uid=uid,
        patient_id=patient_id,
        reference=Phase.NC,
        image_ids={},
        candidates=tuple(candidates),
        size=first.size,
        affine=tuple(tuple(float(number) for number in row) for row in first.affine),
        warnings=tuple(warnings),
        kind="classification",
        classes=tuple(classes),
        note=note,
    )


def classified_uid(study_uid: str, note: str) -> str:
    """Return the name under which the images of a study are reviewed for one question."""
    return f"{study_uid}:{note}"


def _whole(grid: Grid) -> Box:
    i, j, k = grid.size
    x, y, z, x2, y2, z2 = (float(mm) for mm in from_voxels(np.array([[0, 0, 0, k, j, i]]), grid)[0])
    return x, y, z, x2, y2, z2
