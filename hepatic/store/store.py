"""What every store has, wherever its images come from: an index of them, their labels, and what waits for one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

from hepatic.errors import NotFoundError
from hepatic.store.case import LabelledCase
from hepatic.store.counts import Counts, counts
from hepatic.store.database import Database
from hepatic.store.disk import sha256_of, storage
from hepatic.store.images import Images
from hepatic.store.labels import Labels, Reconciled
from hepatic.store.scan import ScanReport
from hepatic.store.waiting import Waiting


class Store(ABC):
    """Images, and the labels that are kept of them in a data folder on this machine.

    Any number of processes may have a Store over the same data folder.

    Args:
        data: the data folder, absolute; created if it is not there.
        root: what the paths of the index are below.
        name: what the datastore is called unless somebody calls it otherwise.

    Attributes:
        data: the data folder.
        name: its name.
        images: the index of images.
        labels: the labels and their history.
        waiting: the images without a final label.
        reconciled: which labels were adopted, which are missing, at this start.
    """

    reconciled: Reconciled

    def __init__(self, data: Path, root: Path, *, name: str) -> None:
        self.data, self.name = data, name
        self._database = Database(data / "index.db")
        self.images = Images(self._database, root)
        self.labels = Labels(self._database, data)
        self.waiting = Waiting(self._database)

    @abstractmethod
    def rescan(
        self, *, gently_after_s: float = math.inf, progress: Callable[[int, int], None] | None = None
    ) -> ScanReport:
        """Notice images that were added, changed or removed; cheap where none was.

        Args:
            gently_after_s: from then on take longer, and leave the process to others meanwhile.
            progress: called with how many were read, and how many are to be read.

        Raises:
            StorageError: the index cannot be written.
        """

    @overload
    def source(self, image_id: str) -> Path: ...

    @overload
    def source(self, image_id: str, *, make: bool) -> Path | None: ...

    @abstractmethod
    def source(self, image_id: str, *, make: bool = True) -> Path | None:
        """Return the path under which a reader finds an image, absolute: its file, or a folder with exactly its files.

        Args:
            make: whether to make that folder, or fetch the image; otherwise None is returned where that were necessary.

        Raises:
            NotFoundError: no such image, or its files have gone.
            StorageError: the folder cannot be made.
        """

    @abstractmethod
    def files(self, image_id: str) -> list[Path]:
        """Return the files of an image, absolute.

        Raises:
            NotFoundError: no such image, or its files have gone.
        """

    @abstractmethod
    def has(self, image_id: str) -> bool:
        """Whether there is an image with this id; nothing is made or fetched."""

    def is_here(self, image_id: str) -> bool:
        """Whether the files of an image are on this machine, as those of a folder always are."""
        return True

    def is_settled(self, study_uid: str) -> bool:
        """Whether a study is complete as far as anybody can tell."""
        return True

    def study_date(self, image_id: str) -> str:
        """Return StudyDate of an image, YYYYMMDD, where it is known without its files; else empty."""
        return ""

    def fetch_ahead(self, image_id: str) -> None:  # noqa: B027 - nothing to do where all is here
        """Begin to fetch an image that somebody is about to ask for, if it is elsewhere."""

    def check_reachable(self, image_id: str) -> None:  # noqa: B027 - nothing to ask where all is here
        """Ask what has images that are elsewhere whether it answers at all, after it did not give one of them.

        Raises:
            HepaticError: it does not.
        """

    @property
    def trouble(self) -> str:
        """Why images that are elsewhere cannot be listed at the moment; empty if they can."""
        return ""

    @abstractmethod
    def add_image(
        self, source: Path, *, name: str = "", image_id: str = "", info: Mapping[str, Any] | None = None
    ) -> str:
        """Keep a copy of one image file and return its id."""

    @abstractmethod
    def add_series(self, sources: Sequence[Path], *, info: Mapping[str, Any] | None = None) -> str:
        """Keep copies of the files of one DICOM series, all of them or none, and return its id."""

    @abstractmethod
    def remove_image(self, image_id: str, *, author: str = "") -> None:
        """Take an image and its labels out of use."""

    def labelled_cases(
        self, tag: str, *, fetch: bool = True, only: Collection[str] | None = None
    ) -> list[LabelledCase]:
        """Return the images that are there and have a label with this tag; a label without its file is left out.

        Args:
            only: of these images, which have one (else NotFoundError).
            fetch: whether to fetch images that are elsewhere; otherwise those that are not here are left out.

        Raises:
            StorageError: a folder for a series cannot be made.
        """
        heads = self.labels.heads(tag=tag) if only is None else [self.labels.latest(one, tag) for one in only]
        labels = {label.image_id: label for label in heads}
        cases = []
        for image in self.images.all(labels):
            label = labels[image.id]
            if not fetch and not self.is_here(image.id):
                continue
            with suppress(NotFoundError):
                case = LabelledCase(
                    image_id=image.id,
                    patient_id=image.patient_id,
                    study_uid=image.study_uid,
                    modality=image.modality,
                    source=self.source(image.id),
                    files=tuple(self.files(image.id)),
                    label=self.labels.path(label),
                    label_version=label.version,
                    label_sha256=label.sha256,
                    label_info=label.info,
                )
                cases.append(case)
        return cases

    def checksum(self, image_id: str) -> str:
        """Return ``SHA256:...`` of a single-file image, computed once per file; empty for a series.

        Raises:
            NotFoundError: no such image, or its file has gone.
        """
        known = self.images.get(image_id).checksum
        files = self.files(image_id)
        if known or len(files) != 1:
            return known
        signature = self.images.signature(image_id)
        with storage("read the image"):
            checksum = f"SHA256:{sha256_of(files[0])}"
        self.images.set_checksum(image_id, checksum, signature=signature)
        return checksum

    def counts(self) -> Counts:
        """Return how many images, patients and labels there are, without listing them."""
        with self._database.read() as connection:
            return counts(connection)

    def about(self, key: str, default: str = "") -> str:
        """Return a text kept with the store, such as its name."""
        with self._database.read() as connection:
            row = connection.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
            return default if row is None else str(row[0])

    def set_about(self, key: str, value: str) -> None:
        """Keep a text with the store."""
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (key, value))

    def close(self) -> None:
        """Close the index; the store opens it again if it is used."""
        self._database.close()
