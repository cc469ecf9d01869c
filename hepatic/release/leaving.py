"""Images and labels of a store as they leave without their patients."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from pydicom.dataset import Dataset

from hepatic.errors import BadInputError
from hepatic.io.dicom_image_report import Statement, image_reports
from hepatic.io.dicom_instance import Instance
from hepatic.io.dicom_seg import labels_seg
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.format import format_of
from hepatic.io.image import Labelmap, Modality
from hepatic.io.labelmap import encode_labelmap, read_labelmap, write_atomically
from hepatic.io.markups import ROI, encode_rois, read_rois
from hepatic.release.deidentify import Deidentifier, Pixels
from hepatic.release.files import Report, deidentified, encoded, write_voxels
from hepatic.release.option import Option
from hepatic.release.pseudonyms import Pseudonyms
from hepatic.release.quarantine import Quarantine
from hepatic.release.words import UID, cleaned, cleaned_model
from hepatic.store.case import LabelledCase
from hepatic.store.disk import TEMPORARY
from hepatic.store.images import Image
from hepatic.store.label import FINAL, Label
from hepatic.store.names import label_suffix, split_suffix
from hepatic.store.store import Store

_KNOWN = ("complete", "positives_only")
_ABOUT_ROI: Mapping[str, tuple[object, ...]] = {
    "verdict": ("true", "false", "unsure"),
    "primary": (True, False),
    "origin": ("model", "manual", "inherited"),
}
_FARTHEST_MM = 10_000
_LARGEST_VALUE = 65_535
_LETTERS = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Left:
    """The files in which an image has left.

    Attributes:
        image: its own.
        label: those of its label, as DICOM where the image is.
        notes: keys of the classes that the label says.
    """

    image: list[Path]
    label: list[Path]
    notes: frozenset[str]


class Leaving:
    """Writes copies of what is in a store, without patients; what is held stays, the originals do, too.

    Args:
        store: whose images they are.
        options: of the profile.
    """

    def __init__(self, store: Store, options: Iterable[Option] = ()) -> None:
        self._store, self._quarantine = store, Quarantine(store)
        self.by = Deidentifier(Pseudonyms.of(store.data), frozenset(options))
        self.report = Report()

    def image(self, image_id: str, folder: Path) -> list[Path]:
        """Write the files of an image into a folder under names that tell nothing, and return them.

        DICOM is de-identified (``Deidentifier``); of NIfTI and NRRD the grid and the voxels are left.

        Raises:
            HeldError: there may be text in its pixels, and nobody has approved it.
            BadInputError: it cannot be read.
            StorageError: the disk is full or cannot be written.
        """
        files = self._quarantine.files(image_id)
        pixels: Pixels = "free" if self._quarantine.said(image_id) == "no" else "approved"
        made = []
        for file in files:
            if format_of(file) == "dicom":
                dataset, done = deidentified(file, self.by, pixels=pixels)
                target, data = folder / f"{dataset.SOPInstanceUID}.dcm", encoded(dataset, file)
                write_atomically(target, data)
                self.report.add(done)
            else:
                target = folder / (self.by.pseudonyms.image(image_id) + split_suffix(file.name)[1].lower())
                write_voxels(file, target)
                self.report.objects["written"] += 1
            made.append(target)
        return made

    def label(self, case: LabelledCase, folder: Path) -> Path:
        """Write a label into a folder: voxels and boxes, names made of known words.

        Raises:
            BadInputError: it is neither a labelmap nor boxes.
        """
        suffix = label_suffix(case.label.name)
        target = folder / (self.by.pseudonyms.image(case.image_id) + suffix)
        if suffix.endswith(".json"):
            write_atomically(target, encode_rois(self._rois(case)))
        else:
            labelmap = read_labelmap(case.label)
            names: dict[str, int] = {}
            for name, value in labelmap.names.items():
                told = self._name(name, value)
                names[f"{told} {value}" if told in names else told] = value
            write_atomically(target, encode_labelmap(target.name, Labelmap(labelmap.array, labelmap.grid, names)))
        return target

    def about(self, case: LabelledCase) -> dict[str, Any]:
        """Return what is told of an image and its label: numbers, and names made of known words; nobody's name."""
        image, info = self._store.images.get(case.image_id), case.label_info
        told: dict[str, Any] = {"label_info": self._label_info(case)}
        boxes, known = (info.get(key) for key in ("boxes_lps_mm", "boxes_known"))
        if isinstance(boxes, list):
            told["boxes_lps_mm"] = [box for box in boxes if _is_box(box)]
        if known in _KNOWN:
            told["boxes_known"] = known
        if classes := self._classes(case):
            told["classes"] = classes
        return {"image": {"info": self._about(image)}, "labels": {FINAL: {"info": told}}}

    def export(self, image: Image, target: Path, *, label: LabelledCase | None = None) -> Left:
        """Write an image into ``patient/study/series`` below a folder, its label beside it.

        The labelmap of a DICOM image becomes a DICOM segmentation of it, where it marks anything; its boxes, and the
        classes that its label says, become a structured report.

        Raises: as ``image`` and ``label``; nothing of the image is left behind then.
        """
        with TemporaryDirectory(dir=target, prefix=TEMPORARY) as made:
            files = self.image(image.id, Path(made))
            labels = [] if label is None else self._labels(label, Path(made), files)
            told = self._about(image)
            folder = target / str(told["patient"]) / str(told.get("StudyInstanceUID") or "none")
            folder /= self.by.pseudonyms.image(image.series_uid or image.id)
            folder.mkdir(parents=True, exist_ok=True)
            left = [[file.replace(folder / file.name) for file in some] for some in (files, labels)]
            return Left(left[0], left[1], frozenset() if label is None else frozenset(self._classes(label)))

    def _labels(self, case: LabelledCase, folder: Path, image: Sequence[Path]) -> list[Path]:
        """Write a label beside an image that has left, as DICOM where that is DICOM, and return its files."""
        written = self.label(case, folder)
        if image[0].suffix != ".dcm":
            return [written]
        reports: list[Path] = []
        with suppress(BadInputError):
            reports.append(self._report(case, image))
        if written.suffix == ".json":
            return reports or [written]
        with suppress(BadInputError):
            written = self._segmentation(case, written, image)
        return [written, *reports]

    def _report(self, case: LabelledCase, image: Sequence[Path]) -> Path:
        """Write what a label says of an image that has left, but for its labelmap, as a report, and return its file.

        Raises:
            BadInputError: it says nothing more.
        """
        head = self._store.labels.latest(case.image_id, FINAL)
        said = Statement(
            boxes=self._rois(case) if case.label.suffix == ".json" else (),
            classes=self._classes(case),
            algorithm=self._algorithm(head) if head.author else None,  # nobody named: not the algorithm's word alone
            by=self.by.pseudonyms.person(head.author).rstrip("^") if head.author else "",
            complete=case.label_info.get("boxes_known") != "positives_only",
        )
        if not said.boxes and not said.classes:
            raise BadInputError("the label", expected="boxes or classes", came="none", fix="There is nothing to tell.")
        made = image_reports(said, DicomSource.read(image), instance=lambda _: self._instance("report", head))[""]
        return self._saved(made, image[0].parent)

    def _segmentation(self, case: LabelledCase, labels: Path, files: Sequence[Path]) -> Path:
        """Write a label that has left as a segmentation of the image that has, and return its file.

        Raises:
            BadInputError: nothing is marked, or the image has no grid.
        """
        head = self._store.labels.latest(case.image_id, FINAL)
        named = {str(one["name"]): int(one["idx"]) for one in self._label_info(case) if isinstance(one["idx"], int)}
        source = DicomSource.read(files)
        made = labels_seg(
            read_labelmap(labels, like=source.grid),
            source,
            names=named,
            algorithm=self._algorithm(head),
            judged=True,
            instance=self._instance("label", head),
        )
        return self._saved(made, labels.parent)

    def _instance(self, kind: str, head: Label) -> Instance:
        """Return which one of which series an object made of a version of a label is, the same in every export."""
        uids = [self.by.pseudonyms.uid(f"{kind} of {head.image_id}{end}") for end in ("", f", version {head.version}")]
        return Instance(series_uid=uids[0], sop_uid=uids[1], number=head.version)

    def _saved(self, made: Dataset, folder: Path) -> Path:
        target = folder / f"{made.SOPInstanceUID}.dcm"
        made.save_as(target, enforce_file_format=True)
        return target

    def _rois(self, case: LabelledCase) -> list[ROI]:
        return [
            ROI(one.box, self._name(one.label, number), self._about_roi(one.about))
            for number, one in enumerate(read_rois(case.label), 1)
        ]

    def _classes(self, case: LabelledCase) -> dict[str, str]:
        """Return the classes that a label says, by note, those that are made of known words; half a class is none."""
        said = case.label_info.get("classes")
        told = said.items() if isinstance(said, Mapping) else ()
        named = {self._term(note): self._term(name) for note, name in told}
        return {note: name for note, name in named.items() if note and name}

    def _label_info(self, case: LabelledCase) -> list[dict[str, Any]]:
        """Return the segments that a client listed with their numbers; what has none is left out."""
        listed = case.label_info.get("label_info")
        found = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
        return [
            {"name": self._name(one.get("name"), idx), "idx": idx}
            for one in found
            if isinstance(idx := one.get("idx"), int) and 0 <= idx <= _LARGEST_VALUE
        ]

    def _algorithm(self, label: Label) -> Algorithm | None:
        """Return what made a label, as far as what a client said of it names no one."""
        version = cleaned_model(label.model_hash[:64])
        return Algorithm(cleaned_model(label.model) or "model", version) if label.model else None

    def _about_roi(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is told of a box: of each field only what hepatic itself would write there."""
        told = {key: about[key] for key, allowed in _ABOUT_ROI.items() if about.get(key) in allowed}
        if isinstance(uid := about.get("candidate"), str) and UID.fullmatch(uid):
            told["candidate"] = self.by.pseudonyms.uid(uid)
        if _is_number(about.get("score"), 0, 1):
            told["score"] = about["score"]
        if name := self._words(about.get("class")):
            told["class"] = name
        return told

    def _about(self, image: Image) -> dict[str, Any]:
        modality = image.modality if image.modality in get_args(Modality) else "OT"
        told = {"modality": modality, "kind": image.kind, "size": list(image.size)}
        told["patient"] = self.by.pseudonyms.patient(image.patient_id)
        if image.study_uid:
            told["StudyInstanceUID"] = self.by.pseudonyms.study(image.study_uid)
        if image.series_uid:
            told["SeriesInstanceUID"] = self.by.pseudonyms.uid(image.series_uid)
        return told

    def _name(self, name: object, number: int) -> str:
        return self._words(name) or f"label {number}"

    def _term(self, written: object) -> str:
        """Return a note or class; empty where a word of it is not known."""
        words = self._words(written)
        is_whole = _LETTERS.findall(words) == _LETTERS.findall(str(written))
        return "_".join(words.split()) if is_whole else ""

    def _words(self, written: object) -> str:
        return cleaned(written, uid=self.by.pseudonyms.uid) if isinstance(written, str) else ""


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_box(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 6
        and all(_is_number(one, -_FARTHEST_MM, _FARTHEST_MM) for one in value)
    )
