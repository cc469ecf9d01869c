"""Segmentations and reports that lie beside the images, in the PACS or in the folder, as labels of these images."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatic.errors import BadInputError, HepaticError, NotFoundError
from hepatic.io.dicom_report_read import read_report_header
from hepatic.io.dicom_seg_read import read_seg_header
from hepatic.pacs.attributes import number, text
from hepatic.pacs.error import PacsError
from hepatic.pacs.headers import write_headers
from hepatic.pacs.inbox import Inbox, Outcome
from hepatic.pacs.store import PacsStore
from hepatic.store.folder import FolderStore
from hepatic.store.images import Image
from hepatic.store.label import Label
from hepatic.store.store import Store
from server.executor import Executor, NoWorkerError, QueueFullError, WorkCancelledError
from server.host import Host, is_shared
from server.pacs.existing import FINAL, Existing, read_existing

logger = logging.getLogger(__name__)

FROM_PACS = "pacs"
"""Key of a label's info: the object it was read from, and the version that is it."""
OTHER = "pacs"
"""The tag of a label that was found where a reader here has said something already."""

_LOOK_S = 10.0
_READING_S = 600.0
_LARGEST_BYTES = 1 << 30


@dataclass(frozen=True)
class _Object:
    """An object that may hold a label: what names it, what changes with it, and how its file is had."""

    key: str
    stamp: str
    fetch: Callable[[Path], Path]


