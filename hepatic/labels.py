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


TUMOUR = Structure(
    "tumour",
    (230, 70, 60),
    ("49755003", "SCT", "Morphologically abnormal structure"),
    ("108369006", "SCT", "Neoplasm"),
)
LIVER = Structure("liver", (90, 190, 110), ("123037004", "SCT", "Anatomical structure"), ("10200004", "SCT", "Liver"))

STRUCTURES = {structure.name: structure for structure in (TUMOUR, LIVER)}
