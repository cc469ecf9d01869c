"""MONAI Label's Datastore on a hepatic Store.

Ids nobody knows raise ``UnknownImageError`` and ``UnknownLabelError``: MONAI Label's own exceptions, so that a stock
server and foreign apps catch what they expect, and hepatic's NotFoundError, so that our server answers 404.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from pathlib import Path

from hepatic.adapters import compat
from hepatic.adapters.info import Info, image_info, label_info, listing
from hepatic.adapters.unknown import UnknownImageError, UnknownLabelError, found_or
from hepatic.errors import NotFoundError
from hepatic.io.content import content_hash
from hepatic.io.grid import grid_of
from hepatic.io.header import header as read_header
from hepatic.io.labelmap import read_labelmap
from hepatic.io.markups import read_rois
from hepatic.io.refusal import NotAnImageError
from hepatic.pacs.error import PacsError
from hepatic.pacs.spec import pacs_spec
from hepatic.pacs.store import PacsStore
from hepatic.release.dataset import write_dataset, write_with_patients
from hepatic.release.finished import Finished
from hepatic.release.leaving import Leaving
from hepatic.release.option import Option
from hepatic.release.quarantine import Quarantine
from hepatic.settings import is_url, settings
from hepatic.store.case import LabelledCase
from hepatic.store.disk import StorageError
from hepatic.store.folder import FolderStore
from hepatic.store.header import HeaderReader
from hepatic.store.label import FINAL, Label, check_names_differ
from hepatic.store.rescan import Rescan
from hepatic.store.said import counting, taken_back
from hepatic.store.store import Store
from hepatic.store.waiting import Waiting

compat.install()

from monailabel.interfaces.datastore import Datastore  # noqa: E402

UNCHECKED = "unchecked"
"""Key of a label's info: what could not be checked when it was saved."""


def _check_label(label: Path, image: Path | None) -> None:
    read_labelmap(label, like=None if image is None else grid_of(image))


