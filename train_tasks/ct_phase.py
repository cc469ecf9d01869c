"""How the network that tells contrast phases is trained."""

from functools import partial

import torch
from torch.optim.lr_scheduler import OneCycleLR

from hepatic.losses.classification import class_loss
from hepatic.tasks.recipe import Recipe, Stage
from hepatic.transforms.jitter_intensity import JitterIntensity
from infer_tasks.ct_phase import TASK

RECIPE = Recipe(
    task=TASK,
    augment=(JitterIntensity(factor=0.05, offset=0.03),),  # 3 HU: a phase is told by a few tens
    stages=(Stage(name="classification", epochs=25, loss=class_loss),),
    optimiser=partial(torch.optim.AdamW, lr=3e-3),
    fine_tune_optimiser=partial(torch.optim.AdamW, lr=5e-4),
    fine_tune_epochs=10,
    scheduler=lambda optimiser, steps: OneCycleLR(optimiser, optimiser.defaults["lr"], total_steps=steps),
    batch_size=8,
    key_metric="accuracy",
)
