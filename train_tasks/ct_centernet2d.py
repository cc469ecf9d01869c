"""How CenterNet-2D is trained: as CenterNet-3D, with a flat target in every slice that a box cuts."""

from hepatic.tasks.recipe import Recipe
from hepatic.transforms.centernet_target import CenterNetTarget
from infer_tasks.ct_centernet2d import STRIDE, TASK
from train_tasks.ct_centernet3d import PAPER
from train_tasks.ct_centernet3d import RECIPE as SPACE

RECIPE = Recipe(
    task=TASK,
    stages=SPACE.stages,
    augment=SPACE.augment,
    encode=CenterNetTarget((1, *STRIDE), slices=True),
    optimiser=SPACE.optimiser,
    fine_tune_optimiser=SPACE.fine_tune_optimiser,
    fine_tune_epochs=SPACE.fine_tune_epochs,
    scheduler=SPACE.scheduler,
    batch_size=SPACE.batch_size,
    key_metric=SPACE.key_metric,
    bf16=SPACE.bf16,
    presets={"paper": {**PAPER, "encode": CenterNetTarget((1, *STRIDE), spread="paper", slices=True)}},
)
