"""A whole CT volume on a small grid, and what a network says there back on the volume's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.image import Labelmap
from hepatic.io.lattice import onto_grid
from hepatic.io.orient import turn_of, turned, turned_back, upright, upright_grid
from hepatic.transforms.ct_volume import ct_volume


@dataclass(frozen=True)
class WholeCT:
    """``source`` (Volume, CT) to ``image`` float32 (1, k, j, i) and its ``grid``, upright and centred on the volume.

    A step is as long as asked for, or longer where the volume would not fit: nothing is cut off. Where steps are longer
    than the volume's own its voxels are averaged; beyond the volume there is air.

    With ``label`` (Labelmap) in the sample also ``target`` float32 (1, k, j, i), halved at .5, and ``known``.

    Attributes:
        size: (k, j, i) of the network's image.
        step_mm: shortest step along (k, j, i).
        zero_hu: becomes 0.
        unit_hu: Hounsfield units that become 1.
        limits: values are clipped to; the lower one is air.
    """

    size: tuple[int, int, int]
    step_mm: tuple[float, float, float]
    zero_hu: float = 50.0
    unit_hu: float = 100.0
    limits: tuple[float, float] = (-2.0, 3.0)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``image``, ``grid`` and with a label ``target`` and ``known``."""
        volume = ct_volume(sample)
        stood = upright(volume)
        low, high = (limit * self.unit_hu + self.zero_hu for limit in self.limits)
        picture = self._sampled(np.clip(stood.array, low, high).astype(np.float32), stood.grid, beyond=low)
        prepared = {
            **sample,
            "image": torch.from_numpy((picture - np.float32(self.zero_hu)) / np.float32(self.unit_hu))[None],
            "grid": self.grid(volume.grid),
        }
        if "label" in sample:
            labelmap: Labelmap = sample["label"]
            drawn = onto_grid(labelmap.array, labelmap.grid, volume.grid, name="label") > 0
            share = self._sampled(turned(drawn, turn_of(volume.grid)).astype(np.float32), stood.grid, beyond=0.0)
            prepared["target"] = torch.from_numpy((share >= 0.5).astype(np.float32))[None]
            prepared["known"] = torch.ones(1)
        return prepared

    def grid(self, source: Grid) -> Grid:
        """Return the network's grid of a volume."""
        stood = upright_grid(source)
        index = np.diag([*(steps[1] for steps in self._steps(stood)[::-1]), 1.0])
        index[:3, 3] = [first for first, _ in self._steps(stood)[::-1]]
        return Grid((self.size[2], self.size[1], self.size[0]), stood.affine @ index)

    def back(self, values: NDArray[np.float32], source: Grid) -> NDArray[np.float32]:
        """Bring values (k, j, i) on the network's grid to the source's own, linearly; edges repeat."""
        stood = upright_grid(source)
        for axis, (first, step) in enumerate(self._steps(stood)):
            places = (np.arange(stood.shape[axis]) - first) / step
            matrix = linear(self.size[axis], places, reach=1.0)
            values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
        return np.ascontiguousarray(turned_back(values, turn_of(source)), np.float32)

    def _steps(self, stood: Grid) -> list[tuple[float, float]]:
        """By (k, j, i): the voxel of the upright volume where the first sample lies, and the step in its voxels."""
        found = []
        for count, spacing, size, step_mm in zip(
            stood.shape, stood.spacing[::-1], self.size, self.step_mm, strict=True
        ):
            step = max(step_mm, count * spacing / size) / spacing
            found.append(((count - 1) / 2 - step * (size - 1) / 2, step))
        return found

    def _sampled(self, values: NDArray[np.float32], stood: Grid, *, beyond: float) -> NDArray[np.float32]:
        for axis, (first, step) in enumerate(self._steps(stood)):
            places = first + step * np.arange(self.size[axis])
            matrix = linear(stood.shape[axis], places, reach=max(1.0, step))
            outside = (places < -0.5) | (places > stood.shape[axis] - 0.5)
            values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
            values[(slice(None),) * axis + (outside,)] = beyond
        return values


@dataclass(frozen=True)
class WholeCTLabelmap:
    """``probabilities`` (1, k, j, i) to ``labelmap`` uint8 on the source grid, and the fact ``volume_ml``.

    Of what is found only the largest connected part stays: there is one liver.

    Attributes:
        whole: the transform that made the image.
        threshold: probability from which a voxel belongs to it.
    """

    whole: WholeCT
    threshold: float = 0.5

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``labelmap`` and ``facts``."""
        grid: Grid = sample["source"].grid
        found = sample["probabilities"][0].float().numpy()
        parts, count = ndimage.label(found >= self.threshold)
        if count > 1:
            largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
            found = np.where(ndimage.binary_dilation(parts == largest), found, np.float32(0))
        labelmap = (self.whole.back(found, grid) >= self.threshold).astype(np.uint8)
        volume_ml = float(labelmap.sum()) * float(np.prod(grid.spacing)) / 1000
        return {
            **sample,
            "labelmap": labelmap,
            "facts": {**sample.get("facts", {}), "volume_ml": round(volume_ml, 1)},
        }


@dataclass(frozen=True)
class OneStructure:
    """Expand a labelled sample to itself with one structure drawn in it, 1 where any of some segments is.

    Readers' labels of a liver leave its tumours out, since a labelmap holds one value per voxel.

    Attributes:
        name: of the structure.
        includes: other segments that lie within it.
    """

    name: str
    includes: tuple[str, ...] = ()

    def __call__(self, sample: dict[str, Any]) -> list[dict[str, Any]]:
        """Replace ``label``; BadInputError when it names segments, but not this one."""
        labelmap: Labelmap = sample["label"]
        if not labelmap.names:  # such as the public data sets write them: 1 liver, 2 tumour
            drawn = labelmap.array > 0
        elif self.name in labelmap.names:
            values = [labelmap.names[name] for name in (self.name, *self.includes) if name in labelmap.names]
            drawn = np.isin(labelmap.array, values)
        else:
            raise BadInputError(
                "label",
                expected=f"a segment named {self.name}",
                came=", ".join(sorted(labelmap.names))[:80],
                fix="Rename the segment and submit the label again.",
            )
        return [{**sample, "label": Labelmap(drawn.astype(np.uint8), labelmap.grid, {self.name: 1})}]


def linear(length: int, places: NDArray[np.floating], *, reach: float) -> NDArray[np.float32]:
    """Return what each of ``length`` voxels adds to the value at each place (n, length): rows sum to 1.

    Args:
        length: voxels along the axis.
        places: continuous indices; beyond the ends the last voxel counts.
        reach: voxels to each side that count; 1 interpolates, more averages.
    """
    held = np.clip(places, 0, length - 1)
    weights = np.clip(1 - np.abs(held[:, None] - np.arange(length)[None]) / reach, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
