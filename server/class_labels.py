"""Classes that readers settled at ``/qa``, as the final labels of their images: where a case page keeps them, too."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hepatic.errors import HepaticError
from hepatic.geometry import Grid
from hepatic.harvest.book import Review
from hepatic.harvest.events import Event
from hepatic.harvest.noted_class import REVIEW, told
from hepatic.harvest.reviewed_studies import moment_text
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study import Candidate
from hepatic.harvest.verdicts import classes_held
from hepatic.store.label import FINAL, Label
from hepatic.store.said import counting, said_by
from server.cases import readings
from server.cases.cases import Cases

logger = logging.getLogger(__name__)

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
        image, note = candidate.image_id, review.study.note
        history = self._cases.store.labels.history(image, FINAL)
        mine = next((one for one in reversed(history) if told(one).get("study") == review.uid), None)
        speaker = next((one for one in counting(history) if note in said_by(one)), None)
        is_back = mine is not None and (
            not told(mine)["event"] or (mine is not speaker and bool(told(mine).get("undone")))
        )
        is_contradicted = mine is not None and speaker is not None and speaker.version > mine.version
        event = _settled_by(review, candidate.uid, name)
        if event is not None:
            is_kept = mine is not None and told(mine)["event"] == event.id and not is_back
            is_known = event.id in {told(one).get("event") for one in history}
            is_empty = not name and not self._takes_back(image, note, event, speaker)
            if not is_kept and not (is_known and is_contradicted) and not is_empty:
                self._say(review, image, name, by=event.reader, event=event.id, seen=len(history))
        elif mine is not None and mine is speaker and not is_back:
            self._take_back(review, mine, history)

    def _takes_back(self, image: str, note: str, event: Event, speaker: Label | None) -> bool:
        """Whether a class is noted that was said before a reviewer called none fitting."""
        is_noted = bool(readings.classes_of(self._cases.store, image, {note}))
        return is_noted and (speaker is None or speaker.created <= moment_text(event.at))

    def _say(self, review: Review, image: str, name: str, *, by: str, event: str, seen: int) -> None:
        note, store = review.study.note, self._cases.store
        label = readings.save(
            store,
            image,
            known={note: review.study.classes},
            by=by,
            seen=seen,
            folder=self._folder,
            classes={note: name},
            grid=_NO_GRID,
        )
        store.labels.update_info(
            image, FINAL, {REVIEW: {"study": review.uid, "event": event, "version": label.version}}
        )

    def _take_back(self, review: Review, mine: Label, history: Sequence[Label]) -> None:
        """Let what was said before count again; say that nothing does where it was ours, or others spoke since."""
        image, store = mine.image_id, self._cases.store
        before = told(history[mine.version - 2]) if mine.version > 1 else {}
        if history[-1] is not mine or (before.get("study") == review.uid and before["event"]):
            self._say(review, image, "", by=mine.author, event="", seen=len(history))
            return
        store.labels.update_info(image, FINAL, {REVIEW: {**told(mine), "undone": True}})  # a tombstone has no info
        readings.undo(store, image, known={review.study.note}, by=mine.author, seen=mine.version)


def _settled_by(review: Review, candidate: str, name: str) -> Event | None:
    """Return the last event by which who may save labels settled an image: a reading's end, or a reviewer's word.

    That of a reviewer who said that no class fits, too: then there is no class to be noted.
    """
    ends = [r.finished for r in review.readings if r.kind == "first" and r.finished and r.verdict(candidate) == name]
    adjudicated = [event for event in review.adjudicated if event.candidate == candidate]
    able = [event for event in (*ends, *adjudicated) if event.may_label]
    return max(able, key=lambda event: event.seq, default=None)
