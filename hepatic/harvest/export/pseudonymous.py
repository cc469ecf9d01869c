"""A reviewed study without its patient and its readers' names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from hepatic.harvest.export.classified import ClassifiedImage, ClassifiedStudy
from hepatic.harvest.export.reviewed import Decision, ReviewedCandidate, ReviewedStudy

_DEVICES = ("mouse", "key", "touch", "slicer", "batch")
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Names(Protocol):
    """Gives the names under which somebody or something leaves (``hepatic.release.pseudonyms``)."""

    def uid(self, uid: str) -> str:
        """Return the UID for one."""
        ...

    def study(self, study_uid: str) -> str:
        """Return the UID for a study's."""
        ...

    def patient(self, patient_id: str) -> str:
        """Return the PatientID for one."""
        ...

    def person(self, name: str) -> str:
        """Return the name for a reader's."""
        ...

    def image(self, image_id: str) -> str:
        """Return the id for an image's."""
        ...

    def model(self, name: str) -> str:
        """Return what may be told of a model's name or version."""
        ...


def pseudonymous(study: ReviewedStudy, names: Names) -> ReviewedStudy:
    """Return a study in which patient, study, images, candidates and readers have other names.

    The times of reading begin on 1970-01-01: how long each decision took stays, when it was made does not.
    """
    times = [one for candidate in study.candidates for one in _times(candidate)]
    back = min(times) - _BEGINNING if times else timedelta()
    return replace(
        study,
        study_uid=names.study(study.study_uid),
        patient_id=names.patient(study.patient_id),
        image_ids={phase: names.image(image_id) for phase, image_id in study.image_ids.items()},
        candidates=tuple(_candidate(one, names, back) for one in study.candidates),
    )


def pseudonymous_classified(study: ClassifiedStudy, names: Names) -> ClassifiedStudy:
    """Return the same of images that were classified."""
    times = [one for image in study.images for one in _times(image)]
    back = min(times) - _BEGINNING if times else timedelta()
    images = (
        replace(
            one,
            uid=names.uid(one.uid),
            image_id=names.image(one.image_id),
            model=names.model(one.model),
            model_hash=names.model(one.model_hash),
            decisions=tuple(_decision(decision, names, back) for decision in one.decisions),
            adjudicated_by=_person(one.adjudicated_by, names),
            adjudicated_at=_moved(one.adjudicated_at, back),
        )
        for one in study.images
    )
    study_uid, patient_id = names.study(study.study_uid), names.patient(study.patient_id)
    return replace(study, study_uid=study_uid, patient_id=patient_id, images=tuple(images))


def _candidate(one: ReviewedCandidate, names: Names, back: timedelta) -> ReviewedCandidate:
    return replace(
        one,
        uid=names.uid(one.uid),
        decisions=tuple(_decision(decision, names, back) for decision in one.decisions),
        model=names.model(one.model),
        model_hash=names.model(one.model_hash),
        drawn_by=_person(one.drawn_by, names),
        adjudicated_by=_person(one.adjudicated_by, names),
        adjudicated_at=_moved(one.adjudicated_at, back),
    )


def _decision(one: Decision, names: Names, back: timedelta) -> Decision:
    shown, decided = _moved(one.shown_at, back), _moved(one.decided_at, back)
    device = one.device if one.device in _DEVICES else ""
    return replace(one, reader=_person(one.reader, names), shown_at=shown, decided_at=decided, device=device)


def _person(name: str, names: Names) -> str:
    return names.person(name).rstrip("^") if name else ""


def _times(candidate: ReviewedCandidate | ClassifiedImage) -> list[datetime]:
    told = [at for one in candidate.decisions for at in (one.shown_at, one.decided_at)]
    return [datetime.fromisoformat(at).astimezone(UTC) for at in (*told, candidate.adjudicated_at) if at]


def _moved(at: str, back: timedelta) -> str:
    return (datetime.fromisoformat(at).astimezone(UTC) - back).isoformat() if at else ""
