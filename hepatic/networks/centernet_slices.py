"""CenterNet on single slices, and its 2D boxes linked to 3D ones: the baseline of paper 001."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import torch
from monai.data.box_utils import box_iou
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from hepatic.networks.centernet import CenterMaps, CenterNet, peaks
from hepatic.networks.hourglass import Width

PER_SLICE = 5
"""Peaks per slice that are linked."""
WEAKEST = 0.02
"""Score below which a peak on a slice is not linked."""
_Piece = tuple[int, NDArray[np.float32], float]
"""Slice, 2D box and score."""

LINK_IOU = 0.3
"""IoU from which boxes on neighbouring slices are one lesion."""


class CenterNetSlices(nn.Module):
    """A 2D ``CenterNet`` on every slice of a volume, each with its neighbours as further channels.

    Args:
        neighbours: slices on either side (1: three channels); the outermost slice repeats.
        stride: voxels per cell by (j, i).
        width: of the network.
    """

    def __init__(self, *, neighbours: int = 1, stride: tuple[int, int], **width: Unpack[Width]) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.network = CenterNet(dimension=2, stride=stride, in_channels=2 * neighbours + 1, **width)

    def forward(self, image: torch.Tensor) -> tuple[CenterMaps, ...]:
        """(B, 1, K, J, I) to maps (B, maps, K, cells...), those of offset and size with the two axes (j, i)."""
        batch, _, count = image.shape[:3]
        n = self.neighbours
        padded = functional.pad(image, (0, 0, 0, 0, n, n), mode="replicate")[:, 0]
        stack = torch.stack([padded[:, shift : shift + count] for shift in range(2 * n + 1)], dim=2)
        flat = stack.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return tuple(
            CenterMaps(*(m.reshape(batch, count, *m.shape[1:]).transpose(1, 2) for m in maps))
            for maps in self.network(flat)
        )


def last_linked_peaks(
    output: Sequence[CenterMaps], *, stride: Sequence[int], most: int = 20
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``linked_peaks`` of the last stack: the ``decode`` of a task whose network is a ``CenterNetSlices``."""
    return linked_peaks(output[-1], stride=stride, most=most)


def linked_peaks(maps: CenterMaps, *, stride: Sequence[int], most: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode every slice, and link boxes on neighbouring slices to 3D boxes.

    Args:
        maps: of B volumes, (B, maps, K, cells...).
        stride: voxels per cell by (j, i).
        most: 3D boxes per volume, the best first; those that are missing are empty boxes with score 0.

    Returns:
        (B, most, 6) voxels and (B, most) scores, as ``hepatic.networks.centernet.peaks``.
    """
    batch, _, count = maps.heatmap.shape[:3]
    flat = CenterMaps(*(m.transpose(1, 2).flatten(0, 1) for m in maps))
    boxes, scores = peaks(flat, stride=stride, most=PER_SLICE)
    boxes, scores = boxes.reshape(batch, count, -1, 4), scores.reshape(batch, count, -1)
    out, sure = torch.zeros(batch, most, 6), torch.zeros(batch, most)
    for number in range(batch):
        solid, score = link(boxes[number].cpu().numpy(), scores[number].cpu().numpy())
        taken = min(most, len(solid))
        out[number, :taken] = torch.from_numpy(solid[:taken])
        sure[number, :taken] = torch.from_numpy(score[:taken])
    return out.to(boxes.device), sure.to(boxes.device)


def link(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    min_iou: float = LINK_IOU,
    weakest: float = WEAKEST,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Link 2D boxes to 3D boxes by their IoU with those on the slice before, the best pairs first.

    Args:
        boxes: (K slices, P, 4) as (j, i, j, i).
        scores: (K, P).
        min_iou: from which two boxes are one lesion.
        weakest: score below which a box is left out.

    Returns:
        (N, 6) boxes (k, j, i, k, j, i), in plane the mean of their slices' weighted by score, and (N,) scores, of a
        chain's best slice; the best first.
    """
    chains: list[list[_Piece]] = []
    open_chains: list[list[_Piece]] = []
    for k in range(len(boxes)):
        here = [(k, box, float(score)) for box, score in zip(boxes[k], scores[k], strict=True) if score >= weakest]
        following: list[list[_Piece]] = []
        if here and open_chains:
            overlap = np.asarray(
                box_iou(np.stack([chain[-1][1] for chain in open_chains]), np.stack([one[1] for one in here]))
            )
            while overlap.max() >= min_iou:
                before, after = (int(n) for n in np.unravel_index(overlap.argmax(), overlap.shape))
                open_chains[before].append(here[after])
                following.append(open_chains[before])
                overlap[before], overlap[:, after] = -1, -1
        linked = {id(chain[-1][1]) for chain in following}
        for piece in here:
            if id(piece[1]) not in linked:
                following.append([piece])
                chains.append(following[-1])
        open_chains = following
    solid = np.zeros((len(chains), 6), np.float32)
    best = np.zeros(len(chains), np.float32)
    for number, chain in enumerate(chains):
        sure = np.array([score for _, _, score in chain])
        flat = np.average(np.stack([box for _, box, _ in chain]), axis=0, weights=sure)
        solid[number] = [chain[0][0], *flat[:2], chain[-1][0] + 1, *flat[2:]]
        best[number] = sure.max()
    order = np.argsort(-best, kind="stable")
    return solid[order], best[order]
