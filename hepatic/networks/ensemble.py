"""Networks that answer together: the mean of what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional


class Told(NamedTuple):
    """What an ensemble says of a batch.

    Attributes:
        probabilities: (B, labels).
        attention: (B, 1, h, w), the mean of the shares that parts of the picture have in what its networks look at, on
            the finest of their maps; None where none says.
    """

    probabilities: torch.Tensor
    attention: torch.Tensor | None


@dataclass(frozen=True)
class Member:
    """A network of an ensemble.

    Attributes:
        network: on its own.
        answers: places of the labels that it answers.
        size: to which it takes the image, (H, W); None takes it as it comes.
    """

    network: nn.Module
    answers: tuple[int, ...]
    size: tuple[int, ...] | None = None


class Ensemble(nn.Module):
    """Each label's probability is the mean over the networks that answer it; so is the attention, over all that say.

    Args:
        members: one or more; every label is answered by one at least.
        labels: how many there are.
        probabilities: output of a network to (B, labels).
        attention: output of a network to where it looks (``ClassificationTask.attention``), or None.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        labels: int,
        probabilities: Callable[[Any], torch.Tensor],
        attention: Callable[[Any], torch.Tensor | None] | None = None,
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(member.network for member in members)
        self._sizes = [member.size for member in members]
        self._probabilities, self._attention = probabilities, attention
        shares = torch.zeros(len(members), labels)
        for row, member in enumerate(members):
            shares[row, list(member.answers)] = 1
        self.shares: torch.Tensor
        self.register_buffer("shares", shares / shares.sum(dim=0), persistent=False)

    def forward(self, image: torch.Tensor) -> Told:
        """(B, C, H, W) to what they say together."""
        told, seen = [], []
        for network, size in zip(self.networks, self._sizes, strict=True):
            output = network(_resized(image, size))
            told.append(self._probabilities(output).float())
            if self._attention is not None and (shares := self._attention(output)) is not None:
                seen.append(shares.float())
        probabilities = (torch.stack(told, dim=1) * self.shares).sum(dim=1)
        return Told(probabilities, _mean_share(seen) if seen else None)


def told_probabilities(told: Told) -> torch.Tensor:
    """Return the probabilities, (B, labels): the ``probabilities`` of a task."""
    return told.probabilities


def told_attention(told: Told) -> torch.Tensor | None:
    """Return where the networks look, (B, 1, h, w), or None: the ``attention`` of a task."""
    return told.attention


def _resized(image: torch.Tensor, size: tuple[int, ...] | None) -> torch.Tensor:
    if size is None or tuple(image.shape[2:]) == tuple(size):
        return image
    return functional.interpolate(image, size=tuple(size), mode="bilinear", antialias=True, align_corners=False)


def _mean_share(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    finest = max((tuple(one.shape[2:]) for one in maps), key=lambda size: size[0] * size[1])
    brought = [functional.interpolate(one, size=finest, mode="bilinear", align_corners=False) for one in maps]
    return torch.stack([one / one.sum(dim=(2, 3), keepdim=True) for one in brought]).mean(dim=0)
