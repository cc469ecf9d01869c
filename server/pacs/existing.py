"""Read a segmentation or a report that somebody else made as labels of its image; runs in a worker process."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hepatic.io.dicom_report_read import read_report
from hepatic.io.dicom_seg_read import SegHeader, read_cine_seg, read_dicom_seg, read_seg_header
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.labelmap import encode_labelmap
from hepatic.io.markups import encode_rois
from hepatic.labels import structure
from hepatic.store.label import FINAL, ORIGINAL


@dataclass(frozen=True, kw_only=True)
class Existing:
    """A label that was read.

    Attributes:
        tag: original where only an algorithm stands behind it, else final.
        file: the label, in the scratch folder.
        author: who made it; empty where it does not say.
        model: what made it; empty where by hand.
        model_version: of it.
        info: what is kept with it.
        drawn: the names under which something is drawn.
        tracking: UIDs of what a report is about; none where it has not one for each.
    """

    tag: str
    file: Path
    author: str
    model: str
    model_version: str
    info: Mapping[str, Any] = field(default_factory=dict)
    drawn: tuple[str, ...] = ()
    tracking: tuple[str, ...] = ()


def read_existing(file: str, image: str) -> list[Existing]:
    """Read the labels that an object holds.

    Args:
        file: the object.
        image: the image it is about, or a folder with the headers of its files.

    Returns:
        One label or none; of a segmentation that an algorithm made in part, two.

    Raises:
        BadInputError: it cannot be read, or lies on another grid.
    """
    source, path = DicomSource.read(Path(image)), Path(file)
    header = read_seg_header(path)
    if header is None:
        return _of_report(path, source)
    by_hand = [number for number in header.segments if number not in header.automatic]
    found = ((FINAL, by_hand), (ORIGINAL, sorted(header.automatic)))
    return [_of_seg(path, header, source, tag, numbers) for tag, numbers in found if numbers]


def _of_seg(path: Path, header: SegHeader, source: DicomSource, tag: str, numbers: list[int]) -> Existing:
    meaning = {name: meant for name, meant in header.types.items() if structure(name) is None}
    if source.is_placed:
        labels = read_dicom_seg(path, like=source.grid, meaning=meaning, only=numbers, exactly=True)
    else:
        labels = read_cine_seg(path, source=source, meaning=meaning, only=numbers)
    listed = [{"name": name, "idx": value} for name, value in labels.names.items()]
    written = _written(".nrrd", encode_labelmap(".nrrd", labels))
    there = set(np.unique(labels.array).tolist())
    drawn = tuple(name for name, value in labels.names.items() if value in there)
    return _existing(tag, written, header.creator, header.algorithm, {"label_info": listed}, drawn)


def _of_report(path: Path, source: DicomSource) -> list[Existing]:
    report = read_report(path, source)
    if not report.boxes and not report.classes:
        return []
    tag = ORIGINAL if report.algorithm is not None and not report.by else FINAL
    info: dict[str, Any] = {} if report.complete else {"boxes_known": "positives_only"}
    info |= {"classes": dict(report.classes)} if report.classes else {}
    written = _written(".mrk.json", encode_rois(report.boxes))
    tracking = tuple(str(one.about.get("candidate") or "") for one in report.boxes)
    tracking = tracking if all(tracking) else ()
    drawn = tuple(str(one.about.get("class") or one.label) for one in report.boxes)
    return [_existing(tag, written, report.by, report.algorithm, info, drawn, tracking)]


def _existing(
    tag: str,
    file: Path,
    author: str,
    algorithm: Algorithm | None,
    info: Mapping[str, Any],
    drawn: tuple[str, ...],
    tracking: tuple[str, ...] = (),
) -> Existing:
    model, version = (algorithm.name, algorithm.version) if algorithm else ("", "")
    return Existing(
        tag=tag,
        file=file,
        author=author,
        model=model,
        model_version=version,
        info=info,
        drawn=drawn,
        tracking=tracking,
    )


def _written(suffix: str, content: bytes) -> Path:
    with tempfile.NamedTemporaryFile(prefix="existing-", suffix=suffix, delete=False) as handle:
        handle.write(content)
    return Path(handle.name)
