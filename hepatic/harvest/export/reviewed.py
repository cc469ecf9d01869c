"""What leaves the review store: studies with their candidates and what readers said of them.

The exports know nothing of the store: whoever has studies in this form can write them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hepatic.geometry import Grid
from hepatic.harvest.study import Phase, Proposal

Verdict = Literal["true", "false", "unsure"]
State = Literal["unreviewed", "true", "false", "unsure", "conflict", "adjudicated"]
Origin = Literal["model", "manual", "inherited"]
Box = tuple[float, float, float, float, float, float]
"""(x, y, z, x, y, z), LPS millimetres in the study's frame; see ``hepatic.boxes``."""


@dataclass(frozen=True)
class Decision:
    """What one reader said of one candidate, after all undoing.

    Attributes:
        reader: name of the user.
        verdict: what was said; of an image, a class or ``unsure``.
        round: of reading, from 1.
        shown_at: when the card was shown, ISO 8601 with offset; empty where nobody noted it.
        decided_at: when the key was pressed, likewise.
        hidden_ms: how long the page was hidden in between.
        device: what was decided with, such as ``key`` or ``mouse``.
        box: what was judged: the box the reader drew in the candidate's place, else the candidate's as it was shown;
            None where that is the candidate's ``box``.
    """

    reader: str
    verdict: str
    round: int = 1
    shown_at: str = ""
    decided_at: str = ""
    hidden_ms: int = 0
    device: str = ""
    box: Box | None = None


@dataclass(frozen=True)
class ReviewedCandidate:
    """A candidate, or a box that a reader drew, and what became of it.

    Attributes:
        uid: DICOM UID, the tracking UID in every export.
        box: in the study's frame.
        key_slice: index k on the study's grid.
        origin: who made the box; an inherited one took its verdict over from a candidate of an earlier model.
        state: of the review.
        verdict: what counts in the end: what all readers said, or the adjudicator; None while that is open.
        primary: whether it is the patient's primary lesion.
        decisions: of the readers, in the order in which they were made; of an inherited one, those it took over.
        score: of the model, in [0, 1]; None for a box drawn by hand.
        lineage: the proposals it was merged from.
        model: name of the task; empty for a box drawn by hand.
        model_hash: SHA-256 of the weights, likewise.
        drawn_by: who drew the box, else empty.
        adjudicated_by: who had the last word, likewise, else empty.
        adjudicated_at: when, ISO 8601, else empty.
    """

    uid: str
    box: Box
    key_slice: int
    origin: Origin = "model"
    state: State = "unreviewed"
    verdict: Verdict | None = None
    primary: bool = False
    decisions: tuple[Decision, ...] = ()
    score: float | None = None
    lineage: tuple[Proposal, ...] = ()
    model: str = ""
    model_hash: str = ""
    drawn_by: str = ""
    adjudicated_by: str = ""
    adjudicated_at: str = ""


@dataclass(frozen=True, eq=False)
class ReviewedStudy:
    """A study as far as it was read.

    Attributes:
        study_uid: StudyInstanceUID.
        patient_id: PatientID.
        reference: phase whose frame the boxes lie in.
        image_ids: series by phase, ids in the datastore.
        grid: of the reference phase, upright (``hepatic.io.orient``); index to LPS millimetres.
        candidates: all of them, also those nobody decided.
        complete: whether the review found every lesion: all candidates decided one by one, missed ones boxed.
    """

    study_uid: str
    patient_id: str
    reference: Phase
    image_ids: Mapping[Phase, str]
    grid: Grid
    candidates: tuple[ReviewedCandidate, ...] = ()
    complete: bool = field(default=False, kw_only=True)

    @property
    def reference_image(self) -> str:
        """Id of the image whose grid this is, however its files lie."""
        return self.image_ids[self.reference]

    def accepted(self) -> tuple[ReviewedCandidate, ...]:
        """Return the candidates that are lesions in the end."""
        return tuple(candidate for candidate in self.candidates if candidate.verdict == "true")
