"""How the classifiers of contrast cines are trained (paper 002, sections 1.1.7 and 1.2.2)."""

from dataclasses import replace

from hepatic.transforms.expand_views import ExpandViews
from hepatic.transforms.flip_boxes import FlipBoxes
from hepatic.transforms.jitter_intensity import JitterIntensity
from infer_tasks.us_ceus import TASK
from train_tasks.us_bmode import PAPER
from train_tasks.us_bmode import RECIPE as STILL

VIEWS = tuple(
    {"shift_s": shift_s, "mirrored": mirrored}
    for mirrored in (False, True)
    for shift_s in (0.0, -1.0, 1.0)
    if mirrored or shift_s
)
"""A second earlier, a second later, and all three mirrored."""

RECIPE = replace(
    STILL,
    task=TASK,
    expand=ExpandViews(VIEWS),
    augment=(FlipBoxes(axis=2), JitterIntensity()),
    presets={name: {**PAPER, "eligible_only": True} for name in ("paper", "res3d", "dense3d")},
)
