"""From a prepared study to the candidates a reader judges: detection in each phase, then one box per place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from hepatic.boxes import iou, kept_by_nms, to_voxels
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.harvest.study import Box, Candidate, Phase, PreparedStudy, Proposal, ProposedStudy
from hepatic.io.dicom_instance import uid_of

MOST = 10
"""Candidates of a study that a reader is shown at most (paper 001, section II-B)."""
MIN_SCORE = 0.1
MAX_IOU = 0.2
"""Two phases' boxes that overlap more are one candidate: what is left of the motion moves them by 1 to 2 mm."""

Detect = Callable[[PreparedStudy, Phase], Sequence[tuple[Box, float]]]
"""Boxes (x, y, z, x, y, z) in LPS millimetres of the study's frame that a detector sees in one phase, with scores."""


def propose(
    prepared: PreparedStudy,
    detect: Detect,
    *,
    model: str,
    model_hash: str,
    most: int = MOST,
    min_score: float = MIN_SCORE,
    max_iou: float = MAX_IOU,
) -> ProposedStudy:
    """Detect in each phase on its own and merge what the phases say (paper 001, section II-B).

    Args:
        prepared: the study.
        detect: the detector, one phase at a time.
        model: name of the task behind it.
        model_hash: SHA-256 of its weights.
        most: candidates at most, the best first.
        min_score: proposals below it are dropped.
        max_iou: see ``merge``.
    """
    proposals = [
        Proposal(phase, box, score)
        for phase in Phase
        if phase in prepared.phases
        for box, score in detect(prepared, phase)
        if score >= min_score
    ]
    candidates = []
    for lineage in merge(proposals, most=most, max_iou=max_iou):
        best = lineage[0]
        candidates.append(
            Candidate(
                uid=candidate_uid(prepared.study_uid, model_hash, best.box),
                box=best.box,
                score=best.score,
                lineage=lineage,
                model=model,
                model_hash=model_hash,
                key_slice=key_slice(best.box, prepared.grid),
            )
        )
    return ProposedStudy(
        study_uid=prepared.study_uid,
        patient_id=prepared.patient_id,
        reference=prepared.reference,
        image_ids={phase: volume.image_id for phase, volume in prepared.phases.items()},
        candidates=tuple(candidates),
        size=prepared.grid.size,
        affine=tuple(tuple(float(number) for number in row) for row in prepared.grid.affine),
        warnings=prepared.warnings,
        content=prepared.content,
    )


def merge(proposals: Sequence[Proposal], *, most: int, max_iou: float) -> list[tuple[Proposal, ...]]:
    """Suppress proposals that overlap a better one and keep them as its lineage (3D non-maximum suppression).

    Returns:
        One tuple per candidate, the best first; in it the proposal whose box it has, then those it suppressed, each
        with the candidate it overlaps most.

    Raises:
        BadInputError: a box or score is not finite, a box has no extent, or a score lies outside [0, 1].
    """
    for proposal in proposals:
        _check(proposal)
    ordered = sorted(proposals, key=lambda p: (-p.score, list(Phase).index(p.phase), p.box))
    boxes = np.array([p.box for p in ordered], np.float64).reshape(-1, 6)
    # falling scores of our own, so that equal ones are kept in this order everywhere
    kept = kept_by_nms(boxes, np.linspace(1, 0.5, len(ordered)), max_iou=max_iou, most=len(ordered))
    shared = iou(boxes, boxes[kept])
    lineages = [[ordered[index]] for index in kept]
    for index, proposal in enumerate(ordered):
        if index not in kept:
            lineages[int(shared[index].argmax())].append(proposal)
    return [tuple(lineage) for lineage in lineages[:most]]


def candidate_uid(study_uid: str, model_hash: str, box: Box) -> str:
    """Return the DICOM UID of a candidate, the same for the same model and box.

    Boxes count to a tenth of a millimetre.
    """
    place = ",".join(f"{round(mm * 10):d}" for mm in box)
    return uid_of(study_uid, model_hash, place)


def key_slice(box: Box, grid: Grid) -> int:
    """Return the index k of the slice nearest to the middle of a box, on the grid."""
    first, last = to_voxels(np.array([box]), grid)[0].reshape(2, 3)[:, 0]
    return int(np.clip(math.floor((first + last) / 2), 0, grid.size[2] - 1))


def _check(proposal: Proposal) -> None:
    box = np.array(proposal.box, np.float64)
    if box.shape != (6,) or not np.isfinite(box).all() or (box[3:] <= box[:3]).any() or not 0 <= proposal.score <= 1:
        raise BadInputError(
            f"proposal in the {proposal.phase} phase",
            expected="a box with its lowest corner first and a score from 0 to 1",
            came=f"{tuple(proposal.box)} with {proposal.score}",
            fix="Train the detector again; its output is not usable.",
        )
