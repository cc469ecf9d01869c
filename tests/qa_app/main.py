"""An app that detects without looking: for each study the same boxes; every training makes the next model."""

import json
from pathlib import Path
from types import SimpleNamespace

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.interfaces.tasks.train import TrainTask

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.harvest.snapshots import check_snapshot

MODEL = "ct_centernet3d"


class Detector(InferTask):
    def __init__(self):
        super().__init__(InferType.DETECTION, ["lesion"], 3, "Detects")

    def is_valid(self):
        return True

    def __call__(self, request):
        return None, {}


class Trainer(TrainTask):
    """Counts the model up, and says what it was given to learn from."""

    def __init__(self, data):
        super().__init__("Trains")
        self._data = data
        self.recipe = SimpleNamespace(task=SimpleNamespace(type="detection"))

    def config(self):
        return {"max_epochs": 1}

    def __call__(self, request, datastore):
        learnt = check_snapshot(Path(request["snapshot"])) if request.get("snapshot") else {"studies": []}
        (self._data / "model.txt").write_text(str(model(self._data) + 1))
        return {"promoted": True, "studies": len(learnt["studies"]), "model": request["model"]}


def model(data):
    return int((data / "model.txt").read_text()) if (data / "model.txt").is_file() else 1


class QaApp(MONAILabelApp):
    """The app."""

    def __init__(self, app_dir, studies, conf):
        self._data = Path(studies) / ".hepatic"
        super().__init__(app_dir, studies, conf, name="qa", description="Detects without looking")

    def init_infers(self):
        return {MODEL: Detector()}

    def init_trainers(self):
        return {MODEL: Trainer(self._data)}

    def init_datastore(self):
        return HepaticDatastore(self.studies, auto_rescan_seconds=None)

    def propose(self, request):
        """Two boxes; a newer model moves the first by a millimetre and finds the second elsewhere."""
        if request["study_uid"].endswith(".13"):
            raise ValueError("unlucky")
        version = model(self._data)
        boxes = [[9.0 + version, 10, 10, 20, 20, 20], [40.0 * version, 10, 10, 40.0 * version + 10, 20, 20]]
        series = request["series"]
        return {
            "study_uid": request["study_uid"],
            "patient_id": series[0]["patient_id"],
            "reference": "venous",
            "image_ids": {"venous": series[0]["image_id"]},
            "candidates": [
                {
                    "uid": f"2.25.{version}{n}", "box": box, "score": 0.9 - 0.5 * n, "lineage": [],
                    "model": MODEL, "model_hash": f"hash {version}", "key_slice": 7,
                }
                for n, box in enumerate(boxes)
            ],
            "size": [100, 100, 50],
            "affine": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]],
            "warnings": [json.dumps(sorted(series[0]))],
            "content": "c" * 64,
            "model": MODEL,
            "model_hash": f"hash {version}",
        }  # fmt: skip
