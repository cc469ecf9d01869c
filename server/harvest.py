"""Harvesting by clicks: the review store of the studies that are served, and what fills it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hepatic.errors import ConflictError
from hepatic.harvest.book import Review
from hepatic.harvest.leases import Lease
from hepatic.harvest.queue import Place, order_of, reader_state
from hepatic.harvest.reviews import state_of
from hepatic.harvest.rules import Rules
from hepatic.harvest.slicer_boxes import rois_of
from hepatic.harvest.store import FOLDER, ReviewStore
from hepatic.harvest.study import ProposedStudy, StudyKind
from hepatic.harvest.study_json import to_json
from hepatic.harvest.verdicts import Settled, cards_of, settled, was_missed
from hepatic.io.markups import encode_rois
from hepatic.settings import Settings
from server.jobs.job import as_text

logger = logging.getLogger(__name__)

DEFAULT_READER = "reader"
"""Who reads where nobody logs in and the page names nobody."""


class Harvest:
    """The reviews of the studies that are served.

    Args:
        data_dir: folder for what the server writes.
        rules: by which studies are read.
        url: of a PostgreSQL database for the reviews, instead of a file.
        date_of: tells the study date of an image, YYYY-MM-DD; empty where nobody knows.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        rules: Rules | None = None,
        url: str = "",
        date_of: Callable[[str], str] = lambda image_id: "",
    ) -> None:
        self.store = ReviewStore(data_dir / FOLDER, rules=rules, url=url)
        self._date_of = date_of

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def queue(
        self, reader: str, *, may_box: bool, limit: int = 200, offset: int = 0, kind: StudyKind | None = None
    ) -> dict[str, Any]:
        """Return a reader's queue, as ``GET /qa/api/v1/queue`` tells it."""
        places = self.store.queue(reader, may_box=may_box, kind=kind)
        counts: dict[str, int] = dict.fromkeys(("waiting", "started", "boxing", "leased", "finished", "done"), 0)
        for place in places:
            counts[place.state] += 1
        page = places[offset : offset + limit]
        rounds = [one.round for place in page for one in place.review.of(reader)]
        return {
            "reader": reader,
            "round": max(rounds, default=1),
            "studies": [self._place(place, reader) for place in page],
            "counts": {**counts, "studies": len(places)},
        }

    def leased(self, lease: Lease, *, may_box: bool, kind: StudyKind | None = None) -> dict[str, Any]:
        """Return what a reader is given with a study; the detector's scores and their order are not in it."""
        reader = lease.reader
        etag = self.store.reviews.etag(lease.study, reader)  # before the state: what comes meanwhile was not seen
        review = self.store.review(lease.study)
        upcoming = self.store.upcoming(reader, may_box=may_box, most=4, kind=kind)
        return {
            "study": self._study(review, lease),
            "lease": lease_json(lease),
            "next": [uid for uid in upcoming if uid != lease.study][:3],
            "etag": etag,
        }

    def study(self, uid: str, reader: str, *, reveal: bool) -> dict[str, Any]:
        """Return a study as a reader may know it.

        Args:
            uid: StudyInstanceUID.
            reader: who asks.
            reveal: tell the detector's scores and what others said too, and close the reader's reading for it.

        Raises:
            ConflictError: the reader has not finished it, and wants it revealed.
        """
        review = self.store.review(uid)
        last = review.last_of(reader)
        finished = last is not None and last.finished is not None
        if reveal and not finished:
            raise ConflictError(
                "the study",
                expected="one that you have finished",
                came="one that you are to read without knowing the scores",
                fix="Finish it first.",
            )
        if reveal:
            self.store.finalise(uid, reader)
            review = self.store.review(uid)
            last = review.last_of(reader)
        told: dict[str, Any] = {
            "study": uid,
            "patient_label": review.study.patient_id,
            "state": reader_state(reader, review, self.store.leases.held().get(uid), rules=self.store.rules),
            "warnings": list(review.study.warnings),
            "readings": [state_of(one, review.proposal(one.proposal)) for one in review.of(reader)],
        }
        if last is not None and last.finished and last.finalised:
            held = settled(review, self.store.rules)
            told["model"], told["model_hash"] = review.latest.model, review.latest.model_hash
            told["candidates"] = [
                {**candidate, **settled_json(held[candidate["uid"]])}
                for candidate in to_json(review.study)["candidates"]
            ]
        return told

    def boxes(self, uid: str, reader: str) -> bytes:
        """Return the boxes that a reader judges in 3D Slicer, as a markups file.

        Raises:
            NotFoundError: there is no such study.
            ConflictError: they have not begun to read it.
        """
        review = self.store.review(uid)
        last = review.last_of(reader)
        if review.study.kind != "detection":
            raise ConflictError(
                "the study",
                expected="one whose lesions are boxed",
                came="one whose images are classified",
                fix="Draw boxes on the case page of an image.",
            )
        if last is None:
            raise ConflictError(
                "the study",
                expected="one that you have begun to read",
                came="one that you have not asked for",
                fix="Ask for it with POST lease, or open it at /qa.",
            )
        return encode_rois(rois_of(review, last, self.store.rules))

    def _place(self, place: Place, reader: str) -> dict[str, Any]:
        last = place.review.last_of(reader)
        study = place.review.study
        return {
            "study": place.review.uid,
            "patient_label": study.patient_id,
            "date": self._date(study),
            "state": place.state,
            "asks": study.kind,
            "candidates": len(cards_of(place.review, self.store.rules)),
            "decided": len(last.verdicts) if last else 0,
            "warnings": list(study.warnings),
        }

    def _date(self, study: ProposedStudy) -> str:
        first = study.candidates[0].image_id if study.candidates else ""
        return self._date_of(study.image_ids.get(study.reference, first))

    def _study(self, review: Review, lease: Lease) -> dict[str, Any]:
        reading = next(one for one in review.of(lease.reader) if one.round == lease.round)
        proposed = review.proposal(reading.proposal)
        order = order_of(review, reading, self.store.rules)
        candidates = {one.uid: one for one in proposed.study.candidates}
        told = to_json(proposed.study)
        told["asks"] = told.pop("kind")
        told["candidates"] = [
            {"uid": uid, "box": list(candidates[uid].box), "key_slice": candidates[uid].key_slice} for uid in order
        ]
        told["cards"] = [
            {
                "candidate": uid,
                "order": number,
                "key_slice": candidates[uid].key_slice,
                "box": list(reading.corrected.get(uid, candidates[uid].box)),
                "slices": proposed.study.size[2],
                "decision": _decision(reading.verdicts.get(uid)),
            }
            for number, uid in enumerate(order)
        ]
        told["date"] = self._date(proposed.study)
        if reading.kind == "boxing":
            told["boxing"] = "missed" if was_missed(review) else "unlikely"
        told["kind"] = "boxing" if reading.kind == "boxing" else "reading"  # a hidden repeat is not told apart
        told["state"] = state_of(reading, proposed)
        return told


def rules_of(chosen: Settings) -> Rules:
    """Return the rules that the settings say."""
    return Rules(
        readers=chosen.qa_readers,
        lease_s=chosen.qa_lease_s,
        known_every=chosen.qa_known_every,
        repeat_every=chosen.qa_repeat_every,
        min_iou=chosen.qa_min_iou,
        manual_minutes=chosen.qa_manual_minutes,
        test_share=chosen.qa_test_share,
    )


def lease_json(lease: Lease) -> dict[str, Any]:
    """Return what a reader is told of a lease; ``seconds`` are those that are left."""
    return {
        "id": lease.id,
        "study": lease.study,
        "round": lease.round,
        "expires_at": as_text(lease.expires),
        "seconds": round(max(0.0, lease.expires - time.time()), 1),
    }


def settled_json(one: Settled) -> dict[str, Any]:
    """Return what holds of a candidate."""
    return {
        "state": one.state.value,
        "verdict": None if one.verdict is None else one.verdict.value,
        "votes": {reader: verdict.value for reader, verdict in one.votes.items()},
        "inherited": one.inherited or None,
    }


def _decision(event: Any) -> dict[str, Any] | None:
    return None if event is None else {"event": event.id, "verdict": str(event.verdict)}
