"""What images and reports say of their patient: name, birth date, age, sex, size and weight."""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from hepatic.io.dicom_element import text

_OLDEST_YEARS = 90
_IDENTITY = {"121029", "121030", "121031", "371484003", "184099003", "21112-8"}
"""Name, identifier and birth date; TID 1006 (PS3.16), SNOMED CT, LOINC."""
_AGES = {"121033", "424144002", "397669002", "445518008", "30525-0", "21612-7"}
_CHARACTERISTICS = {
    *_AGES, "121032", "121034", "734000001", "46098-0", "50373000", "8302-2", "8301-4", "27113001", "29463-7", "8335-2",
}  # fmt: skip
"""Age, sex, species, height and weight."""
_IN_A_YEAR = {"a": 1.0, "mo": 12.0, "wk": 52.0, "d": 365.0}
_OTHER_NUMBERS = ("FloatingPointValue", "RationalNumeratorValue", "RationalDenominatorValue")


def concept_of(item: Dataset) -> str:
    """Return the code of what a content item is about; empty where it does not say."""
    names = item.get("ConceptNameCodeSequence")
    return text(names[0], "CodeValue") or "" if names else ""


def stays(item: Dataset, *, characteristics: bool) -> bool:
    """Return whether a content item may leave, as far as it is about the patient; cap an age.

    Args:
        item: of a ContentSequence, changed in place.
        characteristics: whether those that many share are retained.
    """
    concept = concept_of(item)
    if concept in _IDENTITY or (concept in _CHARACTERISTICS and not characteristics):
        return False
    return concept not in _AGES or _cap(item)


def capped(age: str) -> str:
    """Return an age (AS); from 90 years on they are few, and all of them 90. Nothing where it is none."""
    if not re.fullmatch(r"\d{3}[DWMY]", age):
        return ""
    years = int(age[:3]) / {"D": 365.0, "W": 52.0, "M": 12.0, "Y": 1.0}[age[3]]
    return f"{_OLDEST_YEARS:03d}Y" if years > _OLDEST_YEARS else age


def _cap(item: Dataset) -> bool:
    """Cap an age that is measured, and return whether it could be read."""
    measured = item.get("MeasuredValueSequence") or []
    for one in measured:
        units = one.get("MeasurementUnitsCodeSequence")
        per_year = _IN_A_YEAR.get(text(units[0], "CodeValue") or "" if units else "")
        try:
            years = float(one.NumericValue) / (per_year or 0)
        except (AttributeError, TypeError, ValueError, ZeroDivisionError):
            return False
        for keyword in _OTHER_NUMBERS:
            one.pop(keyword, None)
        if not years <= _OLDEST_YEARS:
            one.NumericValue = str(_OLDEST_YEARS)
            units[0].CodeValue, units[0].CodingSchemeDesignator, units[0].CodeMeaning = "a", "UCUM", "year"
    return bool(measured) and "TextValue" not in item
