"""How the classifiers of B-mode pictures are trained (paper 002, sections 1.1.4 and 1.2.2)."""

from functools import partial

import torch

from hepatic.losses.classification import class_loss
from hepatic.tasks.recipe import Recipe, Stage
from hepatic.transforms.expand_views import ExpandViews
from hepatic.transforms.flip_boxes import FlipBoxes
from hepatic.transforms.jitter_intensity import JitterIntensity
from infer_tasks.us_bmode import TASK
from train_tasks.ct_centernet3d import one_cycle

VIEWS = tuple(
    {"off_centre": (rows, columns)} for rows, columns in ((0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1), (0.1, 0.1))
)
"""Five more pictures of a patient of the rarer class. (The paper takes other pictures of the patient.)"""

PAPER = {
    "augment": (),
    "stages": (Stage(name="classification", epochs=100, loss=partial(class_loss, smoothing=0.0)),),
    "optimiser": partial(torch.optim.Adam, lr=1e-4),
    "fine_tune_optimiser": partial(torch.optim.Adam, lr=1e-5),
    "scheduler": lambda optimiser, steps: torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0),
}

RECIPE = Recipe(
    task=TASK,
    expand=ExpandViews(VIEWS),
    augment=(FlipBoxes(axis=1), JitterIntensity()),
    stages=(Stage(name="classification", epochs=30, loss=class_loss),),
    optimiser=partial(torch.optim.AdamW, lr=2e-3, weight_decay=1e-3),
    fine_tune_optimiser=partial(torch.optim.AdamW, lr=5e-4, weight_decay=1e-3),
    fine_tune_epochs=15,
    scheduler=one_cycle,
    batch_size=16,
    key_metric="true_class_probability",  # an AUC needs both classes among those who judge
    presets={
        "paper": PAPER,
        "resnet": {**PAPER, "imagenet": "resnet50"},
        "densenet": {**PAPER, "imagenet": "densenet121"},
    },
)
