"""What the PACS should have of what readers said: derived from the stores, never queued."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.book import Review
from hepatic.harvest.reviewed_studies import reviewed_study
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study_state import study_state
from hepatic.pacs.inbox import Inbox
from hepatic.pacs.outbox import Due, Entry, Outbox
from hepatic.store.label import FINAL, Label
from hepatic.store.names import check_tag
from server.host import Host, is_shared
from server.pacs.objects import LabelToSend, Making, Version, of_label, of_review

_FULL_S = 600.0
"""So often everything is looked at, whether anything seems to have changed or not."""

_LABEL, _REVIEW = "label", "review"
_SETTLED_S = 2.0
"""So old is a label before it is looked at: what a reader draws is saved first, its classes after that."""


class Results:
    """Finds what is due, and says how it is made.

    Args:
        host: the app, whose datastore has the images and labels.
        reviews: of studies.
        outbox: knows what somebody asked for.
        inbox: knows which labels were found, which are not sent back.
        kinds: what is sent by itself: ``labels``, ``reviews``, ``classes``.
    """

    def __init__(self, host: Host, reviews: ReviewStore, outbox: Outbox, inbox: Inbox, kinds: Collection[str]) -> None:
        self._host, self._reviews, self._outbox, self._inbox = host, reviews, outbox, inbox
        self.kinds = frozenset(kinds)
        self._reviewed: dict[str, tuple[Review, Due | None]] = {}
        self._state: object = None
        self._full_at = float("-inf")

    def due(self) -> list[Due] | None:
        """Return every result the PACS should have, as it stands; None where nothing has changed."""
        if not is_shared(self._host.datastore):
            return None
        state = self._now()
        if state == self._state and time.monotonic() - self._full_at < _FULL_S:
            return None
        self._state, self._full_at = state, time.monotonic()
        return list(self._due())

    def look_again(self) -> None:
        """Look at everything the next time."""
        self._state = None

    def _now(self) -> object:
        """Return something that changes when there may be something new."""
        labels = self._host.datastore.store.labels.state() if self.kinds & {"labels", "classes"} else None
        reviews, last_event = self._reviews.book.reviews_upto() if "reviews" in self.kinds else ({}, 0)
        proposals = sum(review.latest.number for review in reviews.values())
        return labels, proposals, last_event, self._outbox.asked()

    def _due(self) -> Iterator[Due]:
        store = self._host.datastore.store
        asked, sent = self._outbox.asked(), self._outbox.newest()
        before = (datetime.now(UTC) - timedelta(seconds=_SETTLED_S)).isoformat(timespec="milliseconds")
        for label in store.labels.heads(tag=FINAL) if self.kinds & {"labels", "classes"} else ():
            if label.created > before:
                self._state = None  # look again
            elif _named(label) not in asked and not (self._inbox.is_found(label) or self._inbox.is_unsure(label)):
                yield from _of_label(label, self.kinds & {"labels", "classes"}, sent)
        if "reviews" in self.kinds:
            for review in self._reviews.book.reviews().values():
                yield from self._of_review(review)
        for result in asked:
            _, image, tag = result.split("/")
            try:
                label = store.labels.latest(image, tag)
            except NotFoundError:  # it was removed meanwhile
                self._outbox.unask([result])
                continue
            if not self._inbox.is_found(label):
                yield from _of_label(label, {"labels", "classes"}, sent)

    def ask(self, image_id: str, tag: str) -> None:
        """Have a label sent, whatever its tag, and whatever is sent by itself.

        Raises:
            NotFoundError: there is none.
            BadInputError: the datastore is not hepatic's.
        """
        if not is_shared(self._host.datastore):
            raise BadInputError("the datastore", expected="hepatic's", came="another", fix="Serve the app hepatic.")
        label = self._host.datastore.store.labels.latest(image_id, check_tag(tag))
        self._outbox.ask(_named(label))

    def work(self, entry: Entry) -> tuple[Making, tuple[Any, ...]]:
        """Return what makes the objects of an entry, and its arguments.

        Raises:
            NotFoundError: the label or the study has gone since.
        """
        version = Version(
            result=entry.result, version=entry.version, number=entry.number, replaces=self._outbox.replaced(entry)
        )
        kind, _, name = entry.result.partition("/")
        if kind == _REVIEW:
            study = reviewed_study(self._reviews.review(name), self._reviews.rules)
            files = self._host.datastore.store.files(study.reference_image)
            return of_review, (study, [str(file) for file in files], version)
        image, _, tag = name.partition("/")
        store = self._host.datastore.store
        label = store.labels.get(image, tag, int(entry.version.partition(":")[0]))
        parts = _parts(entry.version)
        given = LabelToSend(
            image=str(self._host.image_path(image)),
            label=str(store.labels.path(label)),
            info=label.info,
            author=label.author,
            model=label.model,
            model_hash=label.model_hash,
            judged=tag == FINAL,
            classes=_classes(label) if "classes" in parts else {},
            drawn="labels" in parts,
        )
        return of_label, (given, version)

    def _of_review(self, review: Review) -> Iterator[Due]:
        known = self._reviewed.get(review.uid)
        if known is None or known[0] is not review:
            known = (review, self._finished(review))
            self._reviewed[review.uid] = known
        if known[1] is not None:
            yield known[1]

    def _finished(self, review: Review) -> Due | None:
        if review.study.kind != "detection" or study_state(review, self._reviews.rules) != "done":
            return None
        study = reviewed_study(review, self._reviews.rules)
        if not study.candidates:
            return None
        content = [study.complete, study.reference_image, *(asdict(one) for one in study.candidates)]
        return Due(f"{_REVIEW}/{review.uid}", _digest(content), about=f"review of study {review.uid}")


def _of_label(label: Label, parts: Collection[str], sent: Mapping[str, str]) -> Iterator[Due]:
    """Yield what is due of a label: all of it that is asked for, and what of this version was sent before."""
    result, said = _named(label), _classes(label)
    content = f"{label.version}:{label.sha256[:16]}:"
    before = sent.get(result, "")
    had = set(_parts(before)) if before.startswith(content) else set()
    wanted = sorted((set(parts) - (set() if said else {"classes"})) | had)
    if wanted:
        version = content + "+".join(wanted) + (f":{_digest(said)}" if "classes" in wanted else "")
        yield Due(result, version, label.version, f"label '{label.tag}' of {label.image_id}, version {label.version}")


def _parts(version: str) -> list[str]:
    return version.split(":")[2].split("+")


def _named(label: Label) -> str:
    return f"{_LABEL}/{label.image_id}/{label.tag}"


def _classes(label: Label) -> dict[str, str]:
    said = label.info.get("classes")
    return {str(note): str(name) for note, name in said.items() if name} if isinstance(said, dict) else {}


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:32]
