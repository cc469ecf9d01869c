"""How the U-Net baseline is trained (paper 000, section 4.1)."""

from functools import partial

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from hepatic.losses import key_frame_loss
from hepatic.tasks.recipe import Recipe, Stage
from hepatic.transforms.key_frames import LabelledKeyFrames
from infer_tasks.dsa_unet import TASK

RECIPE = Recipe(
    task=TASK,
    stages=(Stage(name="segmentation", epochs=25, loss=key_frame_loss),),
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
            "stages": (Stage(name="segmentation", epochs=150, loss=key_frame_loss),),
            "optimiser": partial(torch.optim.Adam, lr=1e-3),
            "fine_tune_optimiser": partial(torch.optim.Adam, lr=1e-4),
            "fine_tune_epochs": 50,
            "bf16": False,
        }
    },
)
