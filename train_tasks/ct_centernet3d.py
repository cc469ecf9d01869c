"""How CenterNet-3D is trained (paper 001, section II-A; the losses' weights are CenterNet's)."""

from functools import partial

import torch
from torch.optim.lr_scheduler import OneCycleLR

from hepatic.losses import centernet_loss
from hepatic.tasks.recipe import Recipe, Stage
from hepatic.transforms.centernet_target import CenterNetTarget
from hepatic.transforms.flip_boxes import FlipBoxes
from hepatic.transforms.jitter_intensity import JitterIntensity
from hepatic.transforms.shift_boxes import ShiftBoxes
from infer_tasks.ct_centernet3d import PAPER_STRIDE, SMALL_STRIDE, TASK


def one_cycle(optimiser: torch.optim.Optimizer, steps: int) -> OneCycleLR:
    """Rise to the optimiser's rate over 15 % of the steps, then fall: without it the loss stays on its plateau."""
    rates = [float(group["lr"]) for group in optimiser.param_groups]
    return OneCycleLR(optimiser, rates, total_steps=max(2, steps), pct_start=0.15)


PAPER = {
    "augment": (FlipBoxes(), ShiftBoxes((6, 22, 32)), JitterIntensity()),
    "encode": CenterNetTarget(PAPER_STRIDE, spread="paper"),
    "optimiser": partial(torch.optim.Adam, lr=2.5e-4),
    "fine_tune_optimiser": partial(torch.optim.Adam, lr=2.5e-5),
    "stages": (Stage(name="detection", epochs=140, loss=centernet_loss),),
    "fine_tune_epochs": 30,
    "batch_size": 4,
}

RECIPE = Recipe(
    task=TASK,
    stages=(Stage(name="detection", epochs=30, loss=centernet_loss),),
    augment=(FlipBoxes(), ShiftBoxes((3, 8, 8)), JitterIntensity()),
    encode=CenterNetTarget(SMALL_STRIDE),
    optimiser=partial(torch.optim.AdamW, lr=3e-3, weight_decay=1e-4),
    fine_tune_optimiser=partial(torch.optim.AdamW, lr=1e-3, weight_decay=1e-4),
    fine_tune_epochs=15,
    scheduler=one_cycle,
    batch_size=8,
    key_metric="p1td_10",
    bf16=True,
    presets={"quarter": PAPER, "paper": PAPER},
)
