"""An app on hepatic's datastore, wherever its studies are; its model answers with what it sees."""

import os
import tempfile
from pathlib import Path

import numpy as np
from monailabel.config import settings as stock
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.strategies import First
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.read import read


class Bright(InferTask):
    """Marks what is brighter than the mean of an image."""

    def __init__(self):
        super().__init__(InferType.SEGMENTATION, ["bright"], 3, "Bright")

    def is_valid(self):
        return True

    def __call__(self, request):
        image = read(Path(request["image"]))
        voxels = np.asarray(getattr(image, "array", getattr(image, "frames", None)), np.float64)
        voxels = voxels.mean(axis=-1) if voxels.ndim == 4 else voxels
        handle, file = tempfile.mkstemp(suffix=".nrrd")
        os.close(handle)
        write_labelmap(Path(file), Labelmap((voxels > voxels.mean()).astype(np.uint8), image.grid))
        return file, {"label_names": {"bright": 1}, "mean": float(voxels.mean())}


class PacsApp(MONAILabelApp):
    """The app."""

    def __init__(self, app_dir, studies, conf):
        super().__init__(app_dir, studies, conf, name="pacs", description="An app over a PACS")

    def init_infers(self):
        return {"bright": Bright()}

    def init_strategies(self):
        return {"first": First()}

    def init_datastore(self):
        watched = not stock.MONAI_LABEL_DATASTORE_READ_ONLY
        return HepaticDatastore(
            self.studies, scan=watched, first_scan_seconds=5.0 if stock.MONAI_LABEL_DATASTORE_AUTO_RELOAD else None
        )
