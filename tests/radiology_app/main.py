"""An app written as MONAI Label's own sample apps are: stock base classes, a ``lib`` of its own, nothing of hepatic."""

import os

from lib.infers import SegmentLiver
from lib.scoring import LabelVolume
from lib.strategies import SmallestFirst
from lib.trainers import TrainLiver
from monailabel.interfaces.app import MONAILabelApp


class RadiologyApp(MONAILabelApp):
    """One organ."""

    def __init__(self, app_dir, studies, conf):
        self.model_dir = os.path.join(app_dir, "model")
        os.makedirs(self.model_dir, exist_ok=True)
        super().__init__(app_dir, studies, conf, name="radiology", description="Somebody else's app", version="7")

    def init_infers(self):
        return {"liver": SegmentLiver(self.model_dir, self.conf.get("roi", "16,16,4"))}

    def init_trainers(self):
        return {"liver": TrainLiver(self.model_dir)}

    def init_strategies(self):
        return {"smallest": SmallestFirst(), **super().init_strategies()}

    def init_scoring_methods(self):
        return {"volume": LabelVolume()}
