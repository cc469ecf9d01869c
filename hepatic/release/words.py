"""Words that name no person: what a cleaned text may keep."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from functools import lru_cache

from hepatic.labels import STRUCTURES
from hepatic.release.codes import codes_of

UID = re.compile(r"(?<![\d.])(?:2\.25\.[1-9]\d{9,38}|[0-2](?:\.(?:0|[1-9]\d*)){4,})(?![\d.]*\d)")
"""A UID in a text: of a UUID, or of five parts, which no version number, time or size has."""
_LI_RADS = r"(?<![^\W_])(?<!-)(?:LI-RADS|LR-(?:[1-5M]|TIV|NC))(?![^\W_]|-\w)"
_CLAUSE = re.compile(r"[;()]+|,(?!\d)|(?<!\d),")
_PART = re.compile(_LI_RADS + r"|[^\s_/,;:()\[\]=^\\-]+(?:,\d[^\s_/,;:()\[\]=^\\-]*)*", re.IGNORECASE)
_SEGMENT = re.compile(r"[1-8][ab]?|i{1,3}|iv[ab]?|vi{0,3}")
"""Of the liver (Couinaud), after that word."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:[.,]\d+)?|\S")
_NUMBER = re.compile(r"\d(?:[.,][05])?|\d\d")
_SIZE = re.compile(r"\d{1,3}(?:[.,]\d)?")
_UNIT = re.compile(r"mm|cm|sec|min|kv|%")
_UNITS = re.compile(r"\d{1,3}(?:[.,]\d{1,2})?(?:mm|cm|s|sec|min|d|kv|%)")
_PART_OF_A_MODEL = re.compile(r"([a-z]+)(?:\d{1,2}d?)?")
_VERSION = re.compile(r"[0-9a-f]{64}|v?\d\.\d{1,2}")
_COUNTED = (
    "segment", "label", "lesion", "tumor", "tumour", "cyst", "metastasis", "hemangioma", "haemangioma", "hcc", "box",
    "slice", "phase", "thin", "thick", "recon", "native", "arterial", "portal", "venous", "delayed", "late", "early",
    "axial", "coronal", "sagittal", "li-rads",
)  # fmt: skip
"""Words after which a number says which one, or how thick."""
_OURS = (
    "abd abdo art arterial nativ native nc pvp ven venous hepatic hepatobiliary delayed late early pre post phase "
    "liver ct mr mri us ceus dsa xa angio angiography axial coronal sagittal thin thick slice recon kv mip mpr "
    "tumor tumour lesion hcc tace primary cyst metastasis haemangioma hemangioma background segment box boxes "
    "reviewed accepted proposed drawn by hand around with without contrast cine still run of the in and or on from "
    "abdomen thorax pelvis chest upper lower left right phantom probability undetermined true false "
    "benign malignant angioma fnh icc lymphoma abscess fll bmode model detector classifier segmenter segmentation seg "
    "net unet nnunet ltdnet centernet unknown verdict candidate candidates state review unreviewed adjudicated "
    "conflict unsure diagnosis type pixel pixels eligibility eligible shadow place unclear moves too much leaves poor "
    "picture"
)
_PEOPLE = (
    "alexander bauer berger bismuth black boyd brown burns campbell castro child cooper cruz evans ferguson flores fox "
    "fuchs george gordon gray green gross haas hall harper harris hart hill hodgkin hoffman hope horn hunter iris jack "
    "james kaposi kennedy king lang lawrence lee leo lewis long lorenz marsh max may mayer miller moore morgan "
    "morrison murray north oct page park ray reid rex richardson robertson rose russell simpson stone taylor violet "
    "walker west white willis wolf wright albert billy brittany bruce charles crystal french jacob mark pearson robert "
    "swanson victoria waters"
)
"""Words of codes that are common names, too, of people whom something is named after for the most part; and months."""


@lru_cache(maxsize=1)
def vocabulary() -> frozenset[str]:
    """Return the words of the codes of DICOM and SNOMED CT that pydicom knows, and of liver imaging, lower case.

    Common names are none of them, though some codes have them.
    """
    found = set(" ".join((_OURS, *STRUCTURES)).split())
    for scheme in ("DCM", "SCT"):
        for meaning in codes_of(scheme).values():
            found.update(re.findall(r"[a-z]+", meaning.lower()))
    return frozenset(found - set(_PEOPLE.split()))


def cleaned(text: str, *, without: Collection[str] = (), uid: Callable[[str], str] = lambda _: "") -> str:
    """Return a text with known words, small numbers that measure or count, and UIDs replaced; nothing else is left.

    A number stays before its unit or after a word such as segment or venous, and only where no other number stands
    beside it: a date, an identifier or a telephone number has several.

    Args:
        text: what somebody wrote.
        without: words, lower case, that are not kept even so: those of the names in the same file.
        uid: gives the new UID for one.
    """
    clauses = _CLAUSE.split(unicodedata.normalize("NFKC", text))
    return " ".join(word for clause in clauses for word in _cleaned_clause(clause, without, uid) if word)


def _cleaned_clause(clause: str, without: Collection[str], uid: Callable[[str], str]) -> list[str]:
    """Return what stays of a part of a text whose numbers have nothing to do with those of the others."""
    kept: list[str] = []
    parts = _PART.findall(clause)
    for before, part, after in zip(["", *parts], parts, [*parts[1:], ""], strict=False):
        lower = part.lower()
        if UID.fullmatch(part):
            kept.append(uid(part))
        elif re.fullmatch(_LI_RADS, part, re.IGNORECASE):
            kept.append(part)
        elif _SIZE.fullmatch(part) or _UNITS.fullmatch(lower):
            if _measures(before, part, after) and not set(re.findall(r"\d+", part)) & set(without):
                kept.append(part)
        elif before.lower() == "segment" and _SEGMENT.fullmatch(lower):
            if lower not in without:
                kept.append(part)
        elif _UNIT.fullmatch(lower):
            if kept and kept[-1] == before and _SIZE.fullmatch(before):
                kept.append(part)
        else:
            kept += [word for word in _WORD.findall(part) if _is_known(word, without)]
    return kept


def cleaned_model(text: str, *, without: Collection[str] = ()) -> str:
    """Return the name of a model, or its version: as it is where it is made of known words, or is a SHA-256 or 1.2.

    Args:
        text: ``ct_centernet3d``, or what somebody wrote in its place, of which known words are left.
        without: as in ``cleaned``.
    """
    parts = [_PART_OF_A_MODEL.fullmatch(part) for part in re.split(r"[_ -]", text.lower())]
    if _VERSION.fullmatch(text) or all(part is not None and _is_known(part.group(1), without) for part in parts):
        return text
    return cleaned(text, without=without)


def _measures(before: str, number: str, after: str) -> bool:
    """Whether a number is a size, a time or which one of several, and not a part of a longer one."""
    if _UNITS.fullmatch(number.lower()):
        return True
    if any(char.isdigit() for char in before) and not _UNITS.fullmatch(before.lower()):
        return False
    if _UNIT.fullmatch(after.lower()):
        return True
    is_last = not any(char.isdigit() for char in after) or _UNITS.fullmatch(after.lower()) is not None
    return before.lower() in _COUNTED and is_last and _NUMBER.fullmatch(number) is not None


def _is_known(word: str, without: Collection[str]) -> bool:
    lower = word.lower()
    return len(lower) > 1 and lower in vocabulary() and lower not in without
