"""Segmentation of a CT volume: the transforms and the inferer of ``segmentation`` in MONAI Label's radiology app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lib.restored import Restoredd
from lib.spaced import Spaced
from monai.inferers import Inferer, SlidingWindowInferer
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    EnsureChannelFirstd,
    EnsureTyped,
    GaussianSmoothd,
    LoadImaged,
    NormalizeIntensityd,
    Orientationd,
    ScaleIntensityd,
)
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.tasks.infer.basic_infer import BasicInferTask

from benchmarks.our_ct.task import OVERLAP, ROI, SPACING_MM, WINDOWS_AT_ONCE


class VolumeSegmentation(BasicInferTask):
    """See the module."""

    def __init__(self, path: str, network: Any, labels: dict[str, int]) -> None:
        super().__init__(
            path=[path],
            network=network,
            type=InferType.SEGMENTATION,
            labels=labels,
            dimension=3,
            description="Segmentation of a CT volume",
            load_strict=True,
        )

    def pre_transforms(self, data: Any = None) -> Sequence[Callable[..., Any]]:
        """From file to network."""
        return [
            LoadImaged(keys="image"),
            EnsureTyped(keys="image", device=data.get("device") if data else None),
            EnsureChannelFirstd(keys="image"),
            Orientationd(keys="image", axcodes="RAS"),
            Spaced(keys="image", pixdim=SPACING_MM),
            NormalizeIntensityd(keys="image", nonzero=True),
            GaussianSmoothd(keys="image", sigma=0.4),
            ScaleIntensityd(keys="image", minv=-1.0, maxv=1.0),
        ]

    def inferer(self, data: Any = None) -> Inferer:
        """Windows over the volume."""
        return SlidingWindowInferer(
            roi_size=ROI, sw_batch_size=WINDOWS_AT_ONCE, overlap=OVERLAP, padding_mode="replicate", mode="gaussian"
        )

    def inverse_transforms(self, data: Any = None) -> None:
        """Nothing: the radiology app inverts them on the logits, which would take the stock server longer."""

    def post_transforms(self, data: Any = None) -> Sequence[Callable[..., Any]]:
        """From logits to labels on the source's grid."""
        return [
            EnsureTyped(keys="image", device=data.get("device") if data else None),
            Activationsd(keys="pred", softmax=True),
            AsDiscreted(keys="pred", argmax=True),
            Restoredd(keys="pred", ref_image="image"),
        ]
