"""Keep what an importer found in a studies folder: nothing twice, nothing overwritten, nothing lost half-way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepatic.boxes import Boxes
from hepatic.errors import BadInputError, ConflictError, HepaticError, NotFoundError
from hepatic.importers.case import Case, DataSet
from hepatic.importers.labels import boxes_of
from hepatic.io.dicom_report_read import ReadReport
from hepatic.io.grid import grid_of
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_atomically, write_labelmap
from hepatic.io.markups import ROI, encode_rois
from hepatic.io.sidecar import Sidecar, read_sidecar, sidecar_path, write_sidecar
from hepatic.store.disk import sha256_of
from hepatic.store.folder import FolderStore
from hepatic.store.label import FINAL
from hepatic.store.names import safe_id, split_suffix

_FILES = (".nii.gz", ".nii", ".nrrd")
Done = Literal["added", "there", "none", "refused"]


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    A report that cannot be used is told in ``why``, and keeps no labelmap out.

    Attributes:
        image: whether it was added or was there; ``none`` where it could not be read and so was not looked for.
        label: likewise; ``none`` where nothing is marked.
        boxes: how many lesions the label marks.
        image_id: of the image; empty where it could not be read.
        why: the reason of a refusal.
        classes: of the image by note, as its reports say them.
        version: of the label, where an earlier import of the same case saved it; else 0.
    """

    image: Done
    label: Done = "none"
    boxes: int = 0
    image_id: str = ""
    why: str = ""
    classes: Mapping[str, str] = field(default_factory=dict)
    version: int = 0


