"""Snapshots: what a training learns from, written once under its own hash and never changed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hepatic.errors import BadInputError
from hepatic.harvest.book import Review
from hepatic.harvest.lesson import Lesson, lesson
from hepatic.harvest.parts import Part, draw_parts
from hepatic.harvest.rules import Rules
from hepatic.harvest.verdicts import classes_held
from hepatic.store.connection import SharedDatabase
from hepatic.store.disk import TEMPORARY, make_folder, put_in_place, storage

VERSION = 1
HARVEST, FOLDER = "harvest", "snapshots"
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Snapshot:
    """One snapshot.

    Attributes:
        sha256: of what it says; its file is ``<sha256>.json``.
        number: 1 for the first.
        at: seconds since 1970.
        asked_by: who wanted it.
        file: where it lies.
        summary: ``studies``, ``boxes``, ``negatives``, ``ignored``, ``complete``, ``test`` (studies that test),
            ``patients``, ``clicks``, ``minutes`` that were spent reading and ``manual`` studies that were boxed; where
            images were classified, ``images`` and ``image_minutes``, by note; where classifiers can learn, ``labels``:
            how many images they learn from, by note.
    """

    sha256: str
    number: int
    at: float
    asked_by: str
    file: Path
    summary: Mapping[str, Any]


class Snapshots:
    """The snapshots of one review store.

    Args:
        database: of ``open_reviews``.
        folder: of the store.
        clock: seconds since 1970.
    """

    def __init__(self, database: SharedDatabase, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._database, self._folder, self._clock = database, folder / FOLDER, clock

    def take(
        self,
        reviews: Mapping[str, Review],
        upto: int,
        rules: Rules,
        *,
        asked_by: str = "",
        drawn: Mapping[str, Part] | None = None,
        labels: Sequence[Mapping[str, Any]] = (),
    ) -> Snapshot:
        """Write down what everything that is finished teaches. If nothing has changed, the last one is returned.

        Args:
            reviews: all studies.
            upto: number of the last event that they hold.
            rules: by which studies were read.
            asked_by: who wants it.
            drawn: see ``draw_parts``.
            labels: what classifiers learn from, ``NotedClass.as_json`` of each image.

        Raises:
            BadInputError: nothing has been finished yet.
        """
        detected = {uid: review for uid, review in reviews.items() if review.study.kind == "detection"}
        images = _images((review for review in reviews.values() if review.study.kind == "classification"), rules)
        lessons = {uid: lesson(review, rules) for uid, review in detected.items()}
        lessons = {uid: one for uid, one in lessons.items() if one.boxes or one.negatives or one.background}
        if not lessons and not images and not labels:
            raise BadInputError(
                "the snapshot",
                expected="a study that somebody has finished",
                came="none",
                fix="Read some studies at /qa first.",
            )
        with self._database.write() as connection:
            able: dict[str, bool] = {}
            for uid, one in lessons.items():
                patient = reviews[uid].study.patient_id
                able[patient] = able.get(patient, False) or (one.complete and bool(one.boxes))
            parts = draw_parts(connection, able, rules=rules, now=self._clock(), drawn=drawn)
        content = {**_content(detected, lessons, parts), **images, **({"labels": [*labels]} if labels else {})}
        sha256 = hashlib.sha256(_canonical(content)).hexdigest()
        known = self.get(sha256)
        if known is not None and known.file.is_file():
            return known
        now = self._clock()
        created = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
        self._write(sha256, {**content, "created": created, "sha256": sha256})
        summary = _summary(content)
        with self._database.write() as connection:
            (number,) = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM snapshot").fetchone()
            connection.execute(
                "INSERT INTO snapshot (sha256, number, at, asked_by, seq, summary) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (sha256, number, now, asked_by, upto, json.dumps(summary)),
            )
        found = self.get(sha256)
        assert found is not None  # noqa: S101 - just written
        return found

    def get(self, sha256: str) -> Snapshot | None:
        """Return one snapshot, None if there is none with that hash."""
        return next((one for one in self.all() if one.sha256 == sha256), None)

    def latest(self) -> Snapshot | None:
        """Return the last one, None if there is none."""
        return next(iter(self.all()[-1:]), None)

    def all(self) -> list[Snapshot]:
        """Return all snapshots, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT sha256, number, at, asked_by, summary FROM snapshot ORDER BY number"
            ).fetchall()
        return [
            Snapshot(sha, number, at, who, self._folder / f"{sha}.json", json.loads(summary))
            for sha, number, at, who, summary in rows
        ]

    def _write(self, sha256: str, document: Mapping[str, Any]) -> None:
        with storage("write the snapshot"):
            make_folder(self._folder)
            temporary = self._folder / f"{TEMPORARY}{uuid.uuid4().hex}"
            try:
                with temporary.open("xb") as file:
                    file.write(json.dumps(document, indent=1, sort_keys=True).encode())
                    file.flush()
                    os.fsync(file.fileno())
                put_in_place(temporary, self._folder / f"{sha256}.json")
            finally:
                temporary.unlink(missing_ok=True)


