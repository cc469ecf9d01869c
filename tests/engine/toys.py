"""A detector and a classifier that learn in a moment, and the small CTs they are shown."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import SimpleITK as sitk
import torch
from torch.optim.lr_scheduler import ConstantLR

from hepatic.engine.card import ModelCard
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.read import read
from hepatic.tasks.recipe import Recipe, Stage
from hepatic.tasks.spec import ClassificationTask, DetectionTask, SegmentationTask

SPACING, ORIGIN = (2.0, 3.0, 4.0), (10.0, -20.0, 30.0)
SHAPE = (8, 16, 20)
HALF = np.array([1, 2, 2])
"""Every lesion reaches so far from its centre voxel, by (k, j, i)."""


def write_ct(file, *centres, seed=0, level=0):
    """A noisy CT (K, J, I) with a bright block around each centre (k, j, i)."""
    array = np.random.default_rng(seed).normal(level, 5, SHAPE)
    for centre in centres:
        array[block(centre)] += 100
    image = sitk.GetImageFromArray(array.astype(np.int16))
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    sitk.WriteImage(image, str(file))
    return file


def block(centre):
    return tuple(slice(c - h, c + h + 1) for c, h in zip(centre, HALF, strict=True))


def box_of(centre):
    """The block around a centre voxel in the patient, (x, y, z, x, y, z) in LPS millimetres, from the definition."""
    middle, half = np.array(centre)[::-1], (HALF[::-1] + 0.5) * SPACING
    place = np.array(ORIGIN) + middle * SPACING
    return (*(place - half), *(place + half))


def write_lesions(file, image, *centres, names=None):
    grid = read(image).grid
    array = np.zeros(grid.shape, np.uint8)
    for centre in centres:
        array[block(centre)] = 1
    write_labelmap(file, Labelmap(array, grid, names or {}))
    return file


@dataclass(frozen=True)
class Whole:
    """The whole picture, or what of it is liver."""

    within_liver: bool = False

    def __call__(self, sample):
        source = sample["source"]
        picture = source.array.astype(np.float32) / 100
        if self.within_liver:
            picture = picture * sample["liver"]
        return {**sample, "image": torch.from_numpy(picture)[None], "grid": source.grid, "facts": {}}


class Brightness(torch.nn.Module):
    """Says of each voxel how likely a lesion's centre it is, by the brightness around it."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv3d(1, 1, 1)
        torch.nn.init.zeros_(self.conv.weight)
        torch.nn.init.constant_(self.conv.bias, -2.0)
        self.calls = 0

    def forward(self, image):
        self.calls += 1
        around = torch.nn.functional.avg_pool3d(image, (3, 5, 5), stride=1, padding=(1, 2, 2))
        return self.conv(around)


def peaks(logits):
    """The 20 highest local maxima, each with a box of the lesions' size."""
    score = logits.sigmoid()
    top = torch.nn.functional.max_pool3d(score, 3, stride=1, padding=1)
    flat = torch.where(score == top, score, 0).flatten(1)
    scores, places = flat.topk(20)
    _, j, i = score.shape[-3:]
    centres = torch.stack([places // (j * i), places // i % j, places % i], dim=-1).float()
    half = torch.from_numpy(HALF).float()
    return torch.cat([centres - half, centres + half + 1], dim=-1), scores


def heat(sample):
    target = torch.zeros_like(sample["image"])
    for k, j, i in ((sample["boxes"][:, :3] + sample["boxes"][:, 3:]) / 2).long().tolist():
        target[0, k, j, i] = 1
    return {"image": sample["image"], "target": target}


def mirrored(sample, draw):
    """Turn left and right, half of the time: boxes go with the picture."""
    if torch.rand((), generator=draw) < 0.5:
        return sample
    boxes = sample["boxes"].clone()
    width = sample["image"].shape[-1]
    boxes[:, [2, 5]] = width - boxes[:, [5, 2]]
    return {**sample, "image": sample["image"].flip(-1), "boxes": boxes}


DETECTOR = DetectionTask(
    name="toy_detector",
    description="Bright blocks",
    modality="CT",
    dimension=3,
    labels=("lesion",),
    network=Brightness,
    pre=(Whole(),),
    decode=peaks,
)
DETECTION = Recipe(
    task=DETECTOR,
    stages=(Stage(name="heat", epochs=30, loss=lambda logits, batch: weighted(logits, batch["target"])),),
    augment=(mirrored,),
    encode=heat,
    optimiser=partial(torch.optim.Adam, lr=0.3),
    fine_tune_optimiser=partial(torch.optim.Adam, lr=0.3),
    fine_tune_epochs=5,
    scheduler=lambda optimiser, steps: ConstantLR(optimiser, 1.0),
    batch_size=2,
    key_metric="p1td_10",
)


def weighted(logits, target):
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, target, pos_weight=torch.tensor(100.0))


class Threshold(torch.nn.Module):
    """Liver where the picture is above the one weight."""

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(()))
        self.calls = 0

    def forward(self, image):
        self.calls += 1
        return 50 * (image - self.level)


def as_labelmap(sample):
    found = (sample["probabilities"][0] >= 0.5).numpy().astype(np.uint8)
    return {**sample, "labelmap": found, "facts": {}}


LIVER = SegmentationTask(
    name="toy_liver",
    description="Bright voxels",
    modality="CT",
    dimension=3,
    labels=("liver",),
    network=Threshold,
    probabilities=torch.sigmoid,
    pre=(Whole(),),
    post=(as_labelmap,),
)


class Level(torch.nn.Module):
    """Classes by the mean of the picture."""

    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(1, 2)

    def forward(self, image):
        return self.line(image.flatten(1).mean(1, keepdim=True))


def likely(logits):
    return logits.softmax(dim=1)


CLASSIFIER = ClassificationTask(
    name="toy_phase",
    description="Dark or bright",
    modality="CT",
    dimension=3,
    labels=("dark", "bright"),
    network=Level,
    pre=(Whole(),),
    probabilities=likely,
    note="phase",
)
CLASSIFICATION = Recipe(
    task=CLASSIFIER,
    stages=(
        Stage(
            name="classes",
            epochs=30,
            loss=lambda logits, batch: torch.nn.functional.cross_entropy(logits, batch["target"]),
        ),
    ),
    optimiser=partial(torch.optim.Adam, lr=0.3),
    fine_tune_optimiser=partial(torch.optim.Adam, lr=0.3),
    fine_tune_epochs=5,
    scheduler=lambda optimiser, steps: ConstantLR(optimiser, 1.0),
    batch_size=2,
    key_metric="accuracy",
)


def serve(registry, task, **weights):
    """Serve a version with these weights, the others as they are made."""
    torch.manual_seed(0)
    state = {**task.network().state_dict(), **{name: torch.tensor(value) for name, value in weights.items()}}
    card = ModelCard(task=task.name, preset=task.preset_name, seed=0, key_metric="dice")
    return registry.promote(task.name, registry.publish(state, card).version)


def serve_detector(registry, task=DETECTOR, **metrics):
    """A detector that is sure of blocks 100 brighter than what surrounds them."""
    torch.manual_seed(0)
    state = task.network().state_dict()
    state["conv.weight"] = torch.full_like(state["conv.weight"], 10.0)
    state["conv.bias"] = torch.full_like(state["conv.bias"], -5.0)
    card = ModelCard(task=task.name, preset=task.preset_name, seed=0, key_metric="p1td_10", metrics=metrics)
    return registry.promote(task.name, registry.publish(state, card).version)
