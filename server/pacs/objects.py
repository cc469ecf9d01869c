"""Make the DICOM objects of a result that goes to the PACS; runs in a worker process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from hepatic.engine.label_boxes import read_lesions
from hepatic.errors import BadInputError
from hepatic.harvest.export.reviewed import ReviewedStudy
from hepatic.harvest.export.segmentation import segmentation
from hepatic.harvest.export.structured_report import structured_reports
from hepatic.io.dicom_image_report import Statement, image_reports
from hepatic.io.dicom_instance import Instance, Reference, uid_of
from hepatic.io.dicom_seg import labels_seg
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.labelmap import names_in, read_labelmap
from hepatic.io.markups import ROI, read_rois
from hepatic.pacs.sender import Made
from hepatic.store.label import label_names

SEG = "seg"


@dataclass(frozen=True, kw_only=True)
class Version:
    """Which version of which result is made.

    Attributes:
        result: what names it in the outbox.
        version: what tells this version from others.
        number: of the version.
        replaces: by name, the objects of the version before.
    """

    result: str
    version: str
    number: int
    replaces: Mapping[str, Reference] = field(default_factory=dict)

    def instance(self, name: str) -> Instance:
        """Return which instance of which series the object of that name is: the same whoever makes it."""
        before = self.replaces.get(name)
        return Instance(
            series_uid=uid_of("series", self.result, name),
            sop_uid=uid_of("object", self.result, self.version, name),
            number=self.number,
            replaces=[] if before is None else [before],
            note=f"Version {self.number}" + ("" if before is None else ", replaces the one before"),
        )


@dataclass(frozen=True, kw_only=True)
class LabelToSend:
    """A label of an image.

    Attributes:
        image: path of the image.
        label: path of the label.
        info: what is kept with it.
        author: who saved it.
        model: what it was made with; empty where by hand.
        model_hash: of that model's weights.
        judged: whether the author answers for it, rather than the model.
        classes: of the image, by what they say; those that are to be sent.
        drawn: whether what is drawn is to be sent, too.
    """

    image: str
    label: str
    info: Mapping[str, Any]
    author: str
    model: str
    model_hash: str
    judged: bool
    classes: Mapping[str, str]
    drawn: bool


def of_label(label: LabelToSend, version: Version) -> list[Made]:
    """Make the objects of a label: a segmentation of a labelmap, reports of boxes and of classes.

    Raises:
        BadInputError: the image is no DICOM, or the label says nothing that could be sent.
    """
    source, file = DicomSource.read(Path(label.image)), Path(label.label)
    algorithm = Algorithm(label.model, label.model_hash[:64]) if label.model else None
    by = label.author if label.judged or algorithm is None else ""
    said = Statement(classes=label.classes, algorithm=algorithm, by=by)
    if file.suffix == ".json":
        rois = read_rois(file)
        if not (label.classes or (label.drawn and rois)):
            raise BadInputError("the label", expected="boxes", came="none", fix="There is nothing to send.")
        said = Statement(classes=label.classes, boxes=rois, algorithm=algorithm, by=by)
        return _written(image_reports(said, source, instance=version.instance))
    made: dict[str, Dataset] = {}
    labelmap = read_labelmap(file, like=source.grid)
    names = names_in(labelmap, label_names(label.info) or _answered(label.info))
    if label.drawn:
        made[SEG] = labels_seg(
            labelmap,
            source,
            names=names,
            algorithm=algorithm,
            judged=label.judged,
            by=by,
            instance=version.instance(SEG),
        )
    if label.classes:
        boxes = _boxes(file, source, names)
        said = Statement(classes=label.classes, boxes=boxes, algorithm=algorithm, by=by)
        made |= image_reports(said, source, instance=version.instance)
    return _written(made)


def of_review(study: ReviewedStudy, files: list[str], version: Version) -> list[Made]:
    """Make the objects of a study that was reviewed: reports, and a segmentation of the accepted boxes.

    Args:
        study: as it was reviewed.
        files: of its reference series.
        version: of it.

    Raises:
        BadInputError: the series is no DICOM or has no frame of reference, or nothing was proposed.
    """
    series = [Path(file) for file in files]
    made = {one.name: one.dataset for one in structured_reports(study, series, instance=version.instance)}
    if study.accepted():
        made[SEG] = segmentation(study, series, instance=version.instance(SEG))
    return _written(made)


def _answered(info: Mapping[str, Any]) -> dict[str, int]:
    """Return label values by name as an inference told them that was kept."""
    params = info.get("params")
    told = params.get("label_names") if isinstance(params, Mapping) else None
    return {str(name): value for name, value in told.items() if type(value) is int} if isinstance(told, dict) else {}


def _boxes(label: Path, source: DicomSource, names: Mapping[str, int]) -> list[ROI]:
    try:
        found = read_lesions(label, source.grid, names).boxes
    except BadInputError:  # nothing but anatomy
        return []
    return [ROI((x, y, z, u, v, w), "lesion") for x, y, z, u, v, w in found.tolist()]


def _written(made: Mapping[str, Dataset]) -> list[Made]:
    """Write objects into files of the scratch folder: all of them, or none."""
    done: list[Made] = []
    try:
        for name, dataset in made.items():
            with tempfile.NamedTemporaryFile(prefix="pacs-", suffix=".dcm", delete=False) as handle:
                about = Reference(
                    study_uid=str(dataset.StudyInstanceUID),
                    series_uid=str(dataset.SeriesInstanceUID),
                    sop_class_uid=str(dataset.SOPClassUID),
                    sop_uid=str(dataset.SOPInstanceUID),
                )
                done.append(Made(name, Path(handle.name), about))
            dataset.save_as(done[-1].file, enforce_file_format=True)
    except BaseException:
        for one in done:
            one.file.unlink(missing_ok=True)
        raise
    return done


Making = Callable[..., list[Made]]
"""``of_label`` or ``of_review``."""
