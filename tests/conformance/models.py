"""What the suite serves and trains: every task and recipe there is, and toys of the kinds that are rare."""

import dataclasses

import numpy as np
import torch

import infer_tasks
import train_tasks
from hepatic.engine.card import ModelCard
from hepatic.engine.cases import Case, ClassCase
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.geometry import Grid
from hepatic.io.labelmap import read_labelmap
from hepatic.tasks.discover import discover_recipes, discover_tasks
from tests.engine.toys import CLASSIFICATION, DETECTION

TASKS, RECIPES = discover_tasks(infer_tasks), discover_recipes(train_tasks)
TOYS = {"toy_detector": DETECTION, "toy_phase": CLASSIFICATION}


def tasks_of(kind):
    """Tasks of a kind, the toy among them."""
    found = [task for task in TASKS.values() if task.type == kind]
    return found + [toy.task for toy in TOYS.values() if toy.task.type == kind]


def recipes():
    """Every recipe, toys among them."""
    return [*RECIPES.values(), *TOYS.values()]


def name_of(thing):
    """Id of a test."""
    return thing.name


def sure_network(task):
    """A network whose last layer leans to the positive, so that each label is predicted somewhere."""
    torch.manual_seed(0)
    network = task.network().eval()
    last = [p for name, p in network.named_parameters() if name.endswith("final_conv.bias")]
    if not last:
        kinds = torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.ConvTranspose3d
        last = [m.bias for m in network.modules() if isinstance(m, kinds) and m.bias is not None][-1:]
    for bias in last:
        torch.nn.init.constant_(bias, 3.0)
    return network


def predictor(task, folder, network=None):
    """Serve a task with random weights."""
    torch.manual_seed(0)
    registry = Registry(folder)
    card = ModelCard(task=task.name, preset=task.preset_name, seed=0, key_metric="dice")
    state = (task.network() if network is None else network).state_dict()
    registry.promote(task.name, registry.publish(state, card).version)
    return Predictor(registry, device="cpu")


def oblique(grid):
    """The same grid turned about all three axes, its first axis mirrored, off the origin."""
    a, b, c = 0.3, -0.2, 0.5
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn = turn @ np.array([[np.cos(c), 0, np.sin(c)], [0, 1, 0], [-np.sin(c), 0, np.cos(c)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.7, 0.5, 2.0])
    affine[:3, 3] = [12.5, -80.0, 33.0]
    return Grid(grid.size, affine)


def true_liver(study):
    """The liver of a phantom, lesions included, on the grid of its image."""
    return read_labelmap(study.truth).array > 0


def cases_of(recipe, studies):
    """What a recipe is trained on, of two patients; a cine stands for an image of each of two classes."""
    found = studies[recipe.task.modality]
    if recipe.task.type != "classification":
        return [Case(image_id=s.patient, patient_id=s.patient, source=s.image, label=s.truth) for s in found]
    labels = recipe.task.classes
    return [
        ClassCase(
            image_id=f"{study.patient} {phase} {truth}",
            patient_id=study.patient,
            source=image,
            truth=truth,
            boxes=((70.0, 50.0, 90.0, 70.0),) if recipe.task.uses_boxes else (),
        )
        for study in found
        for phase, image in study.phases.items()
        for truth in ((phase,) if phase in labels else (labels[0], labels[-1]))
    ]


def without_liver_model(monkeypatch, study):
    """Let every predictor find the true liver, as a liver model is another task's matter."""
    monkeypatch.setattr(Predictor, "liver", lambda self, task, image, digest=None: true_liver(study))


def turned(image):
    """The same picture, lying otherwise in the patient."""
    return dataclasses.replace(image, grid=oblique(image.grid))