def keep(store: FolderStore, data_set: DataSet, case: Case) -> Outcome:
    """Copy an image and what is marked in it into the studies folder.

    An image that is there is left as it is, and so is one whose final label somebody saved or removed. A label that
    cannot be used does not keep the image out.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    with TemporaryDirectory(prefix="hepatic-import-") as scratch:
        try:
            image_id, is_new = _keep_image(store, data_set, case, Path(scratch))
        except BadInputError as refused:
            return Outcome("refused", why=str(refused))
        done: Done = "added" if is_new else "there"
        if case.label is None and case.boxes is None and case.report is None:
            return Outcome(done, image_id=image_id)
        if history := store.labels.history(image_id, FINAL):
            own = [one.version for one in history if one.info.get("source") == _source(data_set, case)]
            report, why = (None, "") if history[-1].removed else _told(store, case, image_id)
            classes = report.classes if report else {}
            return Outcome(done, "there", 0, image_id, why, classes, version=max(own, default=0))
        report, why = _told(store, case, image_id)
        if report is None and case.label is None and case.boxes is None:
            return Outcome(done, "refused" if why else "none", image_id=image_id, why=why)
        try:
            marked = _keep_label(store, data_set, case, report, image_id, Path(scratch))
        except BadInputError as refused:
            return Outcome(done, "refused", image_id=image_id, why=str(refused))
        return Outcome(done, "added", marked, image_id, why, report.classes if report else {})


def _keep_image(store: FolderStore, data_set: DataSet, case: Case, scratch: Path) -> tuple[str, bool]:
    """Return the id of the image, and whether it was added."""
    image_id = safe_id(case.name)
    if store.images.known([image_id]):
        there = store.images.get(image_id)
        came_from = there.info.get("source", {})
        if there.present and came_from == _source(data_set, case):
            _check_same(store, image_id, case, scratch)
            return image_id, False
    files = list(case.image(scratch))
    if not files:
        return _there(store, case, image_id), False
    info = {"source": _source(data_set, case), **({"facts": dict(case.facts)} if case.facts else {})}
    suffix = split_suffix(files[0].name)[1].lower()
    if suffix not in _FILES:
        return _keep_dicom(store, files, info)
    target = store.root / (image_id + suffix)
    said = Sidecar(case.patient_id or None, case.study_uid or None, case.description or None, case.modality)
    is_said = sidecar_path(target).exists()
    if is_said and read_sidecar(target) != said:
        raise ConflictError(
            sidecar_path(target).name,
            expected="a name that is free in the studies folder",
            came="a file that says other things of an image of that name",
            fix="Rename or remove the other image, or use another folder.",
        )
    write_sidecar(target, said)
    try:
        return store.add_image(files[0], name=target.name, image_id=image_id, info=info), True
    except HepaticError:
        if not is_said:
            sidecar_path(target).unlink(missing_ok=True)
        raise


def _check_same(store: FolderStore, image_id: str, case: Case, scratch: Path) -> None:
    """Check that a file of the same name from the same data set is the image that is there.

    Folders of several sites may use the same names. DICOM is called by its UIDs and needs no check.

    Raises:
        ConflictError: it is another image.
    """
    files = list(case.image(scratch))
    if len(files) != 1 or split_suffix(files[0].name)[1].lower() not in _FILES or not files[0].exists():
        return
    if store.checksum(image_id) != f"SHA256:{sha256_of(files[0])}":
        raise ConflictError(
            case.origin,
            expected="the image that was imported under this name",
            came="another image of the same name",
            fix="Give the data set or its files another name (for COCO, the .json file), or use another folder.",
        )


def _there(store: FolderStore, case: Case, image_id: str) -> str:
    """Return the id of an image that a case is about without bringing it."""
    for one in (*store.images.all([image_id]), *store.images.all(series_uid=case.name)):
        if one.instance_uid in case.instance_uids or not (one.instance_uid and case.instance_uids):
            return one.id
    raise NotFoundError(
        case.origin,
        expected="a file of the data set, or the id of an image in the studies",
        came="neither",
        fix="Import the images first, or put them where the data set says they are.",
    )


def _keep_dicom(store: FolderStore, files: list[Path], info: dict[str, Any]) -> tuple[str, bool]:
    """Keep a series or a run, which are called by their UIDs; whether one was added shows in how many there are."""
    before = store.counts().images
    added = store.add_series(files, info=info) if len(files) > 1 else store.add_image(files[0], info=info)
    return added, store.counts().images > before


def _told(store: FolderStore, case: Case, image_id: str) -> tuple[ReadReport | None, str]:
    """Return what the reports of an image say, and why some were left out."""
    try:
        return case.report(_source_of(store, image_id)) if case.report is not None else (None, "")
    except BadInputError as refused:
        return None, str(refused)


def _source_of(store: FolderStore, image_id: str) -> Path:
    try:
        return store.source(image_id)
    except NotFoundError as gone:
        raise BadInputError(image_id, expected="its files", came="none", fix="Import it again.") from gone


def _keep_label(
    store: FolderStore, data_set: DataSet, case: Case, report: ReadReport | None, image_id: str, scratch: Path
) -> int:
    """Return how many lesions were marked."""
    grid = grid_of(_source_of(store, image_id))
    labelmap = None if case.label is None else case.label(grid)
    rois: Sequence[ROI] = ()
    if labelmap is None and case.boxes is None and report is not None:
        rois, case = report.boxes, replace(case, known="complete" if report.complete else "positives_only")
        boxes: Boxes = np.array([roi.box for roi in rois], np.float64).reshape(-1, 6)
    elif case.boxes is not None:
        boxes = case.boxes(grid)
    else:
        boxes = np.zeros((0, 6)) if labelmap is None else boxes_of(labelmap)
    if labelmap is not None:
        path = scratch / "label.seg.nrrd"
        write_labelmap(path, labelmap)
    else:
        path = scratch / "label.mrk.json"
        write_atomically(path, encode_rois(rois or [_roi(box, number) for number, box in enumerate(boxes, 1)]))
    author = (report and report.by) or data_set.name
    store.labels.save(image_id, FINAL, path, author=author, info=_label_info(data_set, case, labelmap, boxes))
    return len(boxes)


def _roi(box: NDArray[np.float64], number: int) -> ROI:
    x, y, z, u, v, w = box.tolist()
    return ROI((x, y, z, u, v, w), f"lesion {number}", {"class": "lesion"})


def _label_info(data_set: DataSet, case: Case, labelmap: Labelmap | None, boxes: Boxes) -> dict[str, Any]:
    names = {"lesion": 1} if labelmap is None else labelmap.names
    named = sorted(names.items(), key=lambda entry: entry[1])
    return {
        "label_info": [{"name": name, "idx": value} for name, value in named],
        "source": _source(data_set, case),
        "boxes_known": case.known,
        "boxes_lps_mm": [[round(float(value), 4) for value in box] for box in boxes],
    }


def _source(data_set: DataSet, case: Case) -> dict[str, str]:
    return {**asdict(data_set), "case": case.origin}
