"""Reviews of images that were classified, in the form in which they are exported."""

from __future__ import annotations

from hepatic.harvest.book import Review
from hepatic.harvest.export.classified import ClassifiedImage, ClassifiedStudy
from hepatic.harvest.reviewed_studies import decision_of, moment_text
from hepatic.harvest.rules import Rules
from hepatic.harvest.study import Candidate
from hepatic.harvest.verdicts import Settled, classes_held, settled


def classified_study(review: Review, rules: Rules) -> ClassifiedStudy:
    """Return every image of the last proposal, with what finished readings say of it."""
    study = review.study
    held = settled(review, rules)
    names = {candidate.uid: name for candidate, name in classes_held(review, rules)}
    return ClassifiedStudy(
        study_uid=review.uid.removesuffix(f":{study.note}"),
        patient_id=study.patient_id,
        note=study.note,
        classes=study.classes,
        images=tuple(_image(review, one, held[one.uid], names.get(one.uid)) for one in study.candidates),
    )


def _image(review: Review, candidate: Candidate, own: Settled, name: str | None) -> ClassifiedImage:
    readings = (one for one in review.readings if one.kind != "repeat" and one.finished)
    events = [event for one in readings if (event := one.verdicts.get(candidate.uid)) is not None]
    last = max((e for e in review.adjudicated if e.candidate == candidate.uid), key=lambda e: e.seq, default=None)
    return ClassifiedImage(
        uid=candidate.uid,
        image_id=candidate.image_id,
        state=own.state.value,
        name=name,
        probabilities=dict(candidate.probabilities),
        model=candidate.model,
        model_hash=candidate.model_hash,
        decisions=tuple(decision_of(event) for event in sorted(events, key=lambda one: one.seq)),
        adjudicated_by=last.reader if last else "",
        adjudicated_at=moment_text(last.at) if last else "",
    )
