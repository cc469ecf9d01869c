"""A MONAI Label app that knows nothing of hepatic: stock base classes, stock datastore."""

import json
import logging
import os
import tempfile
import time
from pathlib import Path

import SimpleITK
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.exception import MONAILabelError, MONAILabelException
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.train import TrainTask

logger = logging.getLogger(__name__)


class Threshold(InferTask):
    """Everything above a value is liver. ``sleep_s`` makes it slow, ``die_once`` kills its process the first time."""

    def __init__(self):
        super().__init__(InferType.SEGMENTATION, ["liver"], 3, "Threshold", {"threshold": 50})

    def is_valid(self):
        return True

    def __call__(self, request):
        time.sleep(float(request.get("sleep_s", 0)))
        if request.get("say"):
            logger.info("%s", request["say"])
        if request.get("die_once"):
            flag = Path(os.environ["FOREIGN_FLAGS"]) / request["die_once"]
            if not flag.exists():
                flag.touch()
                os.kill(os.getpid(), 9)
        if request.get("fail"):
            raise RuntimeError(f"cannot read {request['image']}")
        if request.get("refuse"):
            raise MONAILabelException(MONAILabelError.INVALID_INPUT, f"no liver in {request['image']}")
        image = SimpleITK.ReadImage(request["image"])
        mask = SimpleITK.Cast(image > float(request.get("threshold", 50)), SimpleITK.sitkUInt8)
        handle, file = tempfile.mkstemp(suffix=request.get("result_extension") or ".nrrd")
        os.close(handle)
        SimpleITK.WriteImage(mask, file)
        seen = {key: str(request.get(key)) for key in ("image", "label", "session", "image_path", "model")}
        voxels = int(SimpleITK.GetArrayViewFromImage(mask).sum())
        return file, {"label_names": {"liver": 1}, "voxels": voxels, "seen": seen}


class Grade(InferTask):
    """A classifier: JSON, no file."""

    def __init__(self):
        super().__init__(InferType.CLASSIFICATION, None, 3, "Grade")

    def is_valid(self):
        return True

    def __call__(self, request):
        return None, {"prediction": {"HCC": 0.93}}


class Boxes(InferTask):
    """A detector: two boxes for 3D Slicer, each with its score."""

    def __init__(self):
        super().__init__(InferType.DETECTION, ["liver"], 3, "Boxes")

    def is_valid(self):
        return True

    def __call__(self, request):
        scores = [0.75, 0.5]
        boxes = [{"type": "ROI", "controlPoints": [{"label": "liver", "description": str(one)}]} for one in scores]
        handle, file = tempfile.mkstemp(suffix=".json")
        os.close(handle)
        Path(file).write_text(json.dumps({"markups": boxes}))
        return file, {"label": ["liver"] * 2, "score": scores}


class Slow(TrainTask):
    """Prints and sleeps."""

    def __init__(self):
        super().__init__("Train nothing, slowly")

    def stats(self):
        return {"best_metric": None, "epoch": 1}

    def __call__(self, request, datastore):
        for epoch in range(int(request.get("max_epochs", 2))):
            print(f"epoch {epoch + 1}", flush=True)
            time.sleep(float(request.get("sleep_s", 0.05)))
        if request.get("say"):
            print(request["say"], flush=True)
        if request.get("fail"):
            raise RuntimeError("training broke")
        return {"best_metric": 0.5, "images": len(datastore.list_images())}


class Size(ScoringMethod):
    """Number of images asked about."""

    def __init__(self):
        super().__init__("Size")

    def info(self):
        return {**super().info(), "per_image": True}

    def __call__(self, request, datastore):
        time.sleep(float(os.environ.get("FOREIGN_SCORING_S", "0")))
        return {"scored": [image for image in request["images"] if datastore.get_image_uri(image)]}


class Count(ScoringMethod):
    """Number of all images, plus ``add``, after ``sleep_s``."""

    def __init__(self):
        super().__init__("Count")

    def __call__(self, request, datastore):
        time.sleep(float(request.get("sleep_s", 0)))
        return {"images": len(datastore.list_images()) + request.get("add", 0)}


class ForeignApp(MONAILabelApp):
    """The app."""

    def __init__(self, app_dir, studies, conf):
        super().__init__(app_dir, studies, conf, name="foreign", description="Somebody else's app")

    def init_infers(self):
        return {"threshold": Threshold(), "grade": Grade(), "boxes": Boxes()}

    def init_trainers(self):
        return {"slow": Slow(), "other": Slow()}

    def init_scoring_methods(self):
        return {"size": Size(), "count": Count()}
