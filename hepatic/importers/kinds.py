"""The data sets hepatic can import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hepatic.importers import (
    aul,
    coco,
    deeplesion,
    dicom,
    hcc_tace,
    labelme,
    lits,
    mct_ltdiag,
    msd_liver,
    nnunet,
    video,
    waw_tace,
)
from hepatic.importers.case import Case, DataSet


@dataclass(frozen=True)
class Importer:
    """Finds the cases of a data set.

    Attributes:
        data_set: where they come from.
        shape: what has to be in the folder, in words.
        cases: the cases in a folder; BadInputError where there is none.
    """

    data_set: DataSet
    shape: str
    cases: Callable[[Path], Sequence[Case]]


_MODULES = {
    "lits": lits,
    "msd-liver": msd_liver,
    "deeplesion": deeplesion,
    "hcc-tace": hcc_tace,
    "waw-tace": waw_tace,
    "mct-ltdiag": mct_ltdiag,
    "dicom": dicom,
    "nnunet": nnunet,
    "coco": coco,
    "video": video,
    "labelme": labelme,
    "aul": aul,
}

IMPORTERS = {name: Importer(module.DATA_SET, module.SHAPE, module.cases) for name, module in _MODULES.items()}
"""By the name they have on the command line."""
