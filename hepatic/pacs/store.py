"""A DICOMweb server as a store: images are listed and fetched there, labels lie in a folder on this machine."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

from hepatic.errors import BadInputError, ConflictError, HepaticError, NotFoundError
from hepatic.pacs.ahead import Ahead
from hepatic.pacs.cache import ImageCache
from hepatic.pacs.catalogue import Catalogue
from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import PacsError
from hepatic.pacs.fetch import Fetcher, Wanted
from hepatic.pacs.filter import read_filter
from hepatic.pacs.replaced import Replaced
from hepatic.pacs.spec import PacsSpec
from hepatic.settings import settings
from hepatic.store.disk import make_private_folder, storage
from hepatic.store.header import HeaderReader
from hepatic.store.listing import Listing
from hepatic.store.scan import ScanReport
from hepatic.store.store import Store

logger = logging.getLogger(__name__)

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_ASKED_AGAIN_S = 10.0


class PacsStore(Store):
    """The images that a DICOMweb server has, and the labels that are kept of them in a data folder on this machine.

    Listings and counts come from the index, without a question to the server; ``rescan`` brings it up to date. An
    image is fetched when its files are asked for.

    Args:
        spec: which server.
        data: the data folder; created, closed to other users of this machine, if it is not there.
        header: reads the header of a file, or of a folder with the files of a series.
        content: names the content of a folder.
        holds: whether what this process asks for stays as long as it lives: a training reads its images many times.

    Raises:
        BadInputError: HEPATIC_DICOMWEB_FILTER cannot be read.
        StorageError: the data folder cannot be written.

    Attributes:
        spec: which server.
        client: asks it.
        catalogue: the series that it lists, segmentations and reports too.
    """

    def __init__(
        self, spec: PacsSpec, *, data: Path, header: HeaderReader, content: Callable[[Path], str], holds: bool = False
    ) -> None:
        data = data.absolute()
        with storage("create the data folder"):
            make_private_folder(data)
        super().__init__(data, data, name=spec.url.partition("://")[2])
        self.spec, self.client = spec, PacsClient(spec)
        self._header, self._content, self._holds = header, content, holds
        self._listing = Listing(self._database)
        filters = read_filter(settings().dicomweb_filter)
        self.catalogue = Catalogue(self.client, self._listing, self.data / "pacs.db", filters=filters)
        self.cache = ImageCache(self.data / "cache" / "pacs", limit_bytes=settings().dicomweb_cache_mib << 20)
        self._fetcher = Fetcher(self.client, make_room=self.cache.make_room, at_most_bytes=self.cache.limit_bytes)
        self._replaced = Replaced(self.client, self.catalogue, self.images, self._listing, self.cache)
        self.reconciled = self.labels.reconcile()
        self._is_down, self._trouble = False, ""
        self._ahead = Ahead(self.source)
        self._refused: dict[str, float] = {}
        self._under_way: dict[str, Future[Path]] = {}
        self._guard = threading.Lock()

    def rescan(
        self, *, gently_after_s: float = math.inf, progress: Callable[[int, int], None] | None = None
    ) -> ScanReport:
        """Ask the server what it has. One that does not answer is no error: ``trouble`` says so, and the log.

        Raises:
            StorageError: the index cannot be written.
        """
        started = time.monotonic()
        if not self._is_down:
            self._replaced.look(all_of_them=self._holds)
        try:
            changes = self.catalogue.refresh(progress=progress)
        except (PacsError, NotFoundError) as failure:
            self._is_down = True
            self._tell(str(failure))
            return ScanReport(self.counts().images, 0, (), (), 0, time.monotonic() - started)
        self._is_down = False
        self._tell(changes.trouble)
        for image_id in changes.removed:
            self.cache.drop(image_id)
        self.cache.tidy()
        if changes.added:
            self.reconciled = self.labels.reconcile()
        return ScanReport(changes.series, changes.read, changes.added, changes.removed, 0, time.monotonic() - started)

    @overload
    def source(self, image_id: str) -> Path: ...

    @overload
    def source(self, image_id: str, *, make: bool) -> Path | None: ...

    def source(self, image_id: str, *, make: bool = True) -> Path | None:
        """Return the path under which a reader finds an image: its file, or a folder with the files of its series.

        Args:
            make: whether to fetch it; otherwise None is returned where it is not on this machine.

        Raises:
            NotFoundError: no such image, or the server does not have it any more.
            PacsError: the server does not answer as it should; what came is kept for the next time.
            StorageError: it cannot be kept here.
        """
        stamp = self._stamp(image_id)
        folder = self.cache.get(image_id, stamp)
        if folder is None and make:
            folder = self._fetched(image_id, stamp)
        if folder is None:
            return None
        if self._holds:
            self.cache.hold(folder)
        files = list(folder.iterdir())
        return files[0] if len(files) == 1 else folder

    def files(self, image_id: str) -> list[Path]:
        """Return the files of an image, which is fetched if it is not on this machine."""
        source = self.source(image_id)
        return sorted(source.iterdir()) if source.is_dir() else [source]

    def has(self, image_id: str) -> bool:
        """Whether the server lists an image; where it is none of those listed last, it is asked for this one."""
        try:
            if self.images.get(image_id).present:
                return True
        except NotFoundError:
            pass
        if not _UID.fullmatch(image_id) or time.monotonic() - self._refused.get(image_id, -math.inf) < _ASKED_AGAIN_S:
            return False
        if self.catalogue.look_up(image_id) and self._listing.stamp(image_id) is not None:
            return True
        with self._guard:
            if len(self._refused) > 1000:
                self._refused.clear()
            self._refused[image_id] = time.monotonic()
        return False

    def is_here(self, image_id: str) -> bool:
        """Whether the files of an image are on this machine."""
        return self.source(image_id, make=False) is not None

    def is_settled(self, study_uid: str) -> bool:
        """Whether nobody is sending a study to the server any more."""
        return self.catalogue.is_settled(study_uid)

    def study_date(self, image_id: str) -> str:
        """Return StudyDate as the server lists it, YYYYMMDD; empty where it does not say."""
        series = self.catalogue.get(self.images.get(image_id).series_uid)
        return series.study_date if series else ""

    def check_reachable(self, image_id: str) -> None:
        """Ask the server for one series of its list.

        Raises:
            PacsError: it is down, whatever is asked for.
        """
        self.client.series({"SeriesInstanceUID": self.images.get(image_id).series_uid})

    @property
    def trouble(self) -> str:
        """Why the last list could not be had, or not all of it; empty if it could."""
        return self._trouble

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            logger.error("The images of the PACS could not be listed; it is asked again. %s", trouble)
        elif self._trouble and not trouble:
            logger.info("The PACS answers again")
        self._trouble = trouble

    def fetch_ahead(self, image_id: str) -> None:
        """Begin to fetch an image that somebody is about to ask for; what goes wrong is told to who asks."""
        self._ahead.begin(image_id)

    def add_image(
        self, source: Path, *, name: str = "", image_id: str = "", info: Mapping[str, Any] | None = None
    ) -> str:
        """Send a DICOM file to the server, where the settings allow it, and return the id of its image.

        Raises:
            ConflictError: nothing may be sent.
            BadInputError: it is no DICOM image, or the server does not take it.
            PacsError: the server does not answer as it should.
        """
        return self.add_series([source], info=info)

    def add_series(self, sources: Sequence[Path], *, info: Mapping[str, Any] | None = None) -> str:
        """Send the files of one DICOM series to the server, where the settings allow it, and return its id.

        Raises:
            ConflictError: nothing may be sent.
            BadInputError: they are not of one DICOM series, or the server does not take them.
            PacsError: the server does not answer as it should.
        """
        if not self.spec.takes_studies:
            raise ConflictError(
                "the uploaded image",
                expected="images to come from the PACS that is served",
                came="an upload",
                fix="Send it to the PACS; or set HEPATIC_DICOMWEB_STOW=1 to let this server do so.",
            )
        headers = [self._header(source) for source in sources]
        series = {header.series_uid or "" for header in headers}
        if len(series) != 1 or series == {""}:
            raise BadInputError(
                "the uploaded image",
                expected="DICOM files of one series",
                came="files of another kind, or several series",
                fix="Send each series by itself; a PACS takes DICOM only.",
            )
        stored = self.client.store(sources)
        if stored.failed:
            raise BadInputError(
                "the uploaded image",
                expected="the PACS to take it",
                came=f"a refusal of {len(stored.failed)} files ({', '.join({*stored.failed.values()})})",
                fix="The PACS's own log says more.",
            )
        self.catalogue.look_up(series.pop())
        uids = next(iter(headers[0].sop_instance_uids), "")
        listed = self._listing.of_series(headers[0].series_uid or "")
        added = next((id for id, instance in listed.items() if instance == uids), next(iter(listed), ""))
        if not added:
            raise NotFoundError(
                "the uploaded image",
                expected="a CT, XA or US series",
                came="one of another modality",
                fix="It is in the PACS now, but not among the images here.",
            )
        if info:
            self.images.update_info(added, info)
        return added

    def remove_image(self, image_id: str, *, author: str = "") -> None:
        """Refuse: nothing is ever removed from a PACS.

        Raises:
            ConflictError: always.
        """
        self.images.get(image_id)
        raise ConflictError(
            "the image",
            expected="one in a studies folder",
            came="one in a PACS, where nothing is ever removed from here",
            fix="Remove it in the PACS; its labels here are kept, and can be removed one by one.",
        )

    def close(self) -> None:
        """Close index and connections."""
        super().close()
        self._ahead.close()
        self.catalogue.close()
        self.client.close()

    def _stamp(self, image_id: str) -> int:
        """Return what the server said of an image.

        Raises:
            NotFoundError: it does not list it.
        """
        stamp = self._listing.stamp(image_id)
        if stamp is None:
            self.images.get(image_id)  # raises for an image that never was
            raise NotFoundError(
                f"image {image_id!a}",
                expected="it in the PACS",
                came="a list without it: it was moved or deleted there; its labels are kept",
                fix="Send it to the PACS again.",
            )
        return stamp

    def _fetched(self, image_id: str, stamp: int) -> Path:
        """Fetch an image; threads that want the same one share what comes of it, a failure too."""
        with self._guard:
            under_way = self._under_way.get(image_id)
            mine: Future[Path] = Future()
            if under_way is None:
                self._under_way[image_id] = mine
        if under_way is not None:
            return under_way.result()
        try:
            mine.set_result(self._fetch(image_id, stamp))
        except BaseException as failure:
            mine.set_exception(failure)
        finally:
            with self._guard:
                del self._under_way[image_id]
        return mine.result()

    def _fetch(self, image_id: str, stamp: int) -> Path:
        image = self.images.get(image_id)
        with self.cache.filling(image_id) as parts:
            there = self.cache.get(image_id, stamp)  # another process was faster
            if there is not None:
                return there
            try:
                self._fetcher.fetch(Wanted(image.study_uid, image.series_uid, image.instance_uid), parts)
            except NotFoundError:
                self.catalogue.doubt(image.series_uid)
                raise
            folder = self.cache.complete(image_id, self._content(parts), stamp)
        with suppress(HepaticError):  # who reads it says what is wrong with it
            found = self._header(folder)
            self._listing.correct(image_id, modality=found.modality, kind=found.kind, size=found.size)
        return folder
