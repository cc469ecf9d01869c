"""Images whose classes were named, as they leave the review store; beside ``reviewed``, which is about lesions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hepatic.harvest.export.reviewed import Decision


@dataclass(frozen=True)
class ClassifiedImage:
    """An image, and what became of it.

    Attributes:
        uid: of the card, the same for all models.
        image_id: in the datastore.
        state: of the review: unreviewed, classified, unsure, conflict or adjudicated.
        name: the class that counts in the end; None while that is open.
        probabilities: of the model, by class.
        model: name of the task.
        model_hash: SHA-256 of its weights.
        decisions: of the readers, in the order in which they were made; a verdict is a class or ``unsure``.
        adjudicated_by: who had the last word, else empty.
        adjudicated_at: when, ISO 8601, else empty.
    """

    uid: str
    image_id: str
    state: str
    name: str | None
    probabilities: Mapping[str, float]
    model: str
    model_hash: str
    decisions: tuple[Decision, ...] = ()
    adjudicated_by: str = ""
    adjudicated_at: str = ""

    @property
    def model_class(self) -> str:
        """What the model thinks most probable; empty where it says nothing."""
        return max(self.probabilities, key=self.probabilities.__getitem__, default="")


@dataclass(frozen=True)
class ClassifiedStudy:
    """The images of a study that were read for one question.

    Attributes:
        study_uid: StudyInstanceUID.
        patient_id: PatientID.
        note: the question: key of the notes in which the classes are kept.
        classes: that could be named.
        images: all of them, also those that nobody has read.
    """

    study_uid: str
    patient_id: str
    note: str
    classes: tuple[str, ...]
    images: tuple[ClassifiedImage, ...]

    @property
    def name(self) -> str:
        """Under which it is reviewed."""
        return f"{self.study_uid}:{self.note}"
