"""Reviewed studies as a data set that nnU-Net trains on, and that ``hepatic import nnunet`` reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hepatic.errors import BadInputError
from hepatic.harvest.export.box_labels import box_labels
from hepatic.harvest.export.reviewed import ReviewedStudy
from hepatic.io.image import Labelmap, Volume
from hepatic.io.labelmap import encode_labelmap
from hepatic.io.nifti import encode_nifti
from hepatic.io.orient import upright
from hepatic.io.read import read
from hepatic.store.names import safe_id


def nnunet_case(study: ReviewedStudy, files_of: Callable[[str], Sequence[Path]]) -> Iterator[tuple[str, bytes]]:
    """Return the files of a study: its reference series in HU, and its accepted boxes as one class.

    Boxes are filled: no outline of the lesion is known.

    Raises:
        BadInputError: the study is not complete, and nnU-Net would learn lesions as background; or the series cannot
            be read or is not the study's.
    """
    if not study.complete:
        raise BadInputError(
            "study",
            expected="a complete review: nnU-Net takes what is not marked for background",
            came="one with candidates that are open, or were rejected many at once",
            fix="Finish it, or export it in another format.",
        )
    volume = read(list(files_of(study.reference_image)))
    if isinstance(volume, Volume):
        volume = upright(volume)
    if not isinstance(volume, Volume) or not volume.grid.matches(study.grid, tolerance_mm=0.01):
        raise BadInputError(
            "study", expected="the series the boxes were reviewed on", came="another", fix="Export another format."
        )
    key = safe_id(study.study_uid)
    hu = np.clip(np.rint(volume.array.astype(np.float32)), -(2**15), 2**15 - 1).astype(np.int16)
    yield f"imagesTr/{key}_0000.nii.gz", encode_nifti(hu, volume.grid, compress=True)
    labels = (box_labels(study).array > 0).astype(np.uint8)
    yield f"labelsTr/{key}.nii.gz", encode_labelmap("boxes.nii.gz", Labelmap(labels, study.grid))


def nnunet_description(studies: Sequence[ReviewedStudy]) -> Iterator[tuple[str, bytes]]:
    """Return ``dataset.json`` of studies that were written; ``patients`` in it is hepatic's own addition."""
    about = {
        "name": "hepatic",
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": len(studies),
        "file_ending": ".nii.gz",
        "patients": {safe_id(study.study_uid): study.patient_id for study in studies},
    }
    yield "dataset.json", json.dumps(about, indent=1).encode()
