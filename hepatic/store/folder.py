"""A studies folder: the images in it, their labels, and what can be done to both."""

from __future__ import annotations

import math
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.settings import settings
from hepatic.store.disk import (
    TEMPORARY,
    StorageError,
    Written,
    make_folder,
    remove_stale,
    sha256_of,
    storage,
    sync_folder,
    write_temporary,
)
from hepatic.store.header import HeaderReader, ImageHeader
from hepatic.store.names import IMAGE_SUFFIXES, base_name, folder_key, safe_id, split_suffix
from hepatic.store.removal import Removal
from hepatic.store.scan import Scanner, ScanReport
from hepatic.store.series_folder import content_name, make_series_folder
from hepatic.store.store import Store

_SEGMENTATION = ".seg.nrrd"
_STALE_SECONDS = 24 * 3600.0


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
        self._header = header
        self._scanner = Scanner(self._database, self.root, skip=self.data, header=header, not_images=not_images)
        self._removal = Removal(self._database, self.root, self.data)
        self._removal.undo_unfinished()
        self.reconciled = self.labels.reconcile()
        remove_stale(self.data / "incoming", older_than_s=_STALE_SECONDS)

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
        base = base_name(name or source.name)
        suffix = split_suffix(base)[1]
        _check_upload(base, suffix)
        with storage("keep the uploaded image"):
            incoming = self.data / "incoming"
            make_folder(incoming)
            written = write_temporary(source, incoming, suffix=suffix)
            try:
                header = self._header(written.path)
                added = self._same(header, written.sha256)
                if added is None:
                    if header.series_uid:
                        target = self.root / "uploads" / safe_id(header.series_uid) / base
                    else:
                        target = self.root / (safe_id(image_id) + suffix if image_id else base)
                    _check_upload(target.name, suffix)
                    return self._keep(written, target, header, info or {})
            finally:
                written.path.unlink(missing_ok=True)
        if info:
            self.images.update_info(added, info)
        return added

    def add_series(self, sources: Sequence[Path], *, info: Mapping[str, Any] | None = None) -> str:
        """Keep copies of the files of one DICOM series, all of them or none, and return its id.

        They appear in the studies folder together, in a folder below ``uploads``. Files that are there are passed over.

        Raises:
            BadInputError: one of them is no image, or they are not of one series.
            ConflictError: there is another file for one of the instances.
            StorageError: the disk is full or cannot be written; nothing was added.
        """
        series: set[str] = set()
        known: str | None = None
        with storage("keep the uploaded series"):
            incoming = self.data / "incoming" / f"{TEMPORARY}{uuid.uuid4().hex}"
            make_folder(incoming)
            try:
                names: list[str] = []
                for source in sources:
                    written = write_temporary(source, incoming)
                    header = self._header(written.path)
                    series.add(header.series_uid or "")
                    same = self._same(header, written.sha256)
                    if same is not None:
                        written.path.unlink()
                        known = same
                        continue
                    names.append(f"{len(names):05d}.dcm")
                    written.path.rename(incoming / names[-1])
                if len(series) != 1 or series == {""}:
                    raise BadInputError(
                        "uploaded series",
                        expected="the files of one DICOM series",
                        came="other images, or several series",
                        fix="Upload each image by itself.",
                    )
                if known is not None and not names:
                    self.images.update_info(known, info or {})
                    return known
                target = self.root / "uploads" / safe_id(series.pop())
                make_folder(target.parent)
                if target.exists():
                    target = target.with_name(f"{target.name}-{uuid.uuid4().hex[:8]}")
                sync_folder(incoming)
                incoming.rename(target)
                sync_folder(target.parent)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
        added = self._enter([target / name for name in names], info or {}, ours=True)
        if added is None:
            raise NotFoundError(
                "uploaded series", expected="its files", came="none: somebody took them away", fix="Upload it again."
            )
        return added

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

    def _same(self, header: ImageHeader, sha256: str) -> str | None:
        """Return the image that has this very DICOM file already, whatever it is called there.

        Raises:
            ConflictError: it has another file for the same instance.
        """
        held = self._scanner.holder(header)
        if held is None:
            return None
        file, image_id = held
        if sha256_of(self.root / file) == sha256:
            return image_id
        raise ConflictError(
            "uploaded image",
            expected="a new one, or the same file again",
            came="another file for an instance that is there already (it has the same SOPInstanceUID)",
            fix="To replace it, remove the image first.",
        )

    def _enter(self, files: list[Path], info: Mapping[str, Any], *, ours: bool) -> str | None:
        """Put files that are in their place into the index, with notes; return the id of their image.

        Args:
            ours: whether to take them away again if that cannot be done; a file that was there before stays.
        """
        relative = [file.relative_to(self.root).as_posix() for file in files]
        try:
            added = self._scanner.take_in(*relative)
            if added is not None and info:
                self.images.update_info(added, info)
        except StorageError:
            if ours:
                for file in files:
                    file.unlink(missing_ok=True)
                with suppress(StorageError):  # what it could not forget now it will not find at the next scan
                    self._scanner.forget(relative)
                with suppress(OSError):
                    if files[0].parent != self.root:
                        files[0].parent.rmdir()
            raise
        return added

    def _keep(self, written: Written, target: Path, header: ImageHeader, info: Mapping[str, Any]) -> str:
        """Put a file in its place and into the index; return the id of its image."""
        make_folder(target.parent)
        is_new = self._place(written.path, target, written.sha256)
        added = self._enter([target], info, ours=is_new)
        if added is not None:
            return added
        if is_new:  # and nobody else's
            target.unlink(missing_ok=True)
            self._scanner.forget([target.relative_to(self.root).as_posix()])
        same = self._same(header, written.sha256)  # somebody else uploaded it at the same moment
        if same is None:
            raise ConflictError(
                "uploaded image", expected="a new image", came="one that cannot be indexed", fix="Nothing to do."
            )
        return same

    def _place(self, temporary: Path, target: Path, sha256: str) -> bool:
        """Give a file its name, without ever overwriting another; return False if it was there already."""
        try:
            try:
                os.link(temporary, target)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                if target.exists():
                    raise FileExistsError from None
                temporary.rename(target)
            sync_folder(target.parent)
            return True
        except FileExistsError:
            if sha256_of(target) == sha256:
                return False
            raise ConflictError(
                f"uploaded image {target.name}",
                expected="a name that is free",
                came="another image with that name",
                fix="Rename the file, or give another image id, and upload it again.",
            ) from None


def _check_upload(base: str, suffix: str) -> None:
    if suffix and suffix not in IMAGE_SUFFIXES:
        raise BadInputError(
            "uploaded image",
            expected="one DICOM, NIfTI (.nii, .nii.gz) or NRRD (.nrrd) file",
            came=f"a file ending in {suffix}",
            fix="Unpack archives and upload the files one by one, or copy them into the studies folder.",
        )
    if base.endswith(_SEGMENTATION):  # the scan would take it for a label
        raise BadInputError(
            "uploaded image",
            expected="an image",
            came=f"a segmentation ({_SEGMENTATION})",
            fix="Save it as the label of its image, or rename it if it is an image.",
        )
