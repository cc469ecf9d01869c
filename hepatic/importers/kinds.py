"""The data sets hepatic can import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hepatic.importers import lits, msd_liver
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


IMPORTERS = {
    "lits": Importer(lits.DATA_SET, lits.SHAPE, lits.cases),
    "msd-liver": Importer(msd_liver.DATA_SET, msd_liver.SHAPE, msd_liver.cases),
}
