"""Any folder of DICOM files: every series an image, segmentation objects as labels of the series they were made on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.importers.case import Case, DataSet, Known
from hepatic.importers.folder import files_below, nothing_found
from hepatic.io.dicom_seg_read import read_dicom_seg, read_seg_header
from hepatic.io.header import ImageHeader, header
from hepatic.io.image import Labelmap
from hepatic.io.refusal import NotAnImageError

DATA_SET = DataSet("DICOM", "not stated", "not stated")
SHAPE = "DICOM files, in any folders"
_SEVERAL = "several segmentations"


def cases(root: Path) -> Sequence[Case]:
    """Return the series below a folder; patients and studies are those of the files.

    Raises:
        BadInputError: there is none.
    """
    return dicom_cases(root) or nothing_found(root, SHAPE)


def dicom_cases(root: Path, *, meaning: Mapping[str, str] | None = None, known: Known = "complete") -> list[Case]:
    """Return the series below a folder.

    A file that is a broken image becomes a case that is refused with the reason. A segmentation of a series that is not
    in the folder is for one that is in the studies, or refused.

    Args:
        root: the folder.
        meaning: structures by names of segments, beside those hepatic knows (``read_dicom_seg``).
        known: whether segmentations mark all lesions.
    """
    volumes: dict[str, list[tuple[Path, ImageHeader]]] = defaultdict(list)
    segmentations: dict[str, list[Path]] = defaultdict(list)
    made: list[Case] = []
    for path in files_below(root):
        try:
            found = header(path)
        except NotAnImageError:
            about = read_seg_header(path)
            if about is not None:
                segmentations[about.series_uid].append(path)
            continue
        except BadInputError as broken:
            made.append(_refused(path, broken))
            continue
        if not found.series_uid:
            continue
        if found.kind == "volume":
            volumes[found.series_uid].append((path, found))
        else:
            made.append(_case(found, [path], None, known))
    for series_uid, files in volumes.items():
        label = _label(segmentations.pop(series_uid, []), meaning or {})
        made.append(_case(files[0][1], [path for path, _ in files], label, known))
    for series_uid, paths in segmentations.items():
        made.append(_of_another_series(series_uid, paths, _label(paths, meaning or {}), known))
    return sorted(made, key=lambda case: (case.patient_id, case.study_uid, case.name))


def _case(found: ImageHeader, files: list[Path], label: Callable[[Grid], Labelmap] | None, known: Known) -> Case:
    uid = found.series_uid if found.kind == "volume" else found.sop_instance_uids[0]  # a series may have many runs
    return Case(
        name=uid or files[0].name,
        origin=uid or files[0].name,
        patient_id=found.patient_id or "",
        study_uid=found.study_uid or "",
        description=found.series_description or "",
        modality=found.modality,
        image=lambda _scratch: files,
        label=label,
        known=known,
    )


def _of_another_series(
    series_uid: str, paths: list[Path], label: Callable[[Grid], Labelmap] | None, known: Known
) -> Case:
    return Case(
        name=series_uid or paths[0].name,
        origin=f"segmentation {paths[0].name} of series {series_uid or '(it does not say which)'}",
        image=lambda _scratch: [],
        label=label,
        known=known,
    )


def _label(paths: list[Path], meaning: Mapping[str, str]) -> Callable[[Grid], Labelmap] | None:
    if not paths:
        return None

    def read(grid: Grid) -> Labelmap:
        if len(paths) > 1:
            raise BadInputError(
                _SEVERAL,
                expected="one segmentation of a series",
                came=", ".join(path.name for path in paths[:5]),
                fix="Keep the one that counts.",
            )
        return read_dicom_seg(paths[0], like=grid, meaning=meaning)

    return read


def _refused(path: Path, why: BadInputError) -> Case:
    def refuse(_scratch: Path) -> Sequence[Path]:
        raise why

    return Case(name=path.name, origin=path.name, image=refuse)
