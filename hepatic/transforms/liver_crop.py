"""Cut the liver out of a CT and bring it to the size and grey values a network takes (paper 001, section II-A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.image import Volume
from hepatic.io.orient import turn_of, turned, upright
from hepatic.transforms.ct_volume import ct_volume

UNIT_HU = 20.0
"""Hounsfield units that make one unit of the network's input."""
LIMIT = 4.0
"""Units beyond which input is cut off."""


@dataclass(frozen=True)
class LiverCrop:
    """``source`` (Volume, CT) and ``liver`` (bool, its shape) to ``image`` float32 (1, k, j, i) and its ``grid``.

    The volume is stood upright first, whichever way its file stores it. The box around the liver, and a margin, is
    resampled to one size whatever its shape; where that shrinks it, voxels are averaged. Zero is the median of the
    liver, which differs from phase to phase and patient to patient more than lesions differ from it; on phantoms a
    detector that was given a fixed window instead found fewer.

    Attributes:
        size: (k, j, i) of the network's image.
        margin_mm: around the liver, on each side.
        unit_hu: Hounsfield units to one unit.
        limit: units beyond which values are cut off.
    """

    size: tuple[int, int, int]
    margin_mm: float = 10.0
    unit_hu: float = UNIT_HU
    limit: float = LIMIT

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``image`` and ``grid``; BadInputError when there is no liver or the source is no volume."""
        volume = ct_volume(sample)
        liver = np.asarray(sample.get("liver", ()), bool)
        if liver.shape != volume.array.shape:
            raise BadInputError(
                "liver",
                expected=f"a mask of the image's shape {volume.array.shape}",
                came=f"one of {liver.shape}",
                fix="Segment the liver on this very image.",
            )
        liver, volume = turned(liver, turn_of(volume.grid)).astype(bool), upright(volume)
        inside = volume.array[liver]
        if not inside.size:
            raise BadInputError(
                "liver",
                expected="a liver in the picture",
                came="a mask without a single voxel",
                fix="Check that the series shows the abdomen, or draw the liver and submit it.",
            )
        zero = float(np.median(inside))
        crop, starts, steps = self._cut(volume, liver)
        picture = np.clip((crop - zero) / self.unit_hu, -self.limit, self.limit).astype(np.float32)
        index = np.diag([*steps[::-1], 1.0])  # of a network voxel (i, j, k) to that of the source
        index[:3, 3] = [start + step / 2 - 0.5 for start, step in zip(starts[::-1], steps[::-1], strict=True)]
        k, j, i = self.size
        grid = Grid((i, j, k), volume.grid.affine @ index)
        return {**sample, "image": torch.from_numpy(picture)[None], "grid": grid}

    def _cut(self, volume: Volume, liver: NDArray[np.bool_]) -> tuple[NDArray[np.float32], list[float], list[float]]:
        """Resample the box around the liver; also its first edge and the length of a step, in voxels by (k, j, i)."""
        starts: list[float] = []
        steps: list[float] = []
        weights = []
        region = []
        for axis, spacing in enumerate(volume.grid.spacing[::-1]):
            filled = np.flatnonzero(liver.any(axis=tuple(a for a in range(3) if a != axis)))
            margin = self.margin_mm / spacing
            length = liver.shape[axis]
            start = max(0.0, filled[0] - margin)
            stop = min(float(length), filled[-1] + 1 + margin)
            steps.append((stop - start) / self.size[axis])
            starts.append(start)
            reach = max(1.0, steps[-1]) + 1
            region.append(slice(max(0, int(start - reach)), min(length, int(np.ceil(stop + reach)))))
            weights.append(_weights(length, start, steps[-1], self.size[axis])[:, region[-1]])
        crop = volume.array[tuple(region)].astype(np.float32)
        for axis, matrix in enumerate(weights):
            crop = np.moveaxis(np.tensordot(matrix, crop, axes=(1, axis)), 0, axis)
        return crop, starts, steps


def _weights(length: int, start: float, step: float, count: int) -> NDArray[np.float32]:
    """What each of ``length`` voxels adds to each of ``count`` samples: linear, averaging where it shrinks."""
    middles = start + (np.arange(count) + 0.5) * step - 0.5
    distance = np.abs(middles[:, None] - np.arange(length)[None]) / max(1.0, step)
    triangle = np.clip(1.0 - distance, 0.0, None)
    lonely = (
        triangle.sum(axis=1) == 0
    )  # beyond the last voxel's centre by more than it reaches: cannot be, but sums to 0
    triangle[lonely, np.clip(np.rint(middles[lonely]), 0, length - 1).astype(int)] = 1.0
    return np.asarray(triangle / triangle.sum(axis=1, keepdims=True), np.float32)
