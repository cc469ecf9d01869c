"""LiTS, the Liver Tumor Segmentation Challenge: ``volume-N.nii`` and ``segmentation-N.nii`` in any folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hepatic.importers.case import LIVER, TUMOUR, Case, DataSet, file_of, study_uid_of
from hepatic.importers.folder import files_below, nothing_found
from hepatic.importers.labels import by_voxel

DATA_SET = DataSet("LiTS", "CC BY-NC-ND 4.0", "https://competitions.codalab.org/competitions/17094")
SHAPE = "volume-N.nii, and segmentation-N.nii for those of the training batches"
_FILE = re.compile(r"(?:test-)?(volume|segmentation)-(\d+)\.nii(?:\.gz)?")


def cases(root: Path) -> Sequence[Case]:
    """Return the scans below a folder; those of the test batch have no mask.

    Patients are numbered as the scans are, and as in the Decathlon's liver task (``hepatic.importers.msd_liver``).

    Raises:
        BadInputError: there is none.
    """
    found = {
        (match.group(1), match.group(2), path.name.startswith("test-")): path
        for path in files_below(root)
        if (match := _FILE.fullmatch(path.name))
    }
    made = [
        _case(number, is_test, path, found.get(("segmentation", number, is_test)))
        for (kind, number, is_test), path in found.items()
        if kind == "volume"
    ]
    return sorted(made, key=lambda case: case.name) or nothing_found(root, SHAPE)


def _case(number: str, is_test: bool, volume: Path, mask: Path | None) -> Case:
    name = f"LiTS-test-{number}" if is_test else f"LiTS-{number}"
    return Case(
        name=name.lower(),
        origin=volume.name,
        patient_id=name,
        study_uid=study_uid_of("LiTS", name),
        image=file_of(volume),
        label=None if mask is None else by_voxel(mask, {1: LIVER, 2: TUMOUR}),
    )
