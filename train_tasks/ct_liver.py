"""How the liver network is trained."""

from functools import partial

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from hepatic.losses.segmentation import mask_loss
from hepatic.tasks.recipe import Recipe, Stage
from hepatic.transforms.whole_ct import OneStructure
from infer_tasks.ct_liver import TASK

RECIPE = Recipe(
    task=TASK,
    stages=(Stage(name="segmentation", epochs=20, loss=mask_loss),),
    expand=OneStructure("liver", includes=("tumour",)),
    optimiser=partial(torch.optim.AdamW, lr=3e-3),
    fine_tune_optimiser=partial(torch.optim.AdamW, lr=5e-4),
    fine_tune_epochs=10,
    scheduler=lambda optimiser, steps: CosineAnnealingLR(optimiser, steps),
    batch_size=4,
    key_metric="dice",
    bf16=True,
)
