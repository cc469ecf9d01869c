"""HCC-TACE-Seg of The Cancer Imaging Archive: CT before and after chemoembolisation, segmentations before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hepatic.importers.case import Case, DataSet
from hepatic.importers.dicom import dicom_cases
from hepatic.importers.folder import nothing_found

DATA_SET = DataSet("HCC-TACE-Seg", "CC BY 4.0", "https://doi.org/10.7937/TCIA.5FNA-0924")
SHAPE = "DICOM as the archive's retriever lays it out, HCC_NNN/STUDY/SERIES/*.dcm"
_MEANING = {"mass": "tumour", "tumor": "tumour", "abdominal aorta": "aorta", "vessels": "vessel"}


def cases(root: Path) -> Sequence[Case]:
    """Return the CT series; the segmented one of each patient gets liver, tumour, portal vein and aorta as its label.

    Series after treatment have no segmentation; they are brought without a label.

    Raises:
        BadInputError: there is none.
    """
    found = [case for case in dicom_cases(root, meaning=_MEANING) if case.modality == "CT"]
    return found or nothing_found(root, SHAPE)
