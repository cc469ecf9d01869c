"""Segmentation of the key frame of a DSA run with MONAI's transforms, step for step what hepatic's tasks do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from monai.inferers import Inferer, SimpleInferer
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    EnsureChannelFirstd,
    LoadImaged,
    MapTransform,
    RemoveSmallObjectsd,
    Resized,
)
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.tasks.infer.basic_infer import BasicInferTask

from hepatic.networks.ltdnet import LTDNet
from hepatic.transforms.key_frame import select_key_frame

NETWORK_SIZE = (96, 128)
_SMALLEST_PX, _OF_WIDTH_PX = 6.5, 1021  # as in hepatic/transforms/key_frame_labelmap.py


class LTDLogits(LTDNet):
    """DSA-LTDNet with one output, as ``BasicInferTask`` expects it: tumour and liver logits, (B, 2, H, W)."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Segment the last of ``frames``."""
        output = super().forward(frames)
        return torch.cat([output.tumour, output.liver], dim=1)


class KeyFrameWindowd(MapTransform):
    """A run (1, W, H, F) to grey values on the networks' scale: the key frame and those before it, (frames, H, W)."""

    def __init__(self, keys: Any, frames: int) -> None:
        super().__init__(keys)
        self.frames = frames

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the image; note the key frame and where it lies."""
        d = dict(data)
        for key in self.keys:
            meta = d[key].meta
            run = d[key].as_tensor()[0].permute(2, 1, 0)
            last = select_key_frame(run.numpy())
            window = [max(0, t) for t in range(last - self.frames + 1, last + 1)]
            d[key] = (run[window] - run[0].median()) / 50.0
            d["key_frame"], d["run_shape"] = last, tuple(run.shape)
            d["pred_meta_dict"] = {"affine": meta["original_affine"]}
        return d


class KeyFrameToRund(MapTransform):
    """Masks of the key frame (labels, H, W) to a labelmap of the run (W, H, F); the earlier label wins."""

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Replace each key."""
        d = dict(data)
        for key in self.keys:
            run = torch.zeros(d["run_shape"], dtype=torch.uint8)
            for place in reversed(range(len(d[key]))):
                run[d["key_frame"]][torch.as_tensor(d[key][place]) > 0] = place + 1
            d[key] = run.permute(2, 1, 0)
            d["result"] = {"key_frame": d["key_frame"]}
        return d


class KeyFrameSegmentation(BasicInferTask):
    """See the module."""

    def __init__(self, path: str, network: torch.nn.Module, frames: int, labels: dict[str, int]) -> None:
        super().__init__(
            path=[path],
            network=network,
            type=InferType.SEGMENTATION,
            labels=labels,
            dimension=3,
            description="Segmentation of the key frame of a DSA run",
            load_strict=True,
        )
        self.frames = frames

    def pre_transforms(self, data: Any = None) -> Sequence[Callable[..., Any]]:
        """From file to network."""
        return [
            LoadImaged(keys="image"),
            EnsureChannelFirstd(keys="image"),
            KeyFrameWindowd(keys="image", frames=self.frames),
            Resized(keys="image", spatial_size=NETWORK_SIZE, mode="area"),
        ]

    def inferer(self, data: Any = None) -> Inferer:
        """The whole picture at once."""
        return SimpleInferer()

    def post_transforms(self, data: Any = None) -> Sequence[Callable[..., Any]]:
        """From logits to labels on the source's grid."""
        _, height, width = data["run_shape"]
        smallest = math.ceil(math.pi / 4 * (_SMALLEST_PX * width / _OF_WIDTH_PX) ** 2)
        return [
            Activationsd(keys="pred", sigmoid=True),
            Resized(keys="pred", spatial_size=(height, width), mode="bilinear"),
            AsDiscreted(keys="pred", threshold=0.5),
            RemoveSmallObjectsd(keys="pred", min_size=smallest),
            KeyFrameToRund(keys="pred"),
        ]
