"""The structures hepatic knows: how they are drawn and what DICOM calls them."""

from __future__ import annotations

from dataclasses import dataclass

Code = tuple[str, str, str]
"""A coded concept: value, scheme designator, meaning."""


@dataclass(frozen=True)
class Structure:
    """One kind of segment.

    Attributes:
        name: as it appears in every viewer.
        rgb: colour, 0-255.
        category: SNOMED CT code of the property category.
        type: SNOMED CT code of the property type.
    """

    name: str
    rgb: tuple[int, int, int]
    category: Code
    type: Code

    @property
    def is_anatomy(self) -> bool:
        """Whether every patient has it."""
        return self.category == _ANATOMY


_ANATOMY: Code = ("91723000", "SCT", "Anatomical Structure")
_ABNORMAL: Code = ("49755003", "SCT", "Morphologically Abnormal Structure")
_TISSUE: Code = ("85756007", "SCT", "Tissue")

TUMOUR = Structure("tumour", (230, 70, 60), _ABNORMAL, ("108369006", "SCT", "Neoplasm"))
LIVER = Structure("liver", (90, 190, 110), _ANATOMY, ("10200004", "SCT", "Liver"))
UNKNOWN = Structure("unknown", (240, 200, 60), _TISSUE, _TISSUE)
"""For a name nobody gave a code: it says no more than that something of the body is meant."""

STRUCTURES = {
    structure.name: structure
    for structure in (
        TUMOUR,
        LIVER,
        Structure("lesion", (230, 70, 60), _ABNORMAL, ("52988006", "SCT", "Lesion")),
        Structure("metastasis", (200, 60, 140), _ABNORMAL, ("128462008", "SCT", "Metastasis")),
        Structure("haemangioma", (170, 60, 60), _ABNORMAL, ("400210000", "SCT", "Hemangioma")),
        Structure("cyst", (80, 150, 230), _ABNORMAL, ("367643001", "SCT", "Cyst")),
        Structure("necrosis", (120, 100, 90), _ABNORMAL, ("6574001", "SCT", "Necrosis")),
        Structure("spleen", (157, 108, 162), _ANATOMY, ("78961009", "SCT", "Spleen")),
        Structure("kidney", (185, 102, 83), _ANATOMY, ("64033007", "SCT", "Kidney")),
        Structure("pancreas", (249, 180, 111), _ANATOMY, ("15776009", "SCT", "Pancreas")),
        Structure("gallbladder", (139, 150, 98), _ANATOMY, ("28231008", "SCT", "Gallbladder")),
        Structure("stomach", (216, 132, 105), _ANATOMY, ("69695003", "SCT", "Stomach")),
        Structure("aorta", (224, 97, 76), _ANATOMY, ("15825003", "SCT", "Aorta")),
        Structure("portal vein", (0, 151, 206), _ANATOMY, ("32764006", "SCT", "Portal vein")),
        Structure("hepatic vein", (0, 112, 165), _ANATOMY, ("8993003", "SCT", "Hepatic vein")),
        Structure("hepatic artery", (216, 101, 79), _ANATOMY, ("76015000", "SCT", "Hepatic artery")),
        Structure("vessel", (206, 110, 84), _ANATOMY, ("59820001", "SCT", "Blood Vessel")),
    )
}

_OTHER_WORDS = {"tumor": "tumour", "neoplasm": "tumour", "hemangioma": "haemangioma", "vessels": "vessel"}


def structure(name: str) -> Structure | None:
    """Return the structure a segment's name means, however it is spelt; None where it is not known."""
    plain = plain_name(name)
    return STRUCTURES.get(_OTHER_WORDS.get(plain, plain))


def structure_of_type(value: str) -> Structure | None:
    """Return the structure that a SNOMED CT code means; None where it is not known."""
    return next((one for one in STRUCTURES.values() if one.type[0] == value), None)


_CLASS_WORDS = {
    "haemangioma": "angioma",
    "hemangioma": "angioma",
    "hepatocellular carcinoma": "hcc",
    "focal nodular hyperplasia": "fnh",
    "metastases": "metastasis",
    "no hcc": "non hcc",
    "not hcc": "non hcc",
}


def class_words(name: str) -> tuple[str, str]:
    """Return the name of a class in plain spelling (``non hcc``), and so the word that classifiers have for it."""
    plain = plain_name(name)
    return plain, _CLASS_WORDS.get(plain, plain)


def plain_name(name: str) -> str:
    """Return a name in plain spelling: lower case, single spaces, neither underscores nor hyphens."""
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())
