"""How old a patient was when a study was made."""

from __future__ import annotations

import re
from datetime import date

from pydicom.dataset import Dataset

from hepatic.io.dicom_element import text

_AGE = re.compile(r"(\d{3})([DWMY])")
_A_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_OLDEST_YEARS = 120


def age_years(dataset: Dataset) -> float | None:
    """Return the time from PatientBirthDate to StudyDate, else PatientAge; None where neither says it.

    Devices write an age of 000Y where nobody entered one: it says nothing. An age of 000M, 000W or 000D is a newborn's.
    The dates count where the two contradict each other, unless nobody lives that long.
    """
    years = _between_dates(dataset)
    said = _AGE.fullmatch(text(dataset, "PatientAge") or "")
    return int(said[1]) / _A_YEAR[said[2]] if said and said[0] != "000Y" and years is None else years


def _between_dates(dataset: Dataset) -> float | None:
    try:
        born, made = (date.fromisoformat(text(dataset, keyword) or "") for keyword in ("PatientBirthDate", "StudyDate"))
    except ValueError:
        return None
    years = made.year - born.year - ((made.month, made.day) < (born.month, born.day))
    return float(years) if 0 <= years < _OLDEST_YEARS else None
