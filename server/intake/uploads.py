"""Files that clients send: written into the scratch folder under names of ours, and read before they are used."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from fastapi import UploadFile

from hepatic.errors import BadInputError
from hepatic.io.format import format_of
from hepatic.store.disk import storage
from hepatic.store.names import IMAGE_SUFFIXES, LABEL_SUFFIXES, split_suffix
from server.intake.archive import ARCHIVE_SUFFIXES
from server.intake.inspector import Inspector
from server.intake.scratch import Scratch
from server.names import suffix_of
from server.observe.names import NAMES

WEIGHTS_SUFFIXES = (".safetensors",)
"""Weights that hold numbers only. A ``.pt`` or ``.ts`` file can hold code that runs when it is loaded."""
PACKED = ".zip"
"""A model's card with all of its weights."""

_WHAT = "the image file"


class Uploads:
    """Takes in what clients send. Whoever is given a path discards it; of what is refused nothing is left.

    Every method raises BadInputError for a file that is not what its name says, is broken, or cannot be read within the
    inspector's limits, QueueFullError when too many wait for that, and StorageError when the disk is full.

    Args:
        scratch: where they are written.
        inspector: reads them.
    """

    def __init__(self, scratch: Scratch, inspector: Inspector) -> None:
        self._scratch, self._inspector = scratch, inspector

    def image(self, upload: UploadFile) -> Path:
        """Take in one image."""
        return self.images([upload])[0]

    def images(self, uploads: list[UploadFile]) -> list[Path]:
        """Take in one image, or the files of one DICOM series.

        A name without a suffix (``IM0001``, ``1.2.840.113``) is accepted for a DICOM file, which is called ``.dcm``.
        """
        received: list[Path] = []
        try:
            for upload in uploads:
                received.append(self._receive_image(upload))
            if len({split_suffix(path.name)[1] for path in received}) > 1:
                raise BadInputError(
                    _WHAT, expected="one image", came="files of several kinds", fix="Send each image by itself."
                )
            self._inspector.image(*received)
        except BaseException:
            self._scratch.discard(*received)
            raise
        return received

    def is_archive(self, upload: UploadFile) -> bool:
        """Whether a file is called as archives are."""
        return (upload.filename or "").lower().endswith(ARCHIVE_SUFFIXES)

    def archive(self, upload: UploadFile) -> list[Path]:
        """Take in an archive with one image, or the files of one DICOM series; they lie in a folder of their own."""
        suffix = suffix_of(upload.filename or "", ARCHIVE_SUFFIXES, "the archive")
        received = self._scratch.receive(upload.file, suffix)
        try:
            with self._folder() as folder:
                return self._inspector.unpack(received, folder)
        finally:
            self._scratch.discard(received)

    def label(self, upload: UploadFile, *, inspected: bool = True) -> Path:
        """Take in a label.

        Args:
            upload: the file.
            inspected: read it; off where the datastore has it read, with its image.
        """
        received = self._scratch.receive(
            upload.file, suffix_of(upload.filename or "", LABEL_SUFFIXES, "the label file")
        )
        try:
            if inspected or received.suffix == ".json":
                self._inspector.label(received)
        except BaseException:
            self._scratch.discard(received)
            raise
        return received

    def weights(self, upload: UploadFile) -> Path:
        """Take in a model's weights."""
        suffix = suffix_of(upload.filename or "", WEIGHTS_SUFFIXES, "the weights")
        received = self._scratch.receive(upload.file, suffix)
        try:
            self._inspector.weights(received)
        except BaseException:
            self._scratch.discard(received)
            raise
        return received

    def packed_model(self, upload: UploadFile) -> tuple[Path, list[Path]]:
        """Take in a zip of a model's card and weights; they lie in a folder of their own."""
        received = self._scratch.receive(upload.file, suffix_of(upload.filename or "", (PACKED,), "the packed model"))
        try:
            with self._folder() as folder:
                return self._inspector.packed_model(received, folder)
        finally:
            self._scratch.discard(received)

    def discard(self, *paths: Path) -> None:
        """Delete files that were taken in, with the folder of an archive."""
        folders = {path.parent for path in paths} - {self._scratch.dir}
        self._scratch.discard(*paths, *folders)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """Make a folder, which is gone again if what it was made for fails."""
        folder = self._scratch.dir / uuid.uuid4().hex
        try:
            with storage("unpack the archive"):
                folder.mkdir(mode=0o700)
            yield folder
        except BaseException:
            self._scratch.discard(folder)
            raise

    def _receive_image(self, upload: UploadFile) -> Path:
        name = PureWindowsPath(upload.filename or "").name
        NAMES.remember(name)
        if split_suffix(name)[1]:
            return self._scratch.receive(upload.file, suffix_of(name, IMAGE_SUFFIXES, _WHAT))
        path = self._scratch.receive(upload.file, ".dcm")
        if _is_dicom(path):
            return path
        self._scratch.discard(path)
        raise BadInputError(
            _WHAT,
            expected="a DICOM file, or a name ending in one of " + " ".join(IMAGE_SUFFIXES),
            came="a name without suffix and other contents",
            fix="Give the file the suffix of its format.",
        )


def _is_dicom(path: Path) -> bool:
    try:
        return format_of(path) == "dicom"
    except BadInputError:
        return False