def snapshot_file(data_dir: Path, sha256: str) -> Path:
    """Return where a snapshot lies below a server's data folder.

    Raises:
        BadInputError: that is no hash.
    """
    if not _HASH.fullmatch(sha256):
        raise BadInputError("snapshot", expected="a SHA-256", came=ascii(sha256)[:40], fix="GET /qa/api/v1/snapshots.")
    return data_dir / HARVEST / FOLDER / f"{sha256}.json"


def check_snapshot(file: Path) -> dict[str, Any]:
    """Read a snapshot whose content is what its name says.

    Raises:
        BadInputError: it was changed or damaged.
    """
    try:
        document: dict[str, Any] = json.loads(file.read_bytes())
        content = {key: value for key, value in document.items() if key not in ("created", "sha256")}
        intact = hashlib.sha256(_canonical(content)).hexdigest() == document["sha256"] == file.stem
    except (OSError, ValueError, KeyError):
        intact = False
    if not intact:
        raise BadInputError(
            f"snapshot {file.stem[:12]}",
            expected="a file whose content has the hash in its name",
            came="another content, or no file",
            fix="Take a new snapshot; this one was changed or damaged.",
        )
    return document


def _content(reviews: Mapping[str, Review], lessons: Mapping[str, Lesson], parts: Mapping[str, Part]) -> dict[str, Any]:
    studies: list[dict[str, Any]] = []
    for uid in sorted(lessons):
        review, one = reviews[uid], lessons[uid]
        studies.append(
            {
                "study_uid": uid,
                "patient_id": review.study.patient_id,
                "prepared": review.study.content,
                "reference": review.study.reference.value,
                "size": list(review.study.size),
                "affine": [list(row) for row in review.study.affine],
                "phases": sorted(phase.value for phase in review.study.image_ids),
                "image_ids": {phase.value: image for phase, image in sorted(review.study.image_ids.items())},
                "boxes": [box.as_json() for box in one.boxes],
                "negatives": [box.as_json() for box in one.negatives],
                "ignored": [box.as_json() for box in one.ignored],
                "complete": one.complete,
                "background": one.background,
                "split": parts[review.study.patient_id],
            }
        )
    readings = [r for review in reviews.values() for r in review.readings if r.finished and r.kind != "batch"]
    return {
        "version": VERSION,
        "studies": studies,
        "rounds": max((reading.round for reading in readings), default=0),
        "clicks": sum(reading.clicks for reading in readings),
        "minutes": round(sum(reading.seconds for reading in readings) / 60, 3),
        "manual": sum(any(box["source"] == "manual" for box in study["boxes"]) for study in studies),
    }


def _images(reviews: Iterable[Review], rules: Rules) -> dict[str, Any]:
    """What is known of images that were classified, by the note of the classes; nothing where none were."""
    images: list[dict[str, Any]] = []
    minutes: dict[str, float] = {}
    for review in sorted(reviews, key=lambda one: one.uid):
        study = review.study
        minutes[study.note] = minutes.get(study.note, 0) + sum(r.seconds for r in review.readings if r.finished) / 60
        images += [
            {"image_id": one.image_id, "patient_id": study.patient_id, "note": study.note, "class": name}
            for one, name in classes_held(review, rules)
        ]
    told = {note: round(spent, 3) for note, spent in sorted(minutes.items())}
    return {"images": images, "image_minutes": told} if images else {}


def _summary(content: Mapping[str, Any]) -> dict[str, Any]:
    studies = content["studies"]
    return {
        "studies": len(studies),
        "patients": len({study["patient_id"] for study in studies}),
        "test": sum(study["split"] == "test" for study in studies),
        "complete": sum(study["complete"] for study in studies),
        **{key: sum(len(study[key]) for study in studies) for key in ("boxes", "negatives", "ignored")},
        **{key: content[key] for key in ("clicks", "minutes", "manual")},
        **_images_summary(content),
        **({"labels": _by_note(content["labels"])} if "labels" in content else {}),
    }


def _images_summary(content: Mapping[str, Any]) -> dict[str, Any]:
    if "images" not in content:
        return {}
    return {"images": _by_note(content["images"]), "image_minutes": content["image_minutes"]}


def _by_note(images: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return dict(sorted(Counter(one["note"] for one in images).items()))


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
