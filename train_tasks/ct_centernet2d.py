"""How CenterNet-2D is trained: as CenterNet-3D, with a flat target in every slice that a box cuts."""

from dataclasses import replace

from hepatic.transforms.centernet_target import CenterNetTarget
from infer_tasks.ct_centernet2d import STRIDE, TASK
from train_tasks.ct_centernet3d import PAPER
from train_tasks.ct_centernet3d import RECIPE as SPACE

RECIPE = replace(
    SPACE,
    task=TASK,
    encode=CenterNetTarget((1, *STRIDE), slices=True),
    presets={"paper": {**PAPER, "encode": CenterNetTarget((1, *STRIDE), spread="paper", slices=True)}},
)
