"""Register one phase to another, check what came, and say in words what was given up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from hepatic.geometry import Grid
from hepatic.io.image import Volume
from hepatic.registration.bspline import bspline
from hepatic.registration.convexadam import convexadam
from hepatic.registration.displacement import Displacement
from hepatic.registration.pair import Pair, pair_of
from hepatic.registration.sitk_image import resampled, to_sitk

logger = logging.getLogger(__name__)

Method = Literal["convexadam", "bspline", "none"]
METHODS: Mapping[Method, Callable[[Pair], Displacement]] = {"convexadam": convexadam, "bspline": bspline}

LARGEST_MM = 60.0
"""A liver does not move further between two breath-holds; phantoms move it up to 15 mm."""
MOST_FOLDED = 0.01
LEAST_GAIN = -0.002
"""By how much mutual information may fall: two pictures that lie on each other already gain nothing."""
AIR_HU = -1024


@dataclass(frozen=True, eq=False)
class Registration:
    """What came of registering two pictures.

    Attributes:
        method: which gave the displacement; ``none`` where none was good enough and the pictures stay as they lie.
        displacement: None for ``none``.
        likeness_before, likeness_after: normalised mutual information in the region, 1 to 2.
        given_up: by method, why it was not taken, in words.
    """

    method: Method
    displacement: Displacement | None
    likeness_before: float
    likeness_after: float
    given_up: Mapping[Method, str]

    def carry(self, moving: Volume, grid: Grid) -> NDArray[np.int16]:
        """Return the moving volume's HU (K, J, I) on the fixed grid; -1024 where nothing was scanned."""
        image = to_sitk(moving.array.astype(np.float32, copy=False), moving.grid)
        transform = None if self.displacement is None else self.displacement.transform
        carried = sitk.GetArrayFromImage(resampled(image, grid, transform=transform, beyond=AIR_HU))
        return np.asarray(np.rint(carried), np.int16)


def register(
    fixed: Volume,
    moving: Volume,
    region: NDArray[np.bool_],
    *,
    methods: tuple[Method, ...] = ("convexadam", "bspline"),
) -> Registration:
    """Find where the moving volume shows the tissue of the fixed one.

    Each method's displacement is taken only if it is finite, moves nothing further than ``LARGEST_MM``, folds at most
    one place in a hundred, and leaves the pictures at least as alike as they were; else the next one is tried.

    Args:
        fixed, moving: HU, in one frame of reference.
        region: (K, J, I) bool on the fixed grid, not empty: where it must be good.
        methods: tried in this order.
    """
    pair = pair_of(fixed, moving, region)
    before = pair.likeness()
    given_up: dict[Method, str] = {}
    for method in methods:
        if method not in METHODS:
            continue
        try:
            displacement = METHODS[method](pair)
        except (RuntimeError, ValueError) as error:  # of torch and SimpleITK, for pictures they cannot take
            logger.info("Registration by %s stopped: %s", method, error)
            given_up[method] = "it stopped with an error"
            continue
        trouble, after = fault(displacement, pair, before)
        if trouble is None:
            return Registration(method, displacement, before, after, given_up)
        given_up[method] = trouble
    return Registration("none", None, before, before, given_up)


def fault(displacement: Displacement, pair: Pair, before: float) -> tuple[str | None, float]:
    """Return what is wrong with a displacement, None if nothing, and the likeness it reaches (0 if not measured)."""
    if not np.isfinite(displacement.vectors_mm).all():
        return "it is not finite", 0.0
    if displacement.largest_mm > LARGEST_MM:
        return f"it moves tissue by {displacement.largest_mm:.0f} mm", 0.0
    if displacement.folded > MOST_FOLDED:
        return f"it folds {100 * displacement.folded:.0f} % of the picture", 0.0
    after = pair.likeness(displacement)
    if after < before + LEAST_GAIN:
        return f"it makes the pictures less alike (mutual information {after:.3f} against {before:.3f})", after
    return None, after
