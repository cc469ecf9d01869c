"""Our app, and beside its tasks two more that OHIF can ask for: an asymmetric segmentation, and one from points."""

import os
import runpy
import tempfile
from pathlib import Path

import numpy as np
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.interfaces.tasks.train import TrainTask

from hepatic.io.grid import grid_of
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap

OURS = Path(__file__).parents[2] / "apps" / "hepatic"
HepaticApp = runpy.run_path(str(OURS / "main.py"))["HepaticApp"]


def written(labels, grid):
    handle, file = tempfile.mkstemp(suffix=".nrrd")
    os.close(handle)
    write_labelmap(Path(file), Labelmap(labels, grid))
    return file


def drawn(datastore, image):
    label = datastore.get_label_by_image_id(image, "final")
    return [one["name"] for one in datastore.get_label_info(label, "final").get("label_info", [])]


class Corner(InferTask):
    """Two boxes in one corner of the image: no axis can be turned round, or two be swapped, without being seen."""

    def __init__(self):
        super().__init__(InferType.SEGMENTATION, ["tumour", "liver"], 3, "Corner")

    def is_valid(self):
        return True

    def __call__(self, request):
        grid = grid_of(Path(request["image"]))
        labels = np.zeros(grid.shape, np.uint8)
        labels[:2, 1:4, 2:7] = 2
        labels[1:3, 2:3, 3:9] = 1
        return written(labels, grid), {"label_names": {"tumour": 1, "liver": 2}}


class Clicked(InferTask):
    """A box around each point that somebody clicked; longer along i than along j, and along j than along k."""

    def __init__(self):
        super().__init__(InferType.DEEPEDIT, ["liver"], 3, "Clicked")

    def is_valid(self):
        return True

    def __call__(self, request):
        grid = grid_of(Path(request["image"]))
        labels = np.zeros(grid.shape, np.uint8)
        for i, j, k in request.get("liver", []):
            labels[k : k + 1, max(0, j - 1) : j + 2, max(0, i - 2) : i + 3] = 1
        return written(labels, grid), {"label_names": {"liver": 1}, "liver": request.get("liver")}


class Quick(TrainTask):
    """Learns nothing, at once; tells what it could have learned from: the names drawn on each image."""

    def __init__(self, name):
        super().__init__(f"Train {name}")

    def config(self):
        return {"passes": 2}

    def stats(self):
        return {"best_metric": 0.5, "epoch": 1, "total_epochs": 1}

    def __call__(self, request, datastore):
        return {
            "best_metric": 0.5,
            "drawn": {image: drawn(datastore, image) for image in datastore.get_labeled_images()},
        }


class OhifApp(HepaticApp):
    """Ours, and more."""

    def __init__(self, app_dir, studies, conf):
        super().__init__(str(OURS), studies, conf)

    def init_infers(self):
        return {**super().init_infers(), "corner": Corner(), "clicked": Clicked()}

    def init_trainers(self):
        return {**super().init_trainers(), "corner": Quick("corner"), "clicked": Quick("clicked")}
