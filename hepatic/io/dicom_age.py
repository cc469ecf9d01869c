"""How old a patient was when a study was made."""

from __future__ import annotations

import re
from datetime import date

from pydicom.dataset import Dataset

from hepatic.io.dicom_element import text

_AGE = re.compile(r"(\d{3})([DWMY])")
_A_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}


def age_years(dataset: Dataset) -> float | None:
    """Return PatientAge, else the time from PatientBirthDate to StudyDate; None where neither says it."""
    said = _AGE.fullmatch(text(dataset, "PatientAge") or "")
    if said:
        return int(said[1]) / _A_YEAR[said[2]]
    try:
        born, made = (date.fromisoformat(text(dataset, keyword) or "") for keyword in ("PatientBirthDate", "StudyDate"))
    except ValueError:
        return None
    years = made.year - born.year - ((made.month, made.day) < (born.month, born.day))
    return float(years) if years >= 0 else None
