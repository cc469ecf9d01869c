"""Supervised attention: a branch that learns where lesions are says where the classifier looks (paper 004)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from monai.networks.nets import DenseNet, DenseNet121, ResNet
from torch import nn

from hepatic.errors import BadInputError
from hepatic.networks.hourglass import Residual, convolution


class Attended(NamedTuple):
    """What the network says of a picture.

    Attributes:
        logits: (B, outputs).
        attention: (B, 1, h, w), logits z of "there is a lesion here", on the feature map.
        shares: (B, 1, h, w), p / sum p of equation 3, what each cell has in the mean of the features (of several
            lambdas, the mean of their shares); None where lambda is 0: all cells have the same.
    """

    logits: torch.Tensor
    attention: torch.Tensor
    shares: torch.Tensor | None = None


class SupervisedAttention(nn.Module):
    """Features, a 1 x 1 convolution to z, and for each scale the mean of the features weighted by sigmoid(scale z).

    Equation 3: x_k = sum_ij p_ij x_kij / sum_ij p_ij, with p = sigmoid(lambda z). Lambda 0 makes it equation 2, mean
    pooling. Several scales are concatenated before the one linear layer.

    Args:
        features: (B, channels_in, H, W) to (B, channels, h, w), whatever h and w.
        channels: of the features.
        outputs: of the linear layer.
        scales: the lambdas, one or more.
    """

    def __init__(self, features: nn.Module, *, channels: int, outputs: int, scales: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        if not scales or any(scale < 0 for scale in scales):
            raise BadInputError(
                "lambda of the attention",
                expected="one or more numbers of 0 or above",
                came=repr(tuple(scales)),
                fix="Correct the task.",
            )
        self.features, self.scales = features, tuple(scales)
        self.attend = nn.Conv2d(channels, 1, 1)
        self.classify = nn.Linear(channels * len(self.scales), outputs)

    def forward(self, image: torch.Tensor) -> Attended:
        """(B, channels_in, H, W) to logits of the outputs, and where it looks."""
        features = self.features(image)
        z = self.attend(features)
        weights = [torch.sigmoid(scale * z.float()) for scale in self.scales]
        logits = self.classify(torch.cat([weighted_mean(features, weight) for weight in weights], dim=1))
        return Attended(logits, z, mean_share(weights) if any(self.scales) else None)


def supervised_attention(
    features: Callable[[], nn.Module], *, channels: int, outputs: int, scales: Sequence[float] = (1.0,)
) -> SupervisedAttention:
    """Build features, and the network on them; arguments as ``SupervisedAttention``."""
    return SupervisedAttention(features(), channels=channels, outputs=outputs, scales=scales)


def finding_probabilities(output: Attended) -> torch.Tensor:
    """Probability of each output, (B, outputs): the ``probabilities`` of a task."""
    return torch.sigmoid(output.logits)


def attention_shares(output: Attended) -> torch.Tensor | None:
    """Where the network looks, (B, 1, h, w), or None: the ``attention`` of a task."""
    return output.shares


def weighted_mean(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Equation 3 of paper 004: (B, C, h, w) and weights (B, 1, h, w) in (0, 1] to (B, C)."""
    weight = _above_zero(weight.to(features.dtype))
    weight = weight / weight.amax(dim=(2, 3), keepdim=True)
    return (features * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))


def mean_share(weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Maps p (B, 1, h, w) of one or more lambdas to the mean of p / sum p, which sums to 1."""
    positive = [_above_zero(weight) for weight in weights]
    return torch.stack([weight / weight.sum(dim=(2, 3), keepdim=True) for weight in positive]).mean(dim=0)


def _above_zero(weight: torch.Tensor) -> torch.Tensor:
    """Of a map that is 0 to the last bit the shape is left."""
    return weight.clamp(min=torch.finfo(weight.dtype).tiny)


def resnet50_features() -> nn.Module:
    """ResNet-50 without its last two layers, (B, 3, H, W) to (B, 2048, H / 32, W / 32); named as torchvision does."""
    network = ResNet(
        "bottleneck",
        [3, 4, 6, 3],
        [64, 128, 256, 512],
        spatial_dims=2,
        n_input_channels=3,
        conv1_t_size=7,
        conv1_t_stride=2,
        feed_forward=False,
        bias_downsample=False,
    )
    return _Unpooled(network)


def densenet121_features() -> nn.Module:
    """DenseNet-121 without its classifier, (B, 3, H, W) to (B, 1024, H / 32, W / 32)."""
    built: nn.Module = nn.Sequential(DenseNet121(2, 3, 1).features, nn.ReLU(inplace=True))
    return built


def small_densenet_features() -> nn.Module:
    """A small DenseNet without its classifier: (B, 3, H, W) to (B, 56, H / 16, W / 16)."""
    network = DenseNet(2, 3, 1, init_features=16, growth_rate=8, block_config=(2, 4, 4), bn_size=2)
    built: nn.Module = nn.Sequential(network.features, nn.ReLU(inplace=True))
    return built


def small_features(*, channels: Sequence[int] = (16, 32, 64, 96)) -> nn.Module:
    """A few residual stages that train in minutes on one core: (B, 3, H, W) to (B, channels[-1], H / 16, W / 16)."""
    stages = [convolution(2, 3, channels[0], stride=2)]
    stages += [Residual(2, before, after, stride=2) for before, after in itertools.pairwise(channels)]
    return nn.Sequential(*stages, Residual(2, channels[-1], channels[-1]))


class _Unpooled(nn.Module):
    """MONAI's ResNet up to its last feature map."""

    def __init__(self, network: ResNet) -> None:
        super().__init__()
        self.conv1, self.bn1, self.act, self.maxpool = network.conv1, network.bn1, network.act, network.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            network.layer1,
            network.layer2,
            network.layer3,
            network.layer4,
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        stages: Sequence[Callable[[torch.Tensor], torch.Tensor]] = (
            self.conv1,
            self.bn1,
            self.act,
            self.maxpool,
            self.layer1,
            self.layer2,
            self.layer3,
            self.layer4,
        )
        for stage in stages:
            image = stage(image)
        return image
