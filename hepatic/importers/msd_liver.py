"""Task03_Liver of the Medical Segmentation Decathlon: ``imagesTr``, ``labelsTr``, ``imagesTs``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hepatic.importers.case import LIVER, TUMOUR, Case, DataSet, file_of, study_uid_of
from hepatic.importers.folder import files_below, nothing_found
from hepatic.importers.labels import by_voxel

DATA_SET = DataSet("MSD Task03_Liver", "CC BY-SA 4.0", "http://medicaldecathlon.com/")
SHAPE = "imagesTr/liver_N.nii.gz, labelsTr/liver_N.nii.gz and perhaps imagesTs/liver_N.nii.gz"
_FILE = re.compile(r"liver_(\d+)\.nii(?:\.gz)?")


def cases(root: Path) -> Sequence[Case]:
    """Return the scans of the task; those of ``imagesTs`` have no mask.

    ``dataset.json`` calls them "Portal venous phase CT". The training scans are those of LiTS. Patients are called as
    there (``hepatic.importers.lits``), number by number, so that no split separates a scan from itself where both are
    imported; should a number not be the same scan, two patients are kept on one side of a split, which does no harm.

    Raises:
        BadInputError: there is none.
    """
    found = {
        (path.parent.name, match.group(1)): path
        for path in files_below(root)
        if (match := _FILE.fullmatch(path.name)) and path.parent.name in ("imagesTr", "imagesTs", "labelsTr")
    }
    made = [
        _case(number, folder == "imagesTs", path, found.get(("labelsTr", number)) if folder == "imagesTr" else None)
        for (folder, number), path in found.items()
        if folder != "labelsTr"
    ]
    return sorted(made, key=lambda case: case.name) or nothing_found(root, SHAPE)


def _case(number: str, is_test: bool, volume: Path, mask: Path | None) -> Case:
    patient = f"MSD-liver-{number}" if is_test else f"LiTS-{number}"
    return Case(
        name=f"msd-liver-{number}",
        origin=f"{volume.parent.name}/{volume.name}",
        patient_id=patient,
        study_uid=study_uid_of("MSD Task03_Liver", patient),
        description="portal venous",
        image=file_of(volume),
        label=None if mask is None else by_voxel(mask, {1: LIVER, 2: TUMOUR}),
    )
