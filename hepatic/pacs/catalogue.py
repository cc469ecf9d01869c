"""What a DICOMweb server lists, kept in a database of its own: asked again now and then, and compared.

A series that is missing from one list is still there: a list that is read page by page while studies arrive may miss
one. It is gone when a second list does not have it either.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from hepatic.errors import NotFoundError
from hepatic.pacs.attributes import Attributes, number, text
from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import PacsDownError, PacsError
from hepatic.pacs.images import IMAGES, SeriesImages
from hepatic.pacs.opened import TABLE, Opened
from hepatic.store.database import Database, Schema
from hepatic.store.listing import Listed, Listing

logger = logging.getLogger(__name__)

RESULTS = ("SEG", "SR")
"""Modalities that are listed, and are no images: segmentations and reports."""

_FIELDS = ("NumberOfSeriesRelatedInstances", "StudyDate", "PatientID", "SeriesDescription")
_SETTLE_S = 60.0
_LISTS_UNTIL_GONE = 2
_AT_ONCE = 200
_THREADS = 4

_Said = tuple[Attributes, str]
"""A series as the server lists it, and what changes with it."""

_SCHEMA = Schema(
    2,
    """
CREATE TABLE series (
  uid TEXT PRIMARY KEY, study_uid TEXT NOT NULL, modality TEXT NOT NULL, study_date TEXT NOT NULL,
  instances INTEGER NOT NULL, said TEXT NOT NULL, since REAL NOT NULL, missed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX series_study ON series(study_uid);
""",
    "list of the PACS",
    "the PACS is asked again",
    upgrades=(lambda connection: connection.execute(TABLE),),
)


@dataclass(frozen=True)
class Series:
    """A series as the server lists it.

    Attributes:
        study_date: DICOM DA, YYYYMMDD; empty where the server does not say.
        instances: how many it has; 0 where the server does not say.
        since: when it last changed, or was first seen, in seconds since 1970.
    """

    uid: str
    study_uid: str
    modality: str
    study_date: str
    instances: int
    since: float


@dataclass(frozen=True)
class Changes:
    """What a list changed.

    Attributes:
        series: how many are listed.
        read: how many of them are new or have changed.
        added: ids of images that are new or back.
        removed: ids of images that are gone.
        left_out: series that are new or have changed and could not be read, and why; they are read the next time.
    """

    series: int
    read: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    left_out: Mapping[str, PacsError] = field(default_factory=dict)

    @property
    def trouble(self) -> str:
        """What is told of series that were left out; empty if none was."""
        for failure in self.left_out.values():
            return f"{len(self.left_out)} series of the PACS could not be read; they are asked for again. {failure}"
        return ""


class Catalogue:
    """The series that a server lists, and the images they are in the index.

    Args:
        client: asks the server.
        listing: the index.
        path: the database file.
        filters: what is asked for besides modalities; a Modality among them leaves out the others.
    """

    def __init__(
        self, client: PacsClient, listing: Listing, path: Path, *, filters: Mapping[str, str] | None = None
    ) -> None:
        self._client, self._listing = client, listing
        self._images = SeriesImages(client, listing)
        self._database = Database(path, _SCHEMA)
        self._opened = Opened(client, self._database, fields=_FIELDS)
        self._filters = dict(filters or {})
        self._left_out: frozenset[str] = frozenset()

    def refresh(self, *, progress: Callable[[int, int], None] | None = None) -> Changes:
        """Ask for the list, and bring the index in line with it; a series that cannot be read is left out.

        Raises:
            PacsError: there is no list; nothing was changed.
            NotFoundError: the server has no such service.
            StorageError: the index cannot be written.
        """
        found = {text(one, "SeriesInstanceUID"): one for one in self._ask()}
        known = {row[0]: row[1:] for row in self._rows("SELECT uid, said, missed, study_uid FROM series")}
        opened = self._opened.ask({known[uid][2] for uid in known if uid not in found})
        found |= {u: one for u, one in opened.series.items() if u in known or text(one, "Modality") in RESULTS}
        said = {uid: _said(one) for uid, one in found.items()}
        todo = [uid for uid in found if uid not in known or known[uid][0] != said[uid]]
        todo.sort(key=lambda uid: uid in self._left_out)  # what hangs keeps nothing else back
        added: list[str] = []
        removed: list[str] = []
        left_out = dict(opened.failures)
        for done, batch in _batches(todo):
            new, gone, failures = self._take([(found[uid], said[uid]) for uid in batch])
            added += new
            removed += gone
            left_out |= failures
            if any(isinstance(failure, PacsDownError) for failure in failures.values()):
                break
            if progress is not None:
                progress(done, len(todo))
        self._left_out = frozenset(left_out)
        missed = [uid for uid in known if uid not in found and known[uid][2] not in opened.unknown]
        back = [uid for uid in known if uid in found and known[uid][1]]
        gone_series = [uid for uid in missed if known[uid][1] + 1 >= _LISTS_UNTIL_GONE]
        with self._database.write() as connection:
            connection.executemany("UPDATE series SET missed = 0 WHERE uid = ?", [(uid,) for uid in back])
            connection.executemany("UPDATE series SET missed = 1 WHERE uid = ?", [(uid,) for uid in missed])
        for uid in gone_series:
            removed += self._listing.leave(self._listing.of_series(uid))
        with self._database.write() as connection:
            connection.executemany("DELETE FROM series WHERE uid = ?", [(uid,) for uid in gone_series])
        if gone_series:
            self._opened.forget()
        return Changes(len(found), len(todo), tuple(added), tuple(removed), left_out)

    def look_up(self, series_uid: str) -> bool:
        """Ask for one series, whatever the filters, and take it in; return whether it is an image.

        It stays, with the segmentations and reports of its study, as long as the server has it.

        Raises:
            PacsError: there is no answer.
        """
        found = self._client.series({"SeriesInstanceUID": series_uid}, fields=_FIELDS)
        found = [one for one in found if text(one, "SeriesInstanceUID") == series_uid]
        if not found or text(found[0], "Modality") not in IMAGES:
            return False
        *_, failures = self._take([(found[0], _said(found[0]))])
        for failure in failures.values():
            raise failure
        self._opened.note(text(found[0], "StudyInstanceUID"))
        return True

    def doubt(self, series_uid: str) -> None:
        """Have a series read again with the next list, although that says the same of it as the last."""
        with self._database.write() as connection:
            connection.execute("UPDATE series SET said = '' WHERE uid = ?", (series_uid,))

    def get(self, series_uid: str) -> Series | None:
        """Return a series, None where it is not listed."""
        found = self._series("WHERE uid = ?", series_uid)
        return found[0] if found else None

    def of_study(self, study_uid: str) -> list[Series]:
        """Return the series of a study: its phases, segmentations, reports."""
        return self._series("WHERE study_uid = ?", study_uid)

    def results(self) -> list[Series]:
        """Return the segmentations and reports in studies that have images here, the oldest first."""
        modality, images = "modality IN (SELECT value FROM json_each(?))", json.dumps(IMAGES)
        of_images = f"study_uid IN (SELECT study_uid FROM series WHERE {modality})"  # noqa: S608 - as below
        found = self._series(f"WHERE {modality} AND {of_images}", json.dumps(RESULTS), images)
        return sorted(found, key=lambda one: (one.study_date, one.since))

    def is_settled(self, study_uid: str, *, after_s: float = _SETTLE_S) -> bool:
        """Whether nothing about a study has changed for a while: nobody is sending it any more."""
        return all(time.time() - one.since >= after_s for one in self.of_study(study_uid))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _ask(self) -> Iterator[Attributes]:
        wanted = self._filters.get("Modality")
        for modality in (wanted,) if wanted else (*IMAGES, *RESULTS):
            filters = {**self._filters, "Modality": modality}
            try:
                yield from self._client.series(filters, fields=_FIELDS)
            except NotFoundError:  # no search over all studies: PS3.18 leaves that to the server
                within = {key: value for key, value in self._filters.items() if key != "Modality"}
                for study in self._client.studies({**within, "ModalitiesInStudy": modality}):
                    uid = text(study, "StudyInstanceUID")
                    for one in self._client.series({"Modality": modality}, study_uid=uid, fields=_FIELDS):
                        yield {**study, **one}

    def _take(self, batch: Sequence[_Said]) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, PacsError]]:
        """Enter series; return the ids of images that came and went, and why some series could not be read."""
        read, failures = self._read(batch)
        gone = []
        for (one, _), listed in read:
            ids = {image.id for image in listed}
            gone += [id for id in self._listing.of_series(text(one, "SeriesInstanceUID")) if id not in ids]
        removed = self._listing.leave(gone) if gone else ()
        added = self._listing.enter([image for _, listed in read for image in listed])
        with self._database.write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                [
                    (
                        text(one, "SeriesInstanceUID"),
                        text(one, "StudyInstanceUID"),
                        text(one, "Modality"),
                        text(one, "StudyDate"),
                        number(one, "NumberOfSeriesRelatedInstances"),
                        said,
                        time.time(),
                    )
                    for (one, said), _ in read
                ],
            )
        return added, removed, failures

    def _read(self, batch: Sequence[_Said]) -> tuple[list[tuple[_Said, list[Listed]]], dict[str, PacsError]]:
        """Return the images of series, and why some have none; once the server is down it is asked no more."""
        failures: dict[str, PacsError] = {}

        def read(one: _Said) -> list[Listed] | None:
            if any(isinstance(failure, PacsDownError) for failure in list(failures.values())):
                return None
            try:
                return self._images.of(one[0])
            except PacsError as failure:
                failures[text(one[0], "SeriesInstanceUID")] = failure
                return None

        with ThreadPoolExecutor(_THREADS) as threads:
            images = threads.map(read, batch)
        return [(one, listed) for one, listed in zip(batch, images, strict=True) if listed is not None], failures

    def _series(self, where: str, *values: str) -> list[Series]:
        query = f"SELECT uid, study_uid, modality, study_date, instances, since FROM series {where} ORDER BY uid"  # noqa: S608
        return [Series(*row) for row in self._rows(query, *values)]

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self._database.read() as connection:
            return connection.execute(query, values).fetchall()


def _said(series: Attributes) -> str:
    """Return what, when it changes, means that the series has changed.

    Where a server does not count the instances, the hour is part of it: the series is looked at again every hour.
    """
    keywords = ("StudyInstanceUID", "Modality", "PatientID", "StudyDate", "SeriesDescription")
    count = number(series, "NumberOfSeriesRelatedInstances")
    return "\t".join(
        [*(text(series, keyword) for keyword in keywords), str(count or f"hour {time.time() // 3600:.0f}")]
    )


def _batches(uids: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    left, done = iter(uids), 0
    while batch := list(islice(left, _AT_ONCE)):
        done += len(batch)
        yield done, batch
