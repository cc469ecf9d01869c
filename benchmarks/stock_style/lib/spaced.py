"""``Spacingd`` of MONAI 1.6 fails on MONAI Label's ``image_path`` beside NIfTI; its ``Spacing`` does the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monai.transforms import MapTransform, Spacing


class Spaced(MapTransform):
    """Resample to a spacing in millimetres."""

    def __init__(self, keys: Any, pixdim: Sequence[float]) -> None:
        super().__init__(keys)
        self.spacing = Spacing(pixdim=pixdim)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Replace each key."""
        d = dict(data)
        for key in self.keys:
            d[key] = self.spacing(d[key])
        return d
