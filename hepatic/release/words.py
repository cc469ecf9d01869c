"""Words that name no person: what a cleaned text may keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache

from pydicom.sr._concepts_dict import concepts

UID = re.compile(r"(?<![\d.])[0-2](?:\.(?:0|[1-9]\d*)){4,}(?![\d.]*\d)")
"""A UID in a text: no version number, time or size has five parts."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:[.,]\d+)?|\S")
_NUMBER = re.compile(r"\d{1,2}(?:[.,]\d{1,2})?")
_UNITS = re.compile(r"\d{1,2}(?:[.,]\d{1,2})?(?:mm|cm|s|sec|min|d|kv|%)")
_OURS = (
    "abd abdo art arterial nativ native nc pvp ven venous hepatic hepatobiliary delayed late early pre post phase "
    "liver ct mr mri us ceus dsa xa angio angiography axial coronal sagittal thin thick slice recon kv mip mpr "
    "tumor tumour lesion hcc tace primary cyst metastasis haemangioma hemangioma background segment box boxes "
    "reviewed accepted proposed drawn by hand around with without contrast cine still run of the in and or on from "
    "abdomen thorax pelvis chest upper lower left right phantom probability undetermined true false"
)


@lru_cache(maxsize=1)
def vocabulary() -> frozenset[str]:
    """Return the words of the codes of DICOM and SNOMED CT that pydicom knows, and of liver imaging, lower case."""
    found = set(_OURS.split())
    for scheme in ("DCM", "SCT"):
        for meaning in codes_of(scheme).values():
            found.update(re.findall(r"[a-z]+", meaning.lower()))
    return frozenset(found)


@lru_cache(maxsize=16)
def codes_of(scheme: str) -> Mapping[str, str]:
    """Return the meanings by code that pydicom knows of a coding scheme; none of one it does not know."""
    known: Mapping[str, Mapping[str, tuple[str, object]]] = concepts.get(scheme, {})  # type: ignore[assignment]
    return {value: meaning for one in known.values() for value, (meaning, _) in one.items()}


def cleaned(text: str, *, without: Collection[str] = (), uid: Callable[[str], str] = lambda _: "") -> str:
    """Return a text with known words, small numbers with their units, and UIDs replaced; nothing else is left.

    Args:
        text: what somebody wrote.
        without: words, lower case, that are not kept even so: those of the names in the same file.
        uid: gives the new UID for one.
    """
    kept: list[str] = []
    for part in re.split(r"[\s_/,;:()\[\]=^\\-]+", text):
        if UID.fullmatch(part):
            kept.append(uid(part))
        elif _NUMBER.fullmatch(part) or _UNITS.fullmatch(part.lower()):
            kept.append(part)
        else:
            kept += [word for word in _WORD.findall(part) if _is_known(word, without)]
    return " ".join(word for word in kept if word)


def _is_known(word: str, without: Collection[str]) -> bool:
    lower = word.lower()
    return len(lower) > 1 and lower in vocabulary() and lower not in without