class FoundLabels:
    """Looks for such objects, and reads each once.

    A label that a reader saved here is never replaced: what is found then has the tag ``pacs``.

    Args:
        host: the app, whose datastore has the images.
        executor: in whose workers objects are read.
        ours: tells which of some SOPInstanceUIDs were sent from here.
        data_dir: where the record is kept.
        scratch: for temporary files.
    """

    def __init__(
        self,
        host: Host,
        executor: Executor,
        *,
        ours: Callable[[Collection[str]], set[str]],
        data_dir: Path,
        scratch: Path,
    ) -> None:
        self._host, self._executor, self._ours, self._scratch = host, executor, ours, scratch
        self._inbox = Inbox(data_dir / "inbox.sqlite")
        self._next_at = 0.0

    def close(self) -> None:
        """Close the record."""
        self._inbox.close()

    def look(self) -> bool:
        """Read one object that is new; return whether there was one."""
        if not is_shared(self._host.datastore) or time.monotonic() < self._next_at:
            return False
        store: Store = self._host.datastore.store
        try:
            one = self._next(store)
            if one is None:
                self._next_at = time.monotonic() + _LOOK_S
                return False
            outcome, told = self._read(store, one)
        except (QueueFullError, NoWorkerError, WorkCancelledError, PacsError):
            self._next_at = time.monotonic() + _LOOK_S  # another time
            return False
        if told:
            logger.info("a segmentation or report is left where it is: %s", told)
        self._inbox.note(one.key, one.stamp, outcome, told)
        return True

    def _next(self, store: Store) -> _Object | None:
        """Return an object that was not looked at; None where there is none."""
        if isinstance(store, FolderStore):
            files = dict(store.images.results())
            new = self._inbox.new(files.items())
            return _Object(new[0], files[new[0]], lambda _: store.root / new[0]) if new else None
        if isinstance(store, PacsStore):
            series = {one.uid: (f"{one.instances} {one.since}", one.study_uid) for one in store.catalogue.results()}
            for uid in self._inbox.new((uid, stamp) for uid, (stamp, _) in series.items()):
                stamp, study = series[uid]
                if (one := self._instance(store, study, uid, stamp)) is not None:
                    return one
        return None

    def _instance(self, store: PacsStore, study: str, series: str, stamp: str) -> _Object | None:
        """Return an instance of a series that was not looked at; where there is none, the series is noted."""
        try:
            listed = store.client.instances(study, series)
        except NotFoundError:
            listed = []
        listed.sort(key=lambda one: (number(one, "InstanceNumber"), text(one, "SOPInstanceUID")))
        uids = [text(one, "SOPInstanceUID") for one in listed]
        new = self._inbox.new((uid, "") for uid in uids)
        if not new:
            self._inbox.note(series, stamp, "later" if self._inbox.waits(uids) else "read")
            return None

        def fetch(target: Path) -> Path:
            with target.open("wb") as file:
                store.client.save_instance(study, series, new[0], file, at_most_bytes=_LARGEST_BYTES)
            return target

        return _Object(new[0], "", fetch)

    def _read(self, store: Store, one: _Object) -> tuple[Outcome, str]:
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            try:
                file = one.fetch(Path(folder) / "object.dcm")
                sop_uid, series = _about(file)
                if sop_uid in self._ours([sop_uid]):
                    return "ours", ""
                image = next((i for uid, uids in series.items() for i in _images(store, uid, uids)), None)
                if image is None:
                    return "later", ""
                with self._image(store, image, Path(folder)) as source:
                    found = self._executor.submit(read_existing, str(file), str(source), timeout_s=_READING_S).result()
                for label in found:
                    self._save(store, image, label, sop_uid, next(iter(series)))
            except (QueueFullError, NoWorkerError, WorkCancelledError, PacsError):
                raise
            except HepaticError as reason:
                return "left", str(reason) if isinstance(reason, BadInputError) else type(reason).__name__
        return ("read", "") if found else ("left", "it says nothing of boxes or classes")

    @contextmanager
    def _image(self, store: Store, image: Image, folder: Path) -> Iterator[Path]:
        """Lend the image, or the headers of its files alone where it is not on this machine."""
        there = store.source(image.id, make=not isinstance(store, PacsStore))
        if there is None and isinstance(store, PacsStore):
            there = folder / "headers"
            write_headers(store.client, image.study_uid, image.series_uid, image.instance_uid, there)
        if there is None:
            raise NotFoundError("the image", expected="its files", came="none", fix="Put them back.")
        yield there

    def _save(self, store: Store, image: Image, label: Existing, sop_uid: str, series_uid: str) -> None:
        try:
            heads = {tag: store.labels.latest(image.id, tag) for tag in store.labels.tags(image.id)}
            if label.tracking and any(_covers(heads[tag], label) for tag in (label.tag, OTHER) if tag in heads):
                return  # another report of the same findings
            tag = label.tag if label.tag not in heads or is_from_pacs(heads[label.tag]) else OTHER
            history = store.labels.history(image.id, tag)
            version = (history[-1].version if history else 0) + 1
            about = {"sop_uid": sop_uid, "series_uid": series_uid, "version": version, "tracking": label.tracking}
            store.labels.save(
                image.id,
                tag,
                label.file,
                author=label.author,
                model=label.model,
                model_hash=label.model_version,
                info={**label.info, FROM_PACS: about},
            )
        finally:
            label.file.unlink(missing_ok=True)
        if tag == FINAL:
            try:
                self._host.app.on_save_label(image.id, image.id)
            except Exception as failure:  # classes that the app does not know
                logger.info("the classes of a label that was found are not noted: %s", type(failure).__name__)


def is_from_pacs(label: Label) -> bool:
    """Whether a label was found beside its image, and nobody here has changed it since."""
    about = label.info.get(FROM_PACS)
    return isinstance(about, dict) and about.get("version") == label.version


def _covers(head: Label, label: Existing) -> bool:
    about: Any = head.info.get(FROM_PACS)
    known = about.get("tracking") if isinstance(about, dict) else None
    return isinstance(known, list) and set(label.tracking) <= set(known)


def _about(file: Path) -> tuple[str, dict[str, frozenset[str]]]:
    """Return an object's SOPInstanceUID, and the instances by series that it is about.

    Raises:
        BadInputError: it is neither a segmentation nor a report.
    """
    seg = read_seg_header(file)
    if seg is not None:
        return seg.sop_uid, {seg.series_uid: seg.instance_uids}
    report = read_report_header(file)
    if report is None or not report.images:
        raise BadInputError(
            "the object", expected="a segmentation or a report of images", came="another", fix="Leave it where it is."
        )
    return report.sop_uid, dict(report.images)


def _images(store: Store, series_uid: str, instances: Collection[str]) -> list[Image]:
    """Return the images that an object is about: a series, or one cine of it."""
    found = store.images.all(series_uid=series_uid) if series_uid else []
    return [one for one in found if one.kind == "volume" or one.instance_uid in instances]
