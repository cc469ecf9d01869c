"""A studies folder: the images in it, their labels, and what can be done to both."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from hepatic.errors import NotFoundError
from hepatic.settings import settings
from hepatic.store.addition import Addition
from hepatic.store.disk import storage
from hepatic.store.header import HeaderReader
from hepatic.store.names import folder_key, split_suffix
from hepatic.store.removal import Removal
from hepatic.store.scan import Scanner, ScanReport
from hepatic.store.series_folder import content_name, make_series_folder
from hepatic.store.store import Store


class FolderStore(Store):
    """Images and labels of one studies folder.

    Everything hepatic writes is below its data folder (``.hepatic``), but for uploaded images. Any number of
    processes may have a Store over the same folder.

    Args:
        root: the studies folder; created if it is not there.
        header: reads the header of one file.
        not_images: what it raises for files that never were images; any other error is a broken image.
        data: the data folder, ``settings().data_dir(root)`` by default.

    Raises:
        StorageError: a folder cannot be created, read or written.

    Attributes:
        root: the studies folder, absolute.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        header: HeaderReader,
        not_images: tuple[type[Exception], ...] = (),
        data: Path | None = None,
    ) -> None:
        with storage("create the studies folder"):
            Path(root).mkdir(parents=True, exist_ok=True)
            self.root = Path(root).resolve()
        super().__init__(
            settings().data_dir(self.root) if data is None else data.resolve(), self.root, name=self.root.name
        )
        self._scanner = Scanner(self._database, self.root, skip=self.data, header=header, not_images=not_images)
        self._addition = Addition(self._scanner, self.images, self.root, self.data, header)
        self._removal = Removal(self._database, self.root, self.data)
        self._removal.undo_unfinished()
        self.reconciled = self.labels.reconcile()
        self._addition.remove_unfinished()

    def rescan(
        self, *, gently_after_s: float = math.inf, progress: Callable[[int, int], None] | None = None
    ) -> ScanReport:
        """Notice files that were added, changed or removed; cheap where nothing was.

        Args:
            gently_after_s: from then on take longer, and leave the process to others meanwhile.
            progress: called with the number of files read and to read.

        Raises:
            StorageError: the studies folder cannot be listed, or the index not written.
        """
        report = self._scanner.scan(gently_after_s=gently_after_s, progress=progress)
        for image_id in report.removed:
            self._drop_cache(image_id)
        if report.added and any(self.data.joinpath("labels", folder_key(i)).is_dir() for i in report.added):
            self.reconciled = self.labels.reconcile()
        return report

    @overload
    def source(self, image_id: str) -> Path: ...

    @overload
    def source(self, image_id: str, *, make: bool) -> Path | None: ...

    def source(self, image_id: str, *, make: bool = True) -> Path | None:
        """Return the path under which a reader finds an image, absolute.

        A single file is its own path. The files of a series are the folder that holds them and nothing else; where
        they lie among others, a folder below ``.hepatic/cache/series`` with hard links to them (copies where the file
        system has no links), made anew when a file changes.

        Args:
            make: whether to make that folder; otherwise None is returned where it would have to be made.

        Raises:
            NotFoundError: no such image, or its files have gone.
            StorageError: the folder in the cache cannot be made.
        """
        files = self.files(image_id)
        if len(files) == 1:
            return files[0]
        own = self.images.folder_of_only(image_id)
        if own is not None and own != self.root:
            return own
        with storage("collect the files of a series"):
            folder = self._cache(image_id) / content_name(self.images.signature(image_id))
            return folder if folder.is_dir() else make_series_folder(files, folder) if make else None

    def files(self, image_id: str) -> list[Path]:
        """Return the files of an image, absolute.

        Raises:
            NotFoundError: no such image, or its files have gone.
        """
        files = self.images.files(image_id)
        if not files:
            raise NotFoundError(
                f"image {image_id!a}",
                expected="its files in the studies folder",
                came="none: they were moved or removed; its labels are kept",
                fix="Put the files back and refresh the datastore.",
            )
        return files

    def has(self, image_id: str) -> bool:
        """Whether there is an image with this id, with its files."""
        try:
            source = self.source(image_id, make=False)
        except NotFoundError:
            return False
        return source is None or source.exists()

    def add_image(
        self, source: Path, *, name: str = "", image_id: str = "", info: Mapping[str, Any] | None = None
    ) -> str:
        """Keep a copy of one image file in the studies folder and return its id.

        NIfTI and NRRD go to the top of the folder, DICOM files to ``uploads/<series>``. The same file again is no
        error, wherever in the folder it lies; nothing that is there is overwritten.

        Args:
            name: the client's file name, by default that of the source; only its last part is used.
            image_id: the id a NIfTI or NRRD image should have, made safe; DICOM images are called by their UIDs.
            info: first notes about the image.

        Raises:
            BadInputError: the file is no image, or of a kind that is not taken.
            ConflictError: another image has that name.
            StorageError: the disk is full or cannot be written; nothing was added.
        """
        return self._addition.image(source, name=name, image_id=image_id, info=info or {})

    def add_series(self, sources: Sequence[Path], *, info: Mapping[str, Any] | None = None) -> str:
        """Keep copies of the files of one DICOM series, all of them or none, and return its id.

        They appear in the studies folder together, in a folder below ``uploads``. Files that are there are passed over.

        Raises:
            BadInputError: one of them is no image, or they are not of one series.
            ConflictError: there is another file for one of the instances.
            StorageError: the disk is full or cannot be written; nothing was added.
        """
        return self._addition.series(sources, info=info or {})

    def remove_image(self, image_id: str, *, author: str = "") -> None:
        """Take an image and its labels out of use.

        Its files are moved to ``.hepatic/removed/``, where a person can bring them back or delete them for good; its
        labels get tombstones, so their history stays. All of this is done, or nothing.

        Raises:
            NotFoundError: no such image, or its files have gone.
            StorageError: its files cannot be moved.
        """
        files = [file.relative_to(self.root).as_posix() for file in self.files(image_id)]
        if len(files) == 1:  # what is said beside it goes with it, lest it be said of the next file of that name
            files.append(split_suffix(files[0])[0] + ".json")
        with self._removal.of(image_id, files) as connection:
            self._scanner.forget(files, connection)
            self.labels.remove_all(image_id, connection, author=author)
        self._drop_cache(image_id)

    def _cache(self, image_id: str) -> Path:
        return self.data / "cache" / "series" / folder_key(image_id)

    def _drop_cache(self, image_id: str) -> None:
        """Let no copy of an image outlive it."""
        shutil.rmtree(self._cache(image_id), ignore_errors=True)
