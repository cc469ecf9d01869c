"""The hepatic MONAI Label app: where tasks, models and datastore meet. Runs under any MONAI Label server."""

import logging
from pathlib import Path
from typing import Any

import infer_tasks
import train_tasks
from hepatic.adapters import compat

compat.install()

from monailabel.config import settings as stock  # noqa: E402
from monailabel.interfaces.app import MONAILabelApp  # noqa: E402

from hepatic import __version__  # noqa: E402
from hepatic.adapters.datastore import HepaticDatastore  # noqa: E402
from hepatic.adapters.drawn_boxes import drawn_boxes  # noqa: E402
from hepatic.adapters.infer import HepaticInferTask  # noqa: E402
from hepatic.adapters.propose import Proposer, series_of  # noqa: E402
from hepatic.adapters.read_classes import take_classes  # noqa: E402
from hepatic.adapters.scoring import ForegroundEntropy  # noqa: E402
from hepatic.adapters.strategies import First, RandomSample, Uncertainty  # noqa: E402
from hepatic.adapters.train import HepaticTrainTask  # noqa: E402
from hepatic.engine.predict import PictureBoxes, Predictor  # noqa: E402
from hepatic.engine.weights import Registry  # noqa: E402
from hepatic.harvest.study import PreparedStudy  # noqa: E402
from hepatic.settings import settings  # noqa: E402
from hepatic.tasks.discover import discover_recipes, discover_tasks  # noqa: E402
from hepatic.tasks.spec import ClassificationTask, DetectionTask, SegmentationTask  # noqa: E402

logging.getLogger("hepatic").setLevel(logging.INFO)
logger = logging.getLogger("hepatic.app")


class HepaticApp(MONAILabelApp):
    """Tumours in liver images: proposed by models, corrected or judged by readers, retrained from what they say."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self._data = settings().data_dir(studies)
        self.registry = Registry(self._data / "models", shipped=Path(app_dir) / "models")
        self.predictor = Predictor(self.registry)
        self.tasks = discover_tasks(infer_tasks)
        self._propose = Proposer(self.tasks, self.predictor, self._data)
        super().__init__(app_dir, studies, conf, name="hepatic", description=type(self).__doc__, version=__version__)

    def init_datastore(self) -> HepaticDatastore:
        watched = not stock.MONAI_LABEL_DATASTORE_READ_ONLY  # workers leave it to the server to look for new images
        first_scan_seconds = 5.0 if stock.MONAI_LABEL_DATASTORE_AUTO_RELOAD else None
        return HepaticDatastore(self.studies, scan=watched, first_scan_seconds=first_scan_seconds)

    def init_infers(self) -> dict[str, HepaticInferTask]:
        return {
            **{name: HepaticInferTask(task, self.predictor, drawn=self._drawn) for name, task in self.tasks.items()},
            **{
                f"{name}_boxes": HepaticInferTask(task, self.predictor, as_segmentation=True)
                for name, task in self.tasks.items()
                if isinstance(task, DetectionTask)
            },
            **{
                f"{name}_region": HepaticInferTask(task, self.predictor, as_segmentation=True, drawn=self._drawn)
                for name, task in self.tasks.items()
                if isinstance(task, ClassificationTask) and task.modality == "US"
            },
        }

    def init_trainers(self) -> dict[str, HepaticTrainTask]:
        recipes = discover_recipes(train_tasks)
        return {
            name: HepaticTrainTask(r, self.registry, self._data / "runs", data_dir=self._data, prepare=self._prepare)
            for name, r in recipes.items()
        }

    def init_scoring_methods(self) -> dict[str, ForegroundEntropy]:
        return {
            f"{name}_entropy": ForegroundEntropy(task, self.predictor)
            for name, task in self.tasks.items()
            if isinstance(task, SegmentationTask)
        }

    def init_strategies(self) -> dict[str, First | RandomSample | Uncertainty]:
        return {
            "first": First(),
            "random": RandomSample(),
            "uncertainty": Uncertainty(self._served),
        }

    def _drawn(self, image_id: str, source: Path) -> PictureBoxes:
        return drawn_boxes(self.datastore(), image_id, source)

    def _prepare(self, study_uid: str) -> PreparedStudy:
        return self._propose.prepare(series_of(self.datastore().store, study_uid))

    def propose(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._propose(request)

    def on_save_label(self, image_id: str, label_id: str) -> dict[str, Any]:
        taken = take_classes(self.datastore().store, image_id, self.tasks.values())
        if taken.told:
            logger.info("a label was saved: %s", taken.told)
        told = {"classes": dict(taken.classes), "told": taken.told}
        return {name: value for name, value in told.items() if value}

    def caches(self) -> dict[str, dict[str, int]]:
        return self.predictor.caches()

    def _served(self) -> dict[str, str]:
        versions = {name: self.registry.served(name) for name in self.tasks}
        return {name: version.version for name, version in versions.items() if version}
