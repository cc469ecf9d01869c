"""The detectors of ``ct_harvest``: CenterNet-3D, CenterNet-2D, and MONAI's RetinaNet as the peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from monai.apps.detection.networks import retinanet_detector
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork
from torch import nn
from torch.utils.data import default_collate

from hepatic.networks.hourglass import Residual, convolution
from hepatic.tasks.recipe import Recipe
from train_tasks.ct_centernet2d import RECIPE as SLICES
from train_tasks.ct_centernet3d import RECIPE as SPACE

PER_PHASE = 20
"""Boxes a detector may propose in a phase."""

Samples = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Model:
    """A detector that can be trained and run.

    Attributes:
        title: of its rows.
        build: the untrained network.
        loss: network and augmented samples (``image``, ``boxes``...) -> scalar.
        decode: network and images (B, 1, k, j, i) -> voxel boxes (K, 6) and scores (K,) of each image.
        rate: highest learning rate of AdamW.
    """

    title: str
    build: Callable[[], nn.Module]
    loss: Callable[[nn.Module, Samples], torch.Tensor]
    decode: Callable[[nn.Module, torch.Tensor], list[tuple[torch.Tensor, torch.Tensor]]]
    rate: float


def _centernet_loss(network: nn.Module, samples: Samples, *, recipe: Recipe) -> torch.Tensor:
    encode = recipe.encode
    assert encode is not None
    batch = default_collate([encode(sample) for sample in samples])
    image = batch["image"].contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
        output = network(image)
    return recipe.stages[-1].loss(output, batch)


def _centernet_decode(
    network: nn.Module, images: torch.Tensor, *, decode: Callable[[Any], tuple[torch.Tensor, torch.Tensor]]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    boxes, scores = decode(network(images))
    return list(zip(boxes, scores, strict=True))


class _Pyramid(nn.Module):
    """Residual blocks of CenterNet's widths, their three sizes joined by MONAI's feature pyramid."""

    def __init__(self, *, stem: int, channels: tuple[int, int, int], out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        first, second, third = channels
        self.stem = nn.Sequential(
            convolution(3, 1, stem, stride=(1, 2, 2)), convolution(3, stem, first, stride=2), Residual(3, first, first)
        )
        self.second = nn.Sequential(Residual(3, first, second, stride=2), Residual(3, second, second))
        self.third = nn.Sequential(Residual(3, second, third, stride=2), Residual(3, third, third))
        self.pyramid = FeaturePyramidNetwork(3, list(channels), out_channels)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        one = self.stem(image)
        two = self.second(one)
        joined: dict[str, torch.Tensor] = self.pyramid({"0": one, "1": two, "2": self.third(two)})
        return list(joined.values())


def _retinanet() -> nn.Module:
    """RetinaNet of about CenterNet's size, matched and sampled as in MONAI's lung-nodule example."""
    if not isinstance(retinanet_detector.Matcher, type):  # torchvision's, which CPU builds of torch lack
        retinanet_detector.Matcher = type("NoMatcher", (), {})
    shapes = ((2.0, 6.0, 6.0), (3.0, 9.0, 9.0), (4.0, 12.0, 12.0))
    anchors = AnchorGeneratorWithAnchorShape(feature_map_scales=(1, 2, 4), base_anchor_shapes=shapes)
    extractor = _Pyramid(stem=12, channels=(24, 48, 64), out_channels=32)
    network = RetinaNet(3, 1, anchors.num_anchors_per_location()[0], extractor, size_divisible=(8, 16, 16))
    detector = RetinaNetDetector(network, anchors)
    detector.set_atss_matcher(num_candidates=4, center_in_gt=False)
    detector.set_hard_negative_sampler(batch_size_per_image=64, positive_fraction=0.3, pool_size=20, min_neg=16)
    detector.set_target_keys(box_key="boxes", label_key="labels")
    detector.set_box_selector_parameters(
        score_thresh=0.01, topk_candidates_per_level=100, nms_thresh=0.2, detections_per_img=PER_PHASE
    )
    built: nn.Module = detector
    return built


def _retinanet_loss(network: nn.Module, samples: Samples) -> torch.Tensor:
    images = torch.stack([sample["image"] for sample in samples]).contiguous(memory_format=torch.channels_last_3d)
    targets = []
    for sample in samples:
        boxes = torch.as_tensor(sample["boxes"], dtype=torch.float32).reshape(-1, 6)
        targets.append({"boxes": boxes, "labels": torch.zeros(len(boxes), dtype=torch.long)})
    with torch.autocast("cpu", torch.bfloat16, enabled=SPACE.bf16):
        losses = network(images, targets)
    total: torch.Tensor = losses["classification"] + losses["box_regression"]
    return total


def _retinanet_decode(network: nn.Module, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(found["boxes"], found["labels_scores"]) for found in network(images)]


def _centernet(title: str, recipe: Recipe) -> Model:
    task = recipe.task
    return Model(
        title,
        task.network,
        partial(_centernet_loss, recipe=recipe),
        partial(_centernet_decode, decode=task.decode),  # type: ignore[attr-defined]
        3e-3,
    )


MODELS = {
    "3d": _centernet("CenterNet-3D (ct_centernet3d)", SPACE),
    "2d": _centernet("CenterNet-2D (ct_centernet2d)", SLICES),
    "retina": Model("RetinaNet of MONAI", _retinanet, _retinanet_loss, _retinanet_decode, 2e-3),
}
