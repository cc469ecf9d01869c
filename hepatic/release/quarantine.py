"""Pictures that may name their patient in the pixels do not leave until somebody looked at what is blacked out."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.io.burnt_in import BurntIn, burnt_in, masked_copy, propose_mask, with_boxes
from hepatic.io.dicom import read_header
from hepatic.io.format import format_of
from hepatic.io.header import header as image_header
from hepatic.io.image import Cine
from hepatic.io.read import read
from hepatic.io.ultrasound import to_grey
from hepatic.store.disk import TEMPORARY, make_folder, sha256_of, storage, sync_folder
from hepatic.store.images import Image
from hepatic.store.names import folder_key
from hepatic.store.store import Store

State = Literal["free", "held", "approved"]
Box = tuple[int, int, int, int]

_RECORD = "approval.json"
_FORMAT = 2


class HeldError(ConflictError):
    """A picture that may not leave yet."""


@dataclass(frozen=True)
class Approval:
    """Who let a picture leave, and what of it is blacked out.

    Attributes:
        by: who looked at it.
        at: when, ISO 8601, UTC.
        as_is: whether it leaves unchanged, because there is no text in it.
        boxes: (left, top, right, bottom) in pixels, one past the last, blacked out beside what was proposed.
        share: of its pixels that are black now.
        source: SHA-256 of the files that were looked at.
        copies: SHA-256 of each copy that leaves; none where it leaves unchanged.
    """

    by: str
    at: str
    as_is: bool
    boxes: tuple[Box, ...]
    share: float
    source: str
    copies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """A picture in quarantine, or out of it.

    Attributes:
        image_id: which.
        description: its SeriesDescription.
        modality: its modality.
        said: what it says of text in its pixels.
        state: "held" or "approved".
        approval: the newest one; None while it is held.
    """

    image_id: str
    description: str
    modality: str
    said: BurntIn
    state: State
    approval: Approval | None = None


@dataclass(frozen=True, eq=False)
class Proposal:
    """What would be blacked out.

    Attributes:
        picture: (H, W) uint8, the brightest grey value of all frames: no text that any frame shows is missing.
        mask: (H, W), true where pixels would go.
    """

    picture: NDArray[np.uint8]
    mask: NDArray[np.bool_]


class Quarantine:
    """Which pictures of a store may leave, and as what.

    A picture whose BurnedInAnnotation is YES, or that does not say it and is one of a screen, is held. Approvals are
    kept below ``release`` of the store's data folder, numbered, with the copies that leave. An approval is for the
    files that were looked at, not for others that take their place.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def held(self) -> list[Held]:
        """Return all pictures that were put into quarantine, those that are approved by now too."""
        here = (image for image in self._store.images.all() if self._store.is_here(image.id))
        return [self.state(image, said) for image in here if (said := self.said(image.id)) != "no"]

    def state(self, image: Image, said: BurntIn) -> Held:
        """Return whether an image may leave that says this of text in its pixels."""
        approval = None
        with suppress(HeldError):
            approval = self._approval(image.id)
        state: State = "held" if approval is None else "approved"
        return Held(image.id, image.description, image.modality, said, state, approval and approval[0])

    def said(self, image_id: str) -> BurntIn:
        """Return what an image says of text in its pixels, all its files considered.

        Raises:
            NotFoundError: there is no such image.
        """
        answers = {_said(file) for file in self._store.files(image_id)}
        return "yes" if "yes" in answers else "unknown" if "unknown" in answers else "no"

    def files(self, image_id: str) -> list[Path]:
        """Return the files of an image as they may leave: itself, or the copies that were approved.

        Raises:
            HeldError: nobody has approved them, or what was approved is damaged.
            NotFoundError: there is no such image.
        """
        files = self._store.files(image_id)
        said = self.said(image_id)
        if said == "no":
            return files
        approval = self._approval(image_id)
        if approval is None:
            found = (
                "says that text is burnt in"
                if said == "yes"
                else "may have text burnt in, or shows somebody's features"
            )
            raise HeldError(
                f"image {image_id!a}",
                expected="a picture without burnt-in text, or one that was masked and approved",
                came=f"one that {found}",
                fix=f"Look at it (hepatic quarantine show), then: hepatic quarantine approve {image_id}",
            )
        record, folder = approval
        return files if record.as_is else _copies(folder)

    def propose(self, image_id: str) -> Proposal:
        """Return what would be blacked out of an image.

        Raises:
            BadInputError: it cannot be read, or is a volume.
        """
        found = [_proposal(file) for file in self._store.files(image_id)]
        if len({one.mask.shape for one in found}) > 1:
            return found[0]
        picture = np.max([one.picture for one in found], axis=0)
        return Proposal(picture, np.any([one.mask for one in found], axis=0))

    def approve(self, image_id: str, *, by: str, boxes: Sequence[Box] = (), as_is: bool = False) -> Approval:
        """Let an image leave: what is proposed and the boxes are blacked out in copies, the image itself stays.

        Args:
            image_id: which.
            by: who looked at it.
            boxes: (left, top, right, bottom) in pixels, one past the last; more to black out.
            as_is: nothing is blacked out: there is no text in it.

        Raises:
            BadInputError: it needs no approval, has no DICOM to copy, or a box is outside.
            StorageError: the copies cannot be written; nothing is approved.
        """
        by = _name(by)
        if self.said(image_id) == "no":
            raise ConflictError(
                f"image {image_id!a}", expected="one in quarantine", came="one that may leave", fix="Nothing to do."
            )
        files = self._store.files(image_id)
        if not as_is and any(format_of(file) != "dicom" for file in files):
            raise BadInputError(
                f"image {image_id!a}",
                expected="DICOM, of which a masked copy can be made",
                came="another format",
                fix="Mask it before it is imported; if there is no text in it, approve it as it is.",
            )
        source = _content(files)
        home = self._home(image_id)
        with storage("keep the approved copies"):
            make_folder(home)
            temporary = home / f"{TEMPORARY}{uuid.uuid4().hex}"
            temporary.mkdir()
            try:
                shares = [0.0]
                for number, file in enumerate([] if as_is else files):
                    mask = _proposal(file).mask
                    masked_copy(file, mask, boxes, temporary / f"{number:05d}.dcm")
                    shares.append(float(with_boxes(mask, boxes).mean()))
                at = datetime.now(UTC).isoformat(timespec="seconds")
                copies = tuple(sha256_of(copy) for copy in _copies(temporary))
                made = Approval(by, at, as_is, tuple(boxes), round(max(shares), 4), source, copies)
                self._enter(home, temporary, made)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        return made

    def withdraw(self, image_id: str, *, by: str) -> None:
        """Hold an image again that was approved; the record of the approval stays.

        Raises:
            HeldError: what was approved is damaged, so it is held already.
            NotFoundError: it is not approved.
        """
        by = _name(by)
        if self._approval(image_id) is None:
            raise NotFoundError(
                f"image {image_id!a}", expected="an approved one", came="one that is not", fix="Nothing to do."
            )
        home = self._home(image_id)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with storage("withdraw the approval"):
            temporary = home / f"{TEMPORARY}{uuid.uuid4().hex}"
            temporary.mkdir()
            try:
                self._enter(home, temporary, Approval(by, at, False, (), 0.0, source=""))
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _home(self, image_id: str) -> Path:
        return self._store.data / "release" / folder_key(image_id)

    def _enter(self, home: Path, temporary: Path, made: Approval) -> None:
        """Put a folder with its record in place under the next number."""
        (temporary / _RECORD).write_text(json.dumps({"format": _FORMAT, **asdict(made)}), encoding="utf-8")
        sync_folder(temporary)
        last = max((number for number, _ in _numbered(home)), default=0)
        temporary.rename(home / str(last + 1))
        sync_folder(home)

    def _approval(self, image_id: str) -> tuple[Approval, Path] | None:
        """Return the newest approval of the files that are there now, and where its copies are.

        Raises:
            HeldError: its record or its copies are not what was kept.
        """
        newest = max(_numbered(self._home(image_id)), default=None)
        if newest is None:
            return None
        folder = newest[1]
        try:
            told = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
            is_known = told.pop("format") == _FORMAT
            if not is_known or told["source"] != _content(self._store.files(image_id)):
                return None
            boxes = tuple((left, top, right, bottom) for left, top, right, bottom in told.pop("boxes"))
            made = Approval(boxes=boxes, copies=tuple(told.pop("copies")), **told)
            is_whole = made.copies == tuple(sha256_of(copy) for copy in _copies(folder))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            is_whole = False
        if not is_whole:
            raise HeldError(
                f"image {image_id!a}",
                expected="the copies that were approved, as they were",
                came="damaged ones, or a damaged record",
                fix=f"Look at it, and approve it again: hepatic quarantine approve {image_id}",
            )
        return made, folder


def _name(by: str) -> str:
    name = by.strip()
    if not name or not name.isprintable():
        came = "control characters" if name else "nothing"
        raise BadInputError("by", expected="the name of who looked at it", came=came, fix="Say who you are.")
    return name


def _copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dcm"))


def _proposal(file: Path) -> Proposal:
    image = read(file)
    if not isinstance(image, Cine):
        raise BadInputError(file.name, expected="a picture or cine", came="a volume", fix="Mask it elsewhere.")
    grey = to_grey(image.frames, image.bits_stored)
    return Proposal(grey.max(axis=0), propose_mask(grey, image.regions))


def _said(file: Path) -> BurntIn:
    if format_of(file) == "dicom":
        return burnt_in(read_header(file))
    found = image_header(file)
    return "unknown" if found.kind == "cine" or found.modality == "US" else "no"


def _content(files: Sequence[Path]) -> str:
    return sha256("".join(sorted(sha256_of(file) for file in files)).encode()).hexdigest()


def _numbered(home: Path) -> Iterator[tuple[int, Path]]:
    if home.is_dir():
        for folder in home.iterdir():
            if folder.name.isdecimal():
                yield int(folder.name), folder
