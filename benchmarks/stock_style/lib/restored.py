"""``Restored`` of MONAI Label, which fails with MONAI 1.6 on a changed argument: the same step with MONAI's Resize."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monai.transforms import MapTransform, Resize


class Restoredd(MapTransform):
    """Undo the spacing of a labelmap by nearest neighbour and give it the affine its source had."""

    def __init__(self, keys: Any, ref_image: str) -> None:
        super().__init__(keys)
        self.ref_image = ref_image

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Replace each key and add its meta data."""
        d = dict(data)
        meta = d[self.ref_image].meta
        for key in self.keys:
            result = d[key]
            size = [int(n) for n in meta["spatial_shape"]]
            if list(result.shape[1:]) != size:
                result = Resize(spatial_size=size, mode="nearest")(result)
            d[key] = result[0] if result.shape[0] == 1 else result
            d[f"{key}_meta_dict"] = {"affine": meta["original_affine"]}
        return d
