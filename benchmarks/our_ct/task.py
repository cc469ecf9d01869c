"""A CT task for the benchmark: the steps of ``segmentation`` in MONAI Label's radiology app, as a task of hepatic.

Trained on: nothing; its weights are random, to measure time with.
Expects: one CT series.
Known to fail: always; what it marks means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import BasicUNet
from monai.transforms import Compose, GaussianSmooth, NormalizeIntensity, Orientation, ScaleIntensity, Spacing
from torch import nn
from torch.nn import functional

from hepatic.tasks.spec import Sample, SegmentationTask

LABELS = ("liver",)
SPACING_MM = (2.0, 2.0, 2.0)
ROI = (96, 96, 96)
OVERLAP = 0.4
WINDOWS_AT_ONCE = 2
_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def network() -> nn.Module:
    """Build a small 3D U-Net: (B, 1, x, y, z) to logits of background and liver."""
    net: nn.Module = BasicUNet(
        spatial_dims=3, in_channels=1, out_channels=2, features=(8, 8, 16, 32, 64, 8), norm=("batch", {})
    )
    return net


def foreground(logits: torch.Tensor) -> torch.Tensor:
    """Probability of all but the background."""
    return torch.softmax(logits, dim=1)[:, 1:]


@dataclass(frozen=True)
class VolumeImage:
    """``source`` (Volume) to ``image`` (1, x, y, z) in RAS order at ``spacing_mm``."""

    spacing_mm: tuple[float, float, float]

    def __call__(self, sample: Sample) -> Sample:
        """Add ``image``."""
        volume = sample["source"]
        array = torch.from_numpy(volume.array.astype(np.float32)).permute(2, 1, 0)[None]
        steps = Compose(
            [
                Orientation(axcodes="RAS", labels=None),
                Spacing(pixdim=self.spacing_mm),
                NormalizeIntensity(nonzero=True),
                GaussianSmooth(sigma=0.4),
                ScaleIntensity(minv=-1.0, maxv=1.0),
            ]
        )
        image = steps(MetaTensor(array, affine=_RAS_FROM_LPS @ volume.grid.affine))
        return {**sample, "image": image.as_tensor(), "facts": {}}


@dataclass(frozen=True)
class VolumeLabelmap:
    """``probabilities`` to ``labelmap`` on the source's grid, by nearest neighbour; for sources in RAS order."""

    def __call__(self, sample: Sample) -> Sample:
        """Add ``labelmap``."""
        mask = (sample["probabilities"] > 0.5).to(torch.uint8)
        full = functional.interpolate(mask[None], size=sample["source"].grid.size, mode="nearest")[0, 0]
        return {**sample, "labelmap": np.ascontiguousarray(full.permute(2, 1, 0).numpy())}


TASK = SegmentationTask(
    name="ct_unet",
    description="A CT volume through a small 3D U-Net with random weights (benchmark)",
    modality="CT",
    dimension=3,
    labels=LABELS,
    network=network,
    probabilities=foreground,
    inferer=SlidingWindowInferer(
        roi_size=ROI, sw_batch_size=WINDOWS_AT_ONCE, overlap=OVERLAP, padding_mode="replicate", mode="gaussian"
    ),
    pre=(VolumeImage(SPACING_MM),),
    post=(VolumeLabelmap(),),
)
