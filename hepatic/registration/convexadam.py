"""ConvexAdam: a discrete search over all displacements, then gradient descent (Siebert et al., 2025)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from hepatic.registration.displacement import Displacement
from hepatic.registration.pair import STEP_MM, Pair

CELL = 4
"""Steps between the places of the discrete search."""
REACH = 4
"""Cells that the discrete search looks to each side: 48 mm."""
DESCENT_STEPS = 80
SMOOTHNESS = 1.25


def convexadam(pair: Pair) -> Displacement:
    """Register by MIND descriptors, which contrast medium does not change: arterial liver lies on venous liver.

    Source: Siebert, Großbröhmer, Hansen, Heinrich: ConvexAdam, IEEE TMI 44 (2025); MIND: Heinrich et al., MICCAI 2013.
    The settings are the package's own but for the cell, which is smaller.
    """
    with warnings.catch_warnings():  # the package silences every warning of the process when it is imported
        from convexAdam.convex_adam_MIND import convex_adam_pt

        warnings.simplefilter("ignore")
        settings: dict[str, Any] = {
            "grid_sp": CELL,
            "disp_hw": REACH,
            "selected_niter": DESCENT_STEPS,
            "lambda_weight": SMOOTHNESS,
            "dtype": torch.float32,
            "device": torch.device("cpu"),
        }
        steps = convex_adam_pt(torch.from_numpy(pair.fixed), torch.from_numpy(pair.moving), **settings)
    along_axes = np.asarray(steps, np.float64)[..., ::-1] * STEP_MM  # (k, j, i) to (i, j, k)
    return pair.widened((along_axes @ pair.grid.direction.T).astype(np.float32))
