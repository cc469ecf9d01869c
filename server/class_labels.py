"""Classes that readers settled at ``/qa``, as the final labels of their images: where a case page keeps them, too."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np

from hepatic.errors import HepaticError
from hepatic.geometry import Grid
from hepatic.harvest.book import Review
from hepatic.harvest.events import Event
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study import Candidate
from hepatic.harvest.verdicts import classes_held
from hepatic.store.label import Label
from server.cases import readings
from server.cases.cases import FINAL, Cases

logger = logging.getLogger(__name__)

REVIEW = "review"
"""Key of a label's info: the study under review, the event that settled the class, and the version that says it."""

_NO_GRID = Grid((1, 1, 1), np.eye(4))  # no boxes are drawn


class ClassLabels:
    """Writes what is settled, once per decision, and takes it back where its readers do.

    Only what somebody said who may save labels (an annotator): what readers alone agree on stays a reading. What
    somebody says of an image afterwards, on its case page for example, stands.

    Args:
        cases: whose images are classified.
        store: of reviews.
        folder: for temporary files.
    """

    def __init__(self, cases: Cases, store: ReviewStore, folder: Path) -> None:
        self._cases, self._store, self._folder = cases, store, folder
        self._lock = threading.Lock()

    def keep(self, study: str) -> None:
        """Let the labels of a study's images say what holds now; what fails is logged, and made good at the next."""
        review = self._store.book.review(study)
        if review is None or review.study.kind != "classification":
            return
        held = {candidate.uid: name for candidate, name in classes_held(review, self._store.rules)}
        for candidate in review.study.candidates:
            try:
                with self._lock:
                    self._keep(review, candidate, held.get(candidate.uid, ""))
            except HepaticError as failure:
                logger.warning("a class that readers settled is not in the datastore yet: %s", failure)

    def keep_all(self) -> None:
        """The same for every study."""
        for uid in self._store.reviews_of("classification"):
            self.keep(uid)

    def _keep(self, review: Review, candidate: Candidate, name: str) -> None:
        store, image, note = self._cases.store, candidate.image_id, review.study.note
        history = store.labels.history(image, FINAL)
        head = history[-1] if history else None
        known = {note: review.study.classes}
        event = _settled_by(review, candidate.uid, name)
        if name and event is not None:
            if event.id in {_told(label).get("event") for label in history}:
                return
            label = readings.save(
                store,
                image,
                known=known,
                by=event.reader,
                seen=head.version if head else 0,
                folder=self._folder,
                classes={note: name},
                grid=_NO_GRID,
            )
            about = {"study": review.uid, "event": event.id, "version": label.version}
            store.labels.update_info(image, FINAL, {REVIEW: about})
        elif head is not None and not head.removed and _told(head).get("study") == review.uid:
            readings.undo(store, image, known=known, by=head.author, seen=head.version)


def _settled_by(review: Review, candidate: str, name: str) -> Event | None:
    """Return the last event by which who may save labels gave an image its class: a reading's end, or a settlement."""
    ends = [r.finished for r in review.readings if r.kind == "first" and r.finished and r.verdict(candidate) == name]
    adjudicated = [event for event in review.adjudicated if event.candidate == candidate]
    able = [event for event in (*ends, *adjudicated) if event.may_label]
    return max(able, key=lambda event: event.seq, default=None)


def _told(label: Label) -> dict[str, object]:
    """What a version says of the review it comes from; nothing where it is one that only took it over."""
    about = label.info.get(REVIEW)
    return about if isinstance(about, dict) and about.get("version") == label.version else {}
