"""How DSA-LTDNet is trained: TDL on the frame difference first, then all three networks jointly (paper 000)."""

from functools import partial
from typing import cast

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from hepatic.losses import difference_loss, ltd_loss
from hepatic.networks.ltdnet import LTDNet
from hepatic.tasks.recipe import Recipe, Stage
from hepatic.transforms.key_frames import LabelledKeyFrames
from infer_tasks.dsa_ltdnet import TASK

JOINT = partial(ltd_loss, l0=0.1, l1=1.0)

WARM_UP = Stage(
    name="temporal difference",
    epochs=3,
    loss=difference_loss,
    forward=lambda network, frames: cast(LTDNet, network).difference(frames),
    parameters=lambda network: cast(nn.Module, cast(LTDNet, network).tdl).parameters(),
)

RECIPE = Recipe(
    task=TASK,
    stages=(WARM_UP, Stage(name="joint", epochs=25, loss=JOINT)),
    expand=LabelledKeyFrames(),
    optimiser=partial(torch.optim.Adam, lr=2e-3),
    fine_tune_optimiser=partial(torch.optim.Adam, lr=3e-4),
    fine_tune_epochs=15,
    scheduler=lambda optimiser, steps: CosineAnnealingLR(optimiser, steps),
    batch_size=8,
    key_metric="dice",
    bf16=True,
    presets={
        "paper": {
            "stages": (WARM_UP, Stage(name="joint", epochs=150, loss=JOINT)),
            "optimiser": partial(torch.optim.Adam, lr=1e-3),
            "fine_tune_optimiser": partial(torch.optim.Adam, lr=1e-4),
            "fine_tune_epochs": 50,
            "bf16": False,
        }
    },
)
