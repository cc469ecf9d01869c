"""Lookup tables and palettes that are as long as their descriptors say."""

from __future__ import annotations

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

_ENDS = ("LUTData", "ColorLookupTableData")
_BYTES = 2  # of an entry; one where it has eight bits (PS3.3, C.7.6.3.1.6)


def is_table(keyword: str) -> bool:
    """Whether an element is a table whose descriptor counts it; segmented palettes have none that does."""
    return keyword.endswith(_ENDS) and not keyword.startswith("Segmented")


def cut_table(dataset: Dataset, element: DataElement) -> bytes | list[int] | None:
    """Return a table without what is behind its last entry; nothing where no descriptor says how many it has.

    Args:
        dataset: which holds the table, and its descriptor: number of entries (0: 65536), first value, bits.
        element: bytes (OW), or numbers (US, SS).
    """
    keyword = element.keyword.replace("Alpha", "Red") if element.keyword.startswith("Alpha") else element.keyword
    descriptor = dataset.get(f"{keyword.removesuffix('Data')}Descriptor")
    if descriptor is None or len(descriptor) != 3:
        return None
    count, bits = int(descriptor[0]) % 65536 or 65536, int(descriptor[2])
    if not isinstance(element.value, bytes):
        return list(element.value)[:count] if element.VM > 1 else element.value
    size = count if bits <= 8 and len(element.value) < count * _BYTES else count * _BYTES
    made = element.value[:size]
    return made + bytes(len(made) % 2)