class HepaticDatastore(Datastore):  # type: ignore[misc]
    """Images and labels of a studies folder or a PACS, as MONAI Label asks for them.

    A label's id is its image's id. Labels are never overwritten: saving adds a version, removing adds a tombstone.

    Args:
        studies: the folder with DICOM, NIfTI and NRRD files, or the URL of a DICOMweb server.
        auto_rescan_seconds: a listing that finds the last scan older than this starts another one in the background,
            and waits for it only where scans are quick; None scans on ``refresh`` only.
        first_scan_seconds: how long the constructor waits for the first scan at most, which then goes on in the
            background; None waits for its end.
        scan: whether to scan at all; somebody else keeps the index in line with the folder where this is off.
        header: reads the header of a file; hepatic's own by default.
        check_label: looks into a labelmap (its file; its image, None where that cannot be had) before it is saved; by
            default in this process.

    Raises:
        StorageError: the folder cannot be read, or ``.hepatic`` in it cannot be written.

    Attributes:
        store: the Store behind it.
    """

    def __init__(
        self,
        studies: str | Path,
        *,
        auto_rescan_seconds: float | None = 30.0,
        first_scan_seconds: float | None = None,
        scan: bool = True,
        header: HeaderReader = read_header,
        check_label: Callable[[Path, Path | None], None] = _check_label,
    ) -> None:
        training = scan and first_scan_seconds is None
        self.store: Store
        if is_url(studies):
            data = settings().data_dir(studies)
            self.store = PacsStore(
                pacs_spec(str(studies)), data=data, header=header, content=content_hash, holds=training
            )
            auto_rescan_seconds = auto_rescan_seconds and settings().dicomweb_poll_s
        else:
            self.store = FolderStore(studies, header=header, not_images=(NotAnImageError,))
        self.check_label = check_label
        self._fetches = training
        is_near = isinstance(self.store, FolderStore)
        self._rescan = Rescan(self.store, after_seconds=auto_rescan_seconds if scan else None, waits=is_near)
        if scan and first_scan_seconds is not None:
            self._rescan.first(wait_s=first_scan_seconds)
        elif scan:
            self.refresh()

    # What it is called

    def name(self) -> str:
        """Return the name of the datastore, that of the folder unless it was set."""
        return self.store.about("name", self.store.name)

    def set_name(self, name: str) -> None:
        """Set the name of the datastore."""
        self.store.set_about("name", name)

    def description(self) -> str:
        """Return the description of the datastore."""
        return self.store.about("description")

    def set_description(self, description: str) -> None:
        """Set the description of the datastore."""
        self.store.set_about("description", description)

    # Listings

    def refresh(self) -> None:
        """Notice files that were added, changed or removed."""
        self._rescan.now()

    def list_images(self) -> list[str]:
        """Return the ids of all images, in the order of their paths."""
        self._rescan.if_old()
        return self.store.images.ids()

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Return the images with a label of this tag (final), and with all these segments if they are named."""
        self._rescan.if_old()
        return self.store.labels.labelled(_tag(label_tag), names=labels or ())

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Return the images without a label of this tag (final), or without one of these segments."""
        self._rescan.if_old()
        return self.store.labels.unlabelled(_tag(label_tag), names=labels or ())

    def unlabeled_infos(self) -> list[tuple[str, Info]]:
        """Return ids and stored info of the images without a final label in one go."""
        return self.waiting().infos()

    def waiting(self, *, passed_over: Collection[str] = ()) -> Waiting:
        """Return the images without a final label, for strategies and scoring, without listing them.

        Args:
            passed_over: ids among them that are left out.
        """
        self._rescan.if_old()
        return replace(self.store.waiting, passed_over=frozenset(passed_over))

    def datalist(self) -> list[Info]:
        """Return the pairs for training: ``image`` and ``label`` paths, with ``image_id`` and ``patient_id``.

        A training fetches what is in a PACS; elsewhere, what is not on this machine is left out.
        """
        return [
            {"image": str(c.source), "label": str(c.label), "image_id": c.image_id, "patient_id": c.patient_id}
            for c in self.store.labelled_cases(FINAL, fetch=self._fetches)
        ]

    def labelled_cases(self, label_tag: str | None = None) -> list[LabelledCase]:
        """Return the images with a label of this tag (final); a label whose file has gone is left out."""
        return self.store.labelled_cases(_tag(label_tag))

    def status(self) -> Info:
        """Return counts: stock's ``total``, ``completed`` and ``label_tags``, and our own beside them.

        ``trouble`` is there while a PACS does not answer, and says why.
        """
        self._rescan.if_old()
        counts = self.store.counts()
        return {
            "total": counts.images,
            "completed": counts.labels.get(FINAL, 0),
            "label_tags": dict(counts.labels),
            "label_names": {tag: dict(names) for tag, names in counts.segments.items()},
            "patients": counts.patients,
            "unreadable": counts.unread,
            "missing": counts.missing,
            **({"trouble": self.store.trouble} if self.store.trouble else {}),
        }

    def json(self) -> Info:
        """Return everything in the form of the stock server's ``datastore_v2.json``."""
        self._rescan.if_old()
        return {"name": self.name(), "description": self.description(), **listing(self.store)}

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Write a zip of images, final labels and metadata (``hepatic.release.dataset``), and return its path.

        Args:
            limit_cases: include so many cases at most; None or 0 for all.

        Raises:
            NotFoundError: nothing is labelled yet.
            BadInputError: no image can be read or may leave; why the first one does not.
            PacsError: the PACS is down, or gives none of them.
            StorageError: the disk is full or cannot be written.
        """
        finished = Finished.of(self.store, limit_cases)
        metadata = json.dumps(self.json(), default=str)
        return str(write_with_patients(Quarantine(self.store), finished, self._archives, metadata=metadata))

    def deidentified_archive(self, limit_cases: int | None, options: Collection[Option]) -> str:
        """Write the same without patients, with these options of the profile.

        Raises: as ``get_dataset_archive``.
        """
        finished = Finished.of(self.store, limit_cases)
        leaving = Leaving(self.store, options)
        return str(write_dataset(leaving, finished.cases, self._archives, missing=finished.missing))

    @property
    def _archives(self) -> Path:
        return self.store.data / "cache" / "archives"

    def files_to_leave(self, image_id: str) -> list[Path]:
        """Return the files of an image for an export: itself, or what was approved of it.

        Raises:
            HeldError: it may have burnt-in text, and nobody approved it (``hepatic.release.quarantine``).
        """
        return Quarantine(self.store).files(image_id)

    # Images

    def has_image(self, image_id: str) -> bool:
        """Return whether there is an image with this id; nothing is fetched."""
        return self.store.has(image_id)

    def get_image(self, image_id: str, params: Info | None = None) -> io.BytesIO | str:
        """Return the bytes of a single-file image, the path of its folder for a series."""
        uri = Path(self.get_image_uri(image_id))
        return str(uri) if uri.is_dir() else io.BytesIO(uri.read_bytes())

    def get_image_uri(self, image_id: str) -> str:
        """Return the path of an image: its file, or a folder with exactly the files of its series (Store.source)."""
        with found_or(UnknownImageError):
            return str(self.store.source(image_id))

    def get_image_info(self, image_id: str) -> Info:
        """Return what is known of an image: name, path, DICOM ids, modality, size, and the notes of clients.

        ``path`` is left out for a series whose folder ``get_image_uri`` has not made yet, and for an image of a PACS
        that is not on this machine: stock strategies ask for the info of all images. ``checksum`` is there once
        ``checksum`` was asked for. ``name`` of a series is that of the NRRD file a server makes of it for download.
        """
        with found_or(UnknownImageError):
            path = self.store.source(image_id, make=False)
            info = image_info(self.store.images.get(image_id))
        return info if path is None else {**info, "path": str(path)}

    def update_image_info(self, image_id: str, info: Info) -> None:
        """Set some keys of an image's notes."""
        with found_or(UnknownImageError):
            self.store.images.update_info(image_id, info)

    def add_image(self, image_id: str, image_filename: str, image_info: Info) -> str:
        """Keep a copy of an image file (Store.add_image) and return its id: a DICOM file is called by its UIDs."""
        return self.store.add_image(Path(image_filename), image_id=image_id or "", info=image_info or {})

    def add_series(self, files: Sequence[Path], image_info: Info) -> str:
        """Keep copies of the files of one DICOM series (Store.add_series), all or none, and return its id."""
        return self.store.add_series(files, info=image_info or {})

    def remove_image(self, image_id: str) -> None:
        """Move an image's files to ``.hepatic/removed`` and take its labels out of use."""
        with found_or(UnknownImageError):
            self.store.remove_image(image_id)

    def image_files(self, image_id: str) -> list[Path]:
        """Return the files of an image."""
        with found_or(UnknownImageError):
            return self.store.files(image_id)

    def patient_id(self, image_id: str) -> str:
        """Return the patient of an image; the study or the image itself where the file does not say."""
        with found_or(UnknownImageError):
            return self.store.images.get(image_id).patient_id

    def checksum(self, image_id: str) -> str:
        """Return ``SHA256:...`` of a single-file image, empty for a series; it is part of the image's info then."""
        with found_or(UnknownImageError):
            return self.store.checksum(image_id)

    # Labels

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Return the label ids of an image by tag."""
        with found_or(UnknownImageError):
            image = self.store.images.get(image_id)
        return dict.fromkeys(self.store.labels.tags(image.id), image.id)

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        """Return the label id of an image and a tag, empty if there is no such label."""
        return self.get_labels_by_image_id(image_id).get(_tag(tag), "")

    def get_label(self, label_id: str, label_tag: str, params: Info | None = None) -> io.BytesIO:
        """Return the bytes of a label."""
        return io.BytesIO(Path(self.get_label_uri(label_id, label_tag)).read_bytes())

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Return the path of a label's newest version."""
        with found_or(UnknownLabelError):
            return str(self.store.labels.path(self.store.labels.latest(label_id, _tag(label_tag))))

    def get_label_info(self, label_id: str, label_tag: str) -> Info:
        """Return what is known of a label's newest version."""
        with found_or(UnknownLabelError):
            return label_info(self.store.labels.latest(label_id, _tag(label_tag)))

    def update_label_info(self, label_id: str, label_tag: str, info: Info) -> None:
        """Set some keys of the info of a label's newest version."""
        with found_or(UnknownLabelError):
            self.store.labels.update_info(label_id, _tag(label_tag), info)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: Info) -> str:
        """Keep a copy of a label file as the next version; it survives a power cut when this returns.

        A labelmap whose image cannot be had is kept, too: nobody's work is refused because a PACS is down. Whether it
        lies on its image is then not known, which its info says (``unchecked``); whoever uses both reads the labelmap
        onto the image, and refuses it where it lies elsewhere.

        ``label_info`` may say ``user`` (or ``author``, ``client_id``), ``model`` and ``model_hash``, the latter also in
        its ``params``.

        Raises:
            BadInputError: a labelmap or boxes that cannot be read, or a labelmap that does not lie on its image or
                gives one name to several values: said now, to the reader who can mend it, rather than at the next
                training. Nothing is saved then.
        """
        info = dict(label_info or {})
        with found_or(UnknownImageError):
            self.store.images.get(image_id)
        if label_filename.lower().endswith(".json"):
            read_rois(Path(label_filename))
        else:
            check_names_differ(info)
            if not self._lies_on_image(Path(label_filename), image_id):
                info[UNCHECKED] = "whether it lies on its image, which was not to be had when it was saved"
        params = info.get("params")
        hashes = [info.get("model_hash"), params.get("model_hash") if isinstance(params, Mapping) else None]
        with found_or(UnknownImageError):
            label = self.store.labels.save(
                image_id,
                _tag(label_tag),
                Path(label_filename),
                author=_first_text(info.get("user"), info.get("author"), info.get("client_id")),
                model=_first_text(info.get("model")),
                model_hash=_first_text(*hashes),
                info=info,
            )
        return label.image_id

    def _lies_on_image(self, label: Path, image_id: str) -> bool:
        """Whether a labelmap is known to lie on its image; False where that cannot be had. Raises as ``save_label``."""
        with suppress(NotFoundError, PacsError, StorageError):  # a server has fetched it, if it could
            image = self.store.source(image_id, make=self._fetches or isinstance(self.store, FolderStore))
            if image is not None:
                self.check_label(label, image)
                return True
        self.check_label(label, None)
        return False

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Take a label out of use, and with a final one the classes it said of its image; its history stays."""
        history = self.label_versions(label_id, label_tag)
        with found_or(UnknownLabelError):
            self.store.labels.remove(label_id, _tag(label_tag))
        if _tag(label_tag) == FINAL:
            noted = self.store.images.get(label_id).info
            self.store.images.update_info(label_id, taken_back(counting(history), noted))

    def label_versions(self, image_id: str, tag: str) -> list[Label]:
        """Return all versions of a label, oldest first, tombstones included."""
        return self.store.labels.history(image_id, _tag(tag))


def _tag(tag: str | None) -> str:
    return str(tag.value if isinstance(tag, Enum) else tag or FINAL)


def _first_text(*values: object) -> str:
    return next((value for value in values if isinstance(value, str) and value), "")
