"""Coded concepts that name no one: those of the standards' schemes, with their own meanings."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache

from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts

from hepatic.io.dicom_element import text
from hepatic.io.dicom_report import SCHEME

_METRIC = (
    r"g|s|l|L|t|Hz|N|Pa|J|W|A|V|Ohm|S|F|H|T|Wb|K|Cel|mol|eq|osm|cd|lm|lx|Bq|Ci|Gy|Sv|eV|bar|U|kat|rad|sr|B|m\[Hg\]|m"
)
_UNITS = (
    rf"(?:[YZEPTGMkhcmunpfa]|da|d)?(?:{_METRIC})|a|mo|wk|d|h|min|deg|%|ppm|diop|"
    r"\[(?:arb'U|hnsf'U|iU|IU|Ch|pH|mi_i|in_i)\]"
)
_UNIT = rf"(?:(?:{_UNITS})|10[*^]-?\d{{1,2}}|10{{0,3}})(?:[+-]?\d)?"
"""A factor of a unit in UCUM's grammar, of the units that are measured in."""

_FORMS = {
    "SCT": r"\d{6,18}",
    "SRT": r"[A-Z][0-9A-F]?-[0-9A-F]{4,6}",
    "SNM3": r"[A-Z][0-9A-F]?-[0-9A-F]{4,6}",
    "DCM": r"\d{6}",
    "LN": r"\d{1,7}-\d",
    "FMA": r"\d{1,7}",
    "RADLEX": r"RID\d{1,7}",
    "NCIt": r"C\d{1,7}",
    "UMLS": r"C\d{7}",
    "UCUM": rf"/?{_UNIT}(?:[./]{_UNIT}){{0,5}}",
    "RFC5646": r"[a-z]{2}(-[A-Z]{2})?",
    "RFC3066": r"[a-z]{2}(-[A-Z]{2})?",
}
"""What codes look like in schemes of which pydicom knows a part only."""
_ANNOTATION = re.compile(r"\{([^{}]*)\}")
_VERSION = re.compile(r"[\d.]{1,8}")
_SCHEMES = {*concepts, *_FORMS}
_DIGIT_ORDER = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_CONCEPT = ("CodingSchemeDesignator", "CodeValue", "CodeMeaning")
_OTHER_VALUES = ("LongCodeValue", "URNCodeValue")


@lru_cache(maxsize=16)
def codes_of(scheme: str) -> Mapping[str, str]:
    """Return the meanings by code that pydicom knows of a coding scheme; none of one it does not know."""
    known: Mapping[str, Mapping[str, tuple[str, object]]] = concepts.get(scheme, {})  # type: ignore[assignment]
    return {value: meaning for one in known.values() for value, (meaning, _) in one.items()}


def _is_formed(scheme: str, value: str, numbers: Collection[str]) -> bool:
    """Whether a code looks like one of its scheme, its check digit is right where it has one, and it is no number."""
    if not re.fullmatch(_FORMS.get(scheme, "(?!)"), value) or re.sub(r"\D", "", value).lstrip("0") in numbers:
        return False
    return _has_verhoeff(value) if scheme == "SCT" else _has_luhn(value) if scheme == "LN" else True


def _has_verhoeff(code: str) -> bool:
    """Whether a code of SNOMED CT ends in its check digit (Verhoeff's, in the dihedral group of order ten)."""
    check = 0
    for place, char in enumerate(reversed(code)):
        digit = int(char)
        for _ in range(place % 8):
            digit = _DIGIT_ORDER[digit]
        turned = (check + digit if check < 5 else check - digit) % 5
        check = turned + 5 * ((check < 5) != (digit < 5))
    return check == 0


def _has_luhn(code: str) -> bool:
    """Whether a code of LOINC ends in its check digit (mod 10)."""
    number, check = code.split("-")
    doubled = [int(char) * (2 - place % 2) for place, char in enumerate(reversed(number))]
    return (sum(one // 10 + one % 10 for one in doubled) + int(check)) % 10 == 0


def clean_code(
    item: Dataset, *, words: Callable[[str], str], other: Callable[[str], str], numbers: Collection[str] = ()
) -> None:
    """Let a coded concept say what its standard says; an item that is none is left alone.

    A code of hepatic's own scheme is kept where it is made of known words. One of another site's scheme becomes another
    of hepatic's, always the same: it may be a name itself. A unit stays one of UCUM, if only an annotation.

    Args:
        item: any item.
        words: returns the known words of a text, or what stands for none.
        other: returns the code that stands for one.
        numbers: of the patient, which no code that pydicom does not know may have as its digits.
    """
    scheme, value, meaning = (text(item, keyword) or "" for keyword in _CONCEPT)
    value = value or next((said for keyword in _OTHER_VALUES if (said := text(item, keyword))), "")
    if not value and not meaning:
        if scheme not in ("", SCHEME, *_SCHEMES):
            item.CodingSchemeDesignator = SCHEME
        return
    known = codes_of(scheme).get(value)

    def is_worded(said: str) -> bool:
        return words(said).split() == re.findall(r"[^\W_]+", said)

    if scheme == "UCUM":
        bare = _ANNOTATION.sub(lambda found: "1" if is_worded(found[1]) else "{", value)
        if known is None and not _is_formed(scheme, bare, numbers):
            value = f"{{{other(f'{scheme} {value}')}}}"
    elif known is None and not (scheme == SCHEME and is_worded(value)) and not _is_formed(scheme, value, numbers):
        scheme, value = SCHEME, other(f"{scheme} {value}")
    if not (_VERSION.fullmatch(text(item, "CodingSchemeVersion") or "") and scheme != SCHEME):
        item.pop("CodingSchemeVersion", None)
    item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning = scheme, value, known or words(meaning)
