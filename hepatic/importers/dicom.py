"""Any folder of DICOM files: every series or cine an image, segmentations and reports as labels of what they are of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.importers.case import Case, DataSet, Known, ReportReader
from hepatic.importers.folder import files_below, nothing_found
from hepatic.importers.reports import Report, find_report, read_reports
from hepatic.importers.stacks import Slice, stacks
from hepatic.io.dicom_element import text
from hepatic.io.dicom_label_header import read_label_header
from hepatic.io.dicom_seg_read import SegHeader, read_dicom_seg, read_seg_header
from hepatic.io.dicom_source import DicomSource
from hepatic.io.header import dicom_headers
from hepatic.io.image import Labelmap, Modality, Volume
from hepatic.io.labelmap import write_atomically
from hepatic.io.nifti import encode_nifti
from hepatic.io.read import read
from hepatic.io.refusal import NotAnImageError

DATA_SET = DataSet("DICOM", "not stated", "not stated")
SHAPE = "DICOM files, in any folders"


@dataclass(frozen=True)
class _Series:
    """A series, or a run of one: what its first file says, and its slices."""

    uid: str
    patient_id: str
    study_uid: str
    description: str
    modality: Modality
    slices: list[Slice] = field(default_factory=list)


@dataclass(frozen=True)
class _Seg:
    """A segmentation object."""

    path: Path
    header: SegHeader


def cases(root: Path) -> Sequence[Case]:
    """Return the series below a folder; patients and studies are those of the files.

    Raises:
        BadInputError: there is none.
    """
    return dicom_cases(root) or nothing_found(root, SHAPE)


def dicom_cases(root: Path, *, meaning: Mapping[str, str] | None = None, known: Known = "complete") -> list[Case]:
    """Return the series below a folder.

    A file that is a broken image becomes a case that is refused with the reason. A segmentation of a series that is not
    in the folder is for one that is in the studies, or refused. A series that holds several stacks (contrast phases,
    mostly) becomes an image for each, as NIfTI: readers and viewers take a series for one stack.

    Args:
        root: the folder.
        meaning: structures by names of segments, beside those hepatic knows (``read_dicom_seg``).
        known: whether segmentations mark all lesions.
    """
    volumes: dict[str, _Series] = {}
    cines: list[tuple[str, _Series]] = []
    segmentations: dict[str, list[_Seg]] = defaultdict(list)
    reports: list[Report] = []
    made: list[Case] = []
    for path in files_below(root):
        try:
            headers = dicom_headers([path])
        except NotAnImageError:
            about = read_seg_header(path)
            if about is not None:
                segmentations[about.series_uid].append(_Seg(path, about))
            elif (report := find_report(path)) is not None:
                reports.append(report)
            continue
        except BadInputError as broken:
            made.append(_refused(path, broken))
            continue
        if isinstance(headers, Path):
            continue
        dataset, one = headers[0].dataset, Slice.of(headers[0])
        uid = text(dataset, "SeriesInstanceUID")
        if not uid:
            continue
        series = _Series(
            uid if headers[0].kind == "volume" else one.instance_uid or path.name,  # a series may have many runs
            text(dataset, "PatientID") or "",
            text(dataset, "StudyInstanceUID") or "",
            text(dataset, "SeriesDescription") or "",
            headers[0].modality,
        )
        if headers[0].kind == "volume":
            volumes.setdefault(uid, series).slices.append(one)
        else:
            series.slices.append(one)
            cines.append((uid, series))
    for uid, series in cines:
        mine = [seg for seg in segmentations[uid] if series.uid in seg.header.instance_uids]
        made.append(_case(series, _label(mine, meaning or {}), _report(reports, uid, series), known))
    here = {series.uid for _, series in cines}
    segmentations = {
        uid: [seg for seg in segs if here.isdisjoint(seg.header.instance_uids)] for uid, segs in segmentations.items()
    }
    for uid, series in volumes.items():
        found = stacks(series.slices)
        segs = segmentations.pop(uid, [])
        if len(found) == 1:
            made.append(_case(series, _label(segs, meaning or {}), _report(reports, uid, series), known))
            continue
        for number, stack in enumerate(found, 1):
            mine = [seg for seg in segs if any(one.instance_uid in seg.header.instance_uids for one in stack)]
            made.append(_of_stack(series, stack, number, _label(mine, meaning or {}), known))
    apart: dict[tuple[str, frozenset[str]], list[_Seg]] = defaultdict(list)
    for seg in (seg for segs in segmentations.values() for seg in segs):
        apart[seg.header.series_uid, frozenset() if seg.header.is_placed else seg.header.instance_uids].append(seg)
    for segs in apart.values():
        header = segs[0].header
        told = [
            one
            for one in reports
            if one.is_about(header.series_uid, header.instance_uids)
            or (header.is_placed and header.series_uid in one.header.images)
        ]
        made.append(_of_another_series(segs, _label(segs, meaning or {}), _reader(told), known))
    made += _of_reports_alone(
        reports,
        series_uids={*volumes, *(uid for uid, instances in apart if not instances)},
        instance_uids=frozenset(here).union(*(instances for _, instances in apart)),
    )
    return sorted(made, key=lambda case: (case.patient_id, case.study_uid, case.name))


def _case(
    series: _Series,
    label: Callable[[Grid], Labelmap] | None,
    report: ReportReader | None,
    known: Known,
) -> Case:
    files = [one.path for one in series.slices]
    return Case(
        name=series.uid,
        origin=series.uid,
        patient_id=series.patient_id,
        study_uid=series.study_uid,
        description=series.description,
        modality=series.modality,
        image=lambda _scratch: files,
        label=label,
        report=report,
        known=known,
    )


def _of_stack(
    series: _Series, stack: Sequence[Slice], number: int, label: Callable[[Grid], Labelmap] | None, known: Known
) -> Case:
    files = [one.path for one in stack]

    def write(scratch: Path) -> Sequence[Path]:
        volume = read(files)
        if not isinstance(volume, Volume):
            raise BadInputError(series.uid, expected="slices", came="frames", fix="Export the series again.")
        values = np.clip(np.rint(volume.array.astype(np.float32)), -(2**15), 2**15 - 1).astype(np.int16)
        path = scratch / "image.nii.gz"
        write_atomically(path, encode_nifti(values, volume.grid, compress=True))
        return [path]

    return Case(
        name=f"{series.uid}-{number}",
        origin=f"{series.uid}, stack {number}",
        patient_id=series.patient_id or series.study_uid,
        study_uid=series.study_uid,
        description=f"{series.description} {number}".strip(),
        modality=series.modality,
        image=write,
        label=label,
        known=known,
        facts={"series": series.uid, "stack": number},
    )


def _of_another_series(
    segs: list[_Seg],
    label: Callable[[Grid], Labelmap] | None,
    report: ReportReader | None,
    known: Known,
) -> Case:
    file, header = segs[0].path.name, segs[0].header
    return Case(
        name=header.series_uid or file,
        origin=f"segmentation {file} of series {header.series_uid or '(it does not say which)'}",
        image=lambda _scratch: [],
        instance_uids=header.instance_uids,
        label=label,
        report=report,
        known=known,
    )


def _of_reports_alone(
    reports: Sequence[Report], *, series_uids: Collection[str], instance_uids: frozenset[str]
) -> list[Case]:
    """Return a case for each image that reports are about, but for those that are cases already."""
    about: dict[tuple[str, frozenset[str]], list[Report]] = defaultdict(list)
    for one in reports:
        for series_uid, instances in one.header.images.items():
            left = frozenset() if series_uid in series_uids else instances - instance_uids
            each = [frozenset({uid}) for uid in left & one.singles]
            for image in filter(None, [*each, left - one.singles]):
                about[series_uid, image].append(one)
    return [
        Case(
            name=series_uid,
            origin=f"report {several[0].path.name} of series {series_uid}",
            image=lambda _scratch: [],
            instance_uids=instances,
            report=_reader(several),
        )
        for (series_uid, instances), several in about.items()
    ]


def _label(segs: list[_Seg], meaning: Mapping[str, str]) -> Callable[[Grid], Labelmap] | None:
    if not segs:
        return None

    def read(grid: Grid) -> Labelmap:
        last = _last_versions(segs) if len(segs) > 1 else segs
        if len(last) > 1:
            raise BadInputError(
                "several segmentations",
                expected="one segmentation of a series",
                came=", ".join(seg.path.name for seg in last[:5]),
                fix="Keep the one that counts.",
            )
        return read_dicom_seg(last[0].path, like=grid, meaning=meaning)

    return read


def _last_versions(segs: Sequence[_Seg]) -> list[_Seg]:
    """Return the last of those of each series that hepatic wrote; a series of others may hold a lesion in each."""
    ordered = sorted(((read_label_header(seg.path), seg) for seg in segs), key=lambda one: one[0].made)
    return list({header.series_uid if header.is_own else header.sop_uid: seg for header, seg in ordered}.values())


def _report(reports: Sequence[Report], series_uid: str, series: _Series) -> ReportReader | None:
    instances = {one.instance_uid for one in series.slices}
    return _reader([one for one in reports if one.is_about(series_uid, instances)])


def _reader(reports: Sequence[Report]) -> ReportReader | None:
    return (lambda source: read_reports(reports, DicomSource.read(source))) if reports else None


def _refused(path: Path, why: BadInputError) -> Case:
    def refuse(_scratch: Path) -> Sequence[Path]:
        raise why

    return Case(name=path.name, origin=path.name, image=refuse)
