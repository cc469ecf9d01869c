"""Fetching the instances of an image: all in one answer, then in parallel those that did not come.

Each file is looked through before it counts: that it is the instance asked for, and that it is whole. What came stays
when the connection breaks, and is not fetched again.
"""

from __future__ import annotations

import io
import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pydicom
from pydicom.dataelem import RawDataElement

from hepatic.errors import HepaticError, NotFoundError
from hepatic.pacs.attributes import text
from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import PacsError, nonsense
from hepatic.store.disk import TEMPORARY

logger = logging.getLogger(__name__)

_THREADS = 6
_TRIES = 2
_FEW = 4
"""Up to so many are fetched one by one."""
_PORTIONS = 256
"""Room is made in portions of this part of what an image may take."""
_DEFER_BYTES = 1 << 16
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class Wanted:
    """An image to fetch.

    Attributes:
        sop_uid: the only instance of it; empty for the whole series.
    """

    study_uid: str
    series_uid: str
    sop_uid: str = ""


class MakeRoom(Protocol):
    """What makes room for files, such as ``ImageCache.make_room``."""

    def __call__(self, needed_bytes: int, *, parts: Path) -> None: ...  # noqa: D102


class Fetcher:
    """Fetches instances into a folder.

    Args:
        client: asks the server.
        make_room: called with a number of bytes, and the folder as ``parts``, before so many are written there; raises
            where there is no room.
        at_most_bytes: no image is larger.
    """

    def __init__(self, client: PacsClient, *, make_room: MakeRoom, at_most_bytes: int) -> None:
        self._client, self._make_room, self._at_most_bytes = client, make_room, at_most_bytes

    def fetch(self, wanted: Wanted, folder: Path) -> None:
        """Bring a folder to hold exactly the instances of an image, as ``<SOPInstanceUID>.dcm``.

        Args:
            folder: may hold some of them, from an attempt that broke.

        Raises:
            NotFoundError: the server does not have it any more.
            PacsError: not all of it came; what came is kept.
            StorageError: there is no room.
        """
        uids = self._list(wanted)
        for file in list(folder.iterdir()):
            if file.suffix != ".dcm" or file.stem not in uids or not _is_whole(file, wanted, file.stem):
                file.unlink()
        spending = _Spending(partial(self._make_room, parts=folder), self._at_most_bytes)
        if not wanted.sop_uid and len(_missing(folder, uids)) > max(_FEW, len(uids) // 2):
            self._together(wanted, uids, folder, spending)
        self._one_by_one(wanted, _missing(folder, uids), folder, spending)

    def _list(self, wanted: Wanted) -> set[str]:
        if wanted.sop_uid:
            return {wanted.sop_uid}
        found = self._client.instances(wanted.study_uid, wanted.series_uid)
        if not found:
            raise NotFoundError(
                "the image", expected="its instances in the PACS", came="none", fix="Was it moved or deleted there?"
            )
        return {text(one, "SOPInstanceUID") for one in found}

    def _together(self, wanted: Wanted, uids: set[str], folder: Path, spending: _Spending) -> None:
        """Take what comes in one answer; what does not is fetched afterwards."""
        came = 0

        def begin() -> BinaryIO:
            return spending.opened(folder)

        def end(file: BinaryIO) -> None:
            nonlocal came
            temporary = Path(file.name)
            file.close()
            uid = uid_of_whole(temporary, wanted)
            if uid not in uids:
                raise nonsense("an instance came that was not listed")
            temporary.rename(folder / f"{uid}.dcm")
            came += 1

        try:
            with _swept(folder):
                self._client.save_series(
                    wanted.study_uid, wanted.series_uid, begin, end, at_most_bytes=self._at_most_bytes
                )
        except (PacsError, NotFoundError) as failure:
            if isinstance(failure, PacsError) and failure.status == 504 and not came:
                raise
            logger.info("a series came in part (%d of %d): %s", came, len(uids), failure)

    def _one_by_one(self, wanted: Wanted, uids: Sequence[str], folder: Path, spending: _Spending) -> None:
        broken = threading.Event()

        def fetch(uid: str) -> None:
            for last in range(1, _TRIES + 1):
                if broken.is_set():
                    return
                file = spending.opened(folder)
                try:
                    with file:
                        self._client.save_instance(
                            wanted.study_uid, wanted.series_uid, uid, file, at_most_bytes=self._at_most_bytes
                        )
                    if uid_of_whole(Path(file.name), wanted) != uid:
                        raise nonsense("another instance came than the one asked for")
                    Path(file.name).rename(folder / f"{uid}.dcm")
                    return
                except NotFoundError as failure:
                    broken.set()
                    if wanted.sop_uid:
                        raise
                    raise nonsense("an instance that it lists is not there") from failure
                except PacsError as failure:
                    if last == _TRIES or failure.status == 504:  # who says nothing for long is not asked twice
                        broken.set()
                        raise
                except HepaticError:
                    broken.set()
                    raise
                finally:
                    Path(file.name).unlink(missing_ok=True)

        with ThreadPoolExecutor(_THREADS) as threads:
            for done in [threads.submit(fetch, uid) for uid in uids]:
                done.result()


class _Spending:
    """Makes room for what is written before it is."""

    def __init__(self, make_room: Callable[[int], None], at_most_bytes: int) -> None:
        self._make_room, self._left_bytes, self._room_bytes = make_room, at_most_bytes, 0
        self._portion_bytes = at_most_bytes // _PORTIONS
        self._lock = threading.Lock()

    def opened(self, folder: Path) -> BinaryIO:
        raw = (folder / f"{TEMPORARY}{uuid.uuid4().hex}").open("xb", buffering=0)
        return cast(BinaryIO, io.BufferedWriter(_Counted(raw, self.spend), 1 << 20))

    def spend(self, size: int) -> None:
        with self._lock:
            self._left_bytes -= size
            self._room_bytes -= size
            if self._left_bytes < 0:
                raise nonsense("it is larger than an image may be (HEPATIC_DICOMWEB_CACHE_MIB)")
            if self._room_bytes < 0:
                needed = max(size, self._portion_bytes)
                self._make_room(needed)
                self._room_bytes = needed


class _Counted(io.RawIOBase):
    """A file that tells what is written to it."""

    def __init__(self, file: io.FileIO, spend: Callable[[int], None]) -> None:
        super().__init__()
        self._file, self._spend = file, spend
        self.name = file.name

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self._spend(view.nbytes)
        return self._file.write(view)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


@contextmanager
def _swept(folder: Path) -> Iterator[None]:
    """Leave no half file behind."""
    try:
        yield
    finally:
        for file in folder.glob(f"{TEMPORARY}*"):
            with suppress(OSError):
                file.unlink()


def _missing(folder: Path, uids: set[str]) -> list[str]:
    there = {file.stem for file in folder.glob("*.dcm")}
    return sorted(uids - there)


def _is_whole(file: Path, wanted: Wanted, uid: str) -> bool:
    try:
        return uid_of_whole(file, wanted) == uid
    except PacsError:
        return False


def uid_of_whole(file: Path, wanted: Wanted) -> str:
    """Return the SOPInstanceUID of a DICOM file of a series that is whole.

    Raises:
        PacsError: it is none.
    """
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            dataset = pydicom.dcmread(stream, defer_size=_DEFER_BYTES)
            elements = [dataset.get_item(tag, keep_deferred=True) for tag in dataset.keys()]  # noqa: SIM118
        for one in elements:
            if isinstance(one, RawDataElement) and one.length != _UNDEFINED and one.value_tell + one.length > size:
                raise nonsense("a file ends too early")
        found = tuple(str(dataset[name].value) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
    except PacsError:
        raise
    except Exception as failure:  # whatever a parser says of what it cannot parse
        raise nonsense("a file is no DICOM file, or not a whole one") from failure
    if found[:2] != (wanted.study_uid, wanted.series_uid):
        raise nonsense("an instance of another series came")
    return found[2]
