"""How supervised attention is trained (paper 004, "Implementation", which names neither learning rate nor epochs)."""

from functools import partial

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from hepatic.losses.attention import attended_loss
from hepatic.tasks.recipe import Recipe, Stage
from hepatic.transforms.jitter_intensity import JitterIntensity
from hepatic.transforms.mixup import Mixup
from hepatic.transforms.warp_picture import WarpPicture
from infer_tasks.us_fll import TASK, TYPES
from train_tasks.ct_centernet3d import one_cycle

PAPER = {
    "stages": (Stage(name="classification", epochs=60, loss=attended_loss),),
    "optimiser": partial(torch.optim.SGD, lr=1e-2, momentum=0.9, nesterov=True, weight_decay=1e-4),
    "fine_tune_optimiser": partial(torch.optim.SGD, lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-4),
    "scheduler": CosineAnnealingLR,
    "answered_by": "copies",
}
RESNET50 = {**PAPER, "imagenet": "resnet50"}
MEAN = {"stages": (Stage(name="classification", epochs=30, loss=partial(attended_loss, attention=0.0)),)}

RECIPE = Recipe(
    task=TASK,
    augment=(WarpPicture(), JitterIntensity()),
    mix=Mixup(),
    stages=(Stage(name="classification", epochs=30, loss=attended_loss),),
    optimiser=partial(torch.optim.AdamW, lr=2e-3, weight_decay=1e-3),
    fine_tune_optimiser=partial(torch.optim.AdamW, lr=5e-4, weight_decay=1e-3),
    fine_tune_epochs=15,
    scheduler=one_cycle,
    batch_size=16,
    key_metric="true_class_probability",  # an AUC needs both kinds of every finding among those who judge
    checkpoints={"lesion": ("lesion",), "malignant": ("malignant",), "type": TYPES},
    presets={
        "small_mean": MEAN,
        "resnet50_mean": {
            **RESNET50,
            "stages": (Stage(name="classification", epochs=60, loss=MEAN["stages"][0].loss),),
        },
        **dict.fromkeys(("paper", "resnet50_diffuse", "resnet50_scales", "resnet50_480"), RESNET50),
        "densenet121": {**PAPER, "imagenet": "densenet121"},
        "small_copies": {"answered_by": "copies"},
        "small_copies_mean": {"answered_by": "mean"},
        "paper_ensemble": {"answered_by": "copies"},
    },
)
