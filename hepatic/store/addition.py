"""Image files on their way into a studies folder: whole, all of them or none, and never over another file."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hepatic.errors import BadInputError, ConflictError, NotFoundError
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
from hepatic.store.images import Images
from hepatic.store.names import IMAGE_SUFFIXES, base_name, safe_id, split_suffix
from hepatic.store.scan import Scanner

_SEGMENTATION = ".seg.nrrd"
_STALE_SECONDS = 24 * 3600.0


class Addition:
    """Copies files to ``incoming`` below the data folder, looks into them there, and gives them their names."""

    def __init__(self, scanner: Scanner, images: Images, root: Path, data: Path, header: HeaderReader) -> None:
        self._scanner, self._images, self._root, self._header = scanner, images, root, header
        self._incoming = data / "incoming"

    def remove_unfinished(self) -> None:
        """Remove what additions left that were cut off a day ago or more."""
        remove_stale(self._incoming, older_than_s=_STALE_SECONDS)

    def image(self, source: Path, *, name: str, image_id: str, info: Mapping[str, Any]) -> str:
        """Keep a copy of one image file and return its id; see ``FolderStore.add_image``."""
        base = base_name(name or source.name)
        suffix = split_suffix(base)[1]
        _check_upload(base, suffix)
        with storage("keep the uploaded image"):
            make_folder(self._incoming)
            written = write_temporary(source, self._incoming, suffix=suffix)
            try:
                header = self._header(written.path)
                added = self._same(header, written.sha256)
                if added is None:
                    if header.series_uid:
                        target = self._root / "uploads" / safe_id(header.series_uid) / base
                    else:
                        target = self._root / (safe_id(image_id) + suffix if image_id else base)
                    _check_upload(target.name, suffix)
                    return self._keep(written, target, header, info)
            finally:
                written.path.unlink(missing_ok=True)
        if info:
            self._images.update_info(added, info)
        return added

    def series(self, sources: Sequence[Path], *, info: Mapping[str, Any]) -> str:
        """Keep copies of the files of one DICOM series and return its id; see ``FolderStore.add_series``."""
        series: set[str] = set()
        known: str | None = None
        with storage("keep the uploaded series"):
            incoming = self._incoming / f"{TEMPORARY}{uuid.uuid4().hex}"
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
                    self._images.update_info(known, info)
                    return known
                target = self._root / "uploads" / safe_id(series.pop())
                make_folder(target.parent)
                if target.exists():
                    target = target.with_name(f"{target.name}-{uuid.uuid4().hex[:8]}")
                sync_folder(incoming)
                incoming.rename(target)
                sync_folder(target.parent)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
        added = self._enter([target / name for name in names], info, ours=True)
        if added is None:
            raise NotFoundError(
                "uploaded series", expected="its files", came="none: somebody took them away", fix="Upload it again."
            )
        return added

    def _same(self, header: ImageHeader, sha256: str) -> str | None:
        """Return the image that has this very DICOM file already, whatever it is called there.

        Raises:
            ConflictError: it has another file for the same instance.
        """
        held = self._scanner.holder(header)
        if held is None:
            return None
        file, image_id = held
        if sha256_of(self._root / file) == sha256:
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
        relative = [file.relative_to(self._root).as_posix() for file in files]
        try:
            added = self._scanner.take_in(*relative)
            if added is not None and info:
                self._images.update_info(added, info)
        except StorageError:
            if ours:
                for file in files:
                    file.unlink(missing_ok=True)
                with suppress(StorageError):  # what it could not forget now it will not find at the next scan
                    self._scanner.forget(relative)
                with suppress(OSError):
                    if files[0].parent != self._root:
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
            self._scanner.forget([target.relative_to(self._root).as_posix()])
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
