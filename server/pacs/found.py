"""Segmentations and reports that lie beside the images, in the PACS or in the folder, as labels of these images."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hepatic.adapters.read_classes import known_classes
from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.io.dicom_label_header import LabelHeader, OtherObjectError, read_label_header
from hepatic.pacs.attributes import number, text
from hepatic.pacs.catalogue import Series
from hepatic.pacs.error import PacsDownError, PacsError, nonsense
from hepatic.pacs.fetch import Wanted, uid_of_whole
from hepatic.pacs.headers import write_headers
from hepatic.pacs.inbox import Inbox, Outcome
from hepatic.pacs.store import PacsStore
from hepatic.store.folder import FolderStore
from hepatic.store.images import Image
from hepatic.store.store import Store
from server.executor import Executor, NoWorkerError, QueueFullError, WorkCancelledError
from server.host import Host, is_shared
from server.pacs.existing import Existing, read_existing
from server.pacs.found_label import save_found

logger = logging.getLogger(__name__)

_LOOK_S = 10.0
_READING_S = 600.0
_LARGEST_BYTES = 1 << 30
_NOT_NOW = (QueueFullError, NoWorkerError, WorkCancelledError)


@dataclass(frozen=True)
class _Object:
    """An object that may hold a label: what names it, what changes with it, and how its file is had."""

    key: str
    stamp: str
    fetch: Callable[[Path], Path]
    series_uid: str = ""


@dataclass(frozen=True)
class _Came:
    """What came of an object: why, and the series that it waits for with how many of their images are there."""

    outcome: Outcome
    told: str = ""
    awaits: Mapping[str, int] = field(default_factory=dict)


class FoundLabels:
    """Looks for such objects, and reads each once.

    What goes wrong with one does not keep the others: what may work later is tried again, some times.

    Args:
        host: the app, whose datastore has the images.
        executor: in whose workers objects are read.
        ours: tells which of some SOPInstanceUIDs were sent from here.
        inbox: the record.
        scratch: for temporary files.
    """

    def __init__(
        self,
        host: Host,
        executor: Executor,
        *,
        ours: Callable[[Collection[str]], set[str]],
        inbox: Inbox,
        scratch: Path,
    ) -> None:
        self._host, self._executor, self._ours, self._scratch = host, executor, ours, scratch
        self._inbox = inbox
        self._round: tuple[Store, Iterator[_Object]] | None = None
        self._listed: set[str] | None = None
        self._next_at = 0.0

    def look(self) -> bool:
        """Read one object that is new or due; return whether there was one."""
        if not is_shared(self._host.datastore) or time.monotonic() < self._next_at:
            return False
        store: Store = self._host.datastore.store
        if self._round is None or self._round[0] is not store:
            self._round = store, self._found(store)
        try:
            one = next(self._round[1], None)
            if one is not None:
                self._note(one.key, one.stamp, self._read(store, one))
                return True
        except (*_NOT_NOW, PacsError):  # another time
            pass
        self._round, self._next_at = None, time.monotonic() + _LOOK_S
        return False

    def _found(self, store: Store) -> Iterator[_Object]:
        """Yield what there is to read, each thing once."""
        if isinstance(store, FolderStore):
            files = dict(store.images.results())
            self._forget_others(files)
            due = self._inbox.due(store.images.count_in_series)
            for path in dict.fromkeys([*due, *self._inbox.new(files.items())]):
                if path in files:
                    yield _Object(path, files[path], partial(_in_folder, store.root / path))
        elif isinstance(store, PacsStore):
            series = {one.uid: one for one in store.catalogue.results()}
            self._forget_others(series, _series_of)
            due = self._inbox.due(store.images.count_in_series)
            yield from (_in_pacs(store, key) for key in due if "/" in key)
            for uid in dict.fromkeys([*due, *self._inbox.new((one.uid, _stamp(one)) for one in series.values())]):
                if uid in series:
                    yield from self._of_series(store, series[uid])

    def _forget_others(self, listed: Collection[str], name: Callable[[str], str] = str) -> None:
        """Forget what was left or put off and, by the name of a key, is listed no more."""
        if set(listed) != self._listed:
            self._listed = there = set(listed)
            self._inbox.forget(lambda key: name(key) not in there)

    def _of_series(self, store: PacsStore, series: Series) -> Iterator[_Object]:
        """Yield the instances of a series that were not looked at; then it is noted."""
        try:
            listed = store.client.instances(series.study_uid, series.uid)
        except Exception as failure:
            came = self._failed(store, series.uid, failure)
        else:
            listed.sort(key=lambda one: (number(one, "InstanceNumber"), text(one, "SOPInstanceUID")))
            keys = [f"{series.study_uid}/{series.uid}/{text(one, 'SOPInstanceUID')}" for one in listed]
            yield from (_in_pacs(store, key) for key in self._inbox.new((key, "") for key in keys))
            came = _Came("read")
        self._note(series.uid, _stamp(series), came)

    def _note(self, key: str, stamp: str, came: _Came) -> None:
        outcome = self._inbox.note(key, stamp, came.outcome, came.told, awaits=came.awaits)
        if came.told:
            until = "is tried again later" if outcome == "later" else "is left where it is"
            logger.info("a segmentation or report %s: %s", until, came.told)

    def _read(self, store: Store, one: _Object) -> _Came:
        try:
            with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
                file = one.fetch(Path(folder) / "object.dcm")
                header = read_label_header(file)
                if header.sop_uid in self._ours([header.sop_uid]):
                    return _Came("ours")
                return self._labels(store, file, header, Path(folder))
        except OtherObjectError:
            return _Came("other")
        except Exception as failure:
            return self._failed(store, one.series_uid, failure)

    def _labels(self, store: Store, file: Path, header: LabelHeader, folder: Path) -> _Came:
        """Save what an object says of each image that is here."""
        images = {uid: _images(store, uid, instances) for uid, instances in header.images.items()}
        saved, told, is_settled = 0, "", True
        for place, image in enumerate(image for several in images.values() for image in several):
            try:
                with self._source(store, image, folder / str(place)) as source:
                    found = self._executor.submit(read_existing, str(file), str(source), timeout_s=_READING_S).result()
                saved += len(found)
                self._save(store, image, found, header)
            except (NotFoundError, ConflictError):
                raise
            except BadInputError as reason:
                told, is_settled = str(reason), is_settled and store.is_settled(image.study_uid)
        awaits = {
            uid: store.images.count_in_series([uid]).get(uid, 0)
            for uid, instances in header.images.items()
            if not _are_all(images[uid], instances)
        }
        if not is_settled:
            return _Came("later", told, awaits)
        if awaits:
            return _Came("waits", told, awaits)
        if saved:
            return _Came("read", told)
        return _Came("left", told or "it says nothing of boxes or classes")

    @contextmanager
    def _source(self, store: Store, image: Image, folder: Path) -> Iterator[Path]:
        """Lend the image, or the headers of its files alone where it is not on this machine."""
        there = store.source(image.id, make=not isinstance(store, PacsStore))
        if there is None and isinstance(store, PacsStore):
            there = folder
            write_headers(store.client, image.study_uid, image.series_uid, image.instance_uid, there)
        if there is None:
            raise NotFoundError("the image", expected="its files", came="none", fix="Put them back.")
        yield there

    def _save(self, store: Store, image: Image, found: list[Existing], header: LabelHeader) -> None:
        known = known_classes(getattr(self._host.app, "tasks", {}).values(), image.modality)
        try:
            for label in found:
                save_found(store, self._inbox, image.id, label, header, known=known)
        finally:
            for label in found:
                label.file.unlink(missing_ok=True)

    def _failed(self, store: Store, series_uid: str, failure: Exception) -> _Came:
        """Return what comes of an object after a failure.

        Raises:
            PacsError: the PACS gives nothing else either.
            QueueFullError, NoWorkerError, WorkCancelledError: the failure, which is none of the object's.
        """
        if isinstance(failure, _NOT_NOW):
            raise failure
        if isinstance(failure, PacsDownError) and isinstance(store, PacsStore):
            store.client.series({"SeriesInstanceUID": series_uid})  # raises where it is down for everything
        if isinstance(failure, PacsError):
            return _Came("later", str(failure))
        if isinstance(failure, BadInputError) and not isinstance(failure, NotFoundError | ConflictError):
            return _Came("left", str(failure))
        return _Came("later", type(failure).__name__)  # its words may quote the patient


def _series_of(key: str) -> str:
    """Return the series that a key names, or whose instance it names."""
    return key.split("/")[1] if "/" in key else key


def _stamp(series: Series) -> str:
    return f"{series.instances} {series.since}"


def _in_folder(file: Path, _: Path) -> Path:
    return file


def _in_pacs(store: PacsStore, key: str) -> _Object:
    """Return an instance by its UIDs, those of study, series and itself."""
    study, series, instance = key.split("/")

    def fetch(target: Path) -> Path:
        with target.open("wb") as file:
            store.client.save_instance(study, series, instance, file, at_most_bytes=_LARGEST_BYTES)
        if uid_of_whole(target, Wanted(study, series, instance)) != instance:
            raise nonsense("another instance came")
        return target

    return _Object(key, "", fetch, series)


def _images(store: Store, series_uid: str, instances: Collection[str]) -> list[Image]:
    """Return the images that an object is about: a series, or cines of it."""
    found = store.images.all(series_uid=series_uid)
    return [one for one in found if one.kind == "volume" or one.instance_uid in instances]


def _are_all(images: Collection[Image], instances: Collection[str]) -> bool:
    """Whether these are all images of a series that an object is about."""
    return any(one.kind == "volume" for one in images) or (
        bool(images) and set(instances) <= {one.instance_uid for one in images}
    )
