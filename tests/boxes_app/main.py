"""A small app with a detector that finds bright blocks, on our own adapters."""

from pathlib import Path

from monailabel.interfaces.app import MONAILabelApp

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.infer import HepaticInferTask
from hepatic.adapters.propose import Proposer
from hepatic.adapters.train import HepaticTrainTask
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.settings import settings
from tests.engine.toys import CLASSIFIER, DETECTION, DETECTOR


class BoxesApp(MONAILabelApp):
    """The app."""

    def __init__(self, app_dir, studies, conf):
        self._data = settings().data_dir(Path(studies))
        self.registry = Registry(self._data / "models")
        self.predictor = Predictor(self.registry, device="cpu")
        self._propose = Proposer({DETECTOR.name: DETECTOR}, self.predictor, self._data)
        super().__init__(app_dir, studies, conf, name="boxes", description="Bright blocks")

    def init_datastore(self):
        return HepaticDatastore(self.studies, auto_rescan_seconds=None)

    def init_infers(self):
        return {
            DETECTOR.name: HepaticInferTask(DETECTOR, self.predictor),
            f"{DETECTOR.name}_boxes": HepaticInferTask(DETECTOR, self.predictor, as_segmentation=True),
            CLASSIFIER.name: HepaticInferTask(CLASSIFIER, self.predictor),
        }

    def init_trainers(self):
        return {DETECTOR.name: HepaticTrainTask(DETECTION, self.registry, self._data / "runs", data_dir=self._data)}

    def propose(self, request):
        return self._propose(request)
