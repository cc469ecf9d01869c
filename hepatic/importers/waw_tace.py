"""WAW-TACE: CT in up to four phases before chemoembolisation, and masks of tumours in one of them.

``<patient>_<phase>_scan.nii.gz`` and ``<patient>_<phase>_<lesion>_tumor_seg.nrrd`` in any folders.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from hepatic.importers.case import TUMOUR, Case, DataSet, file_of, study_uid_of
from hepatic.importers.folder import files_below, nothing_found
from hepatic.importers.labels import each_boxed, in_space

DATA_SET = DataSet("WAW-TACE", "as its publisher states it", "https://zenodo.org/records/12741586")
SHAPE = "N_P_scan.nii.gz (patient N, phase P from 0 to 3), and N_P_L_tumor_seg.nrrd (lesion L)"
PHASES = ("nc", "arterial", "venous", "delayed")
_SCAN = re.compile(r"(\d+)_([0-3])(?:_scan)?\.nii(?:\.gz)?")
_MASK = re.compile(r"(\d+)_([0-3])_(\d+)_tumor_seg\.nrrd")


def cases(root: Path) -> Sequence[Case]:
    """Return the scans below a folder, a study per patient; the tumours are marked in one phase only.

    Raises:
        BadInputError: there is none.
    """
    masks: dict[tuple[str, str], list[Path]] = defaultdict(list)
    scans: dict[tuple[str, str], Path] = {}
    for path in files_below(root):
        if match := _MASK.fullmatch(path.name):
            masks[match.group(1), match.group(2)].append(path)
        elif match := _SCAN.fullmatch(path.name):
            scans[match.group(1), match.group(2)] = path
    made = [_case(*key, path, masks.get(key, [])) for key, path in sorted(scans.items(), key=lambda at: _order(*at[0]))]
    return made or nothing_found(root, SHAPE)


def _order(patient: str, phase: str) -> tuple[int, str]:
    return int(patient), phase


def _case(patient: str, phase: str, scan: Path, masks: list[Path]) -> Case:
    name = PHASES[int(phase)]
    tumours = [(path, TUMOUR) for path in masks]
    return Case(
        name=f"waw-tace-{patient}-{name}",
        origin=scan.name,
        patient_id=f"WAW-TACE-{patient}",
        study_uid=study_uid_of("WAW-TACE", patient),
        description=name,
        image=file_of(scan),
        label=in_space(tumours) if masks else None,
        boxes=each_boxed(masks) if masks else None,
    )
