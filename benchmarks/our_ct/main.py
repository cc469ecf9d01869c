"""A MONAI Label app with the benchmark's CT task on hepatic's engine."""

from pathlib import Path

from benchmarks.our_ct.task import TASK
from hepatic.adapters import compat

compat.install()

from monailabel.interfaces.app import MONAILabelApp  # noqa: E402

from hepatic.adapters.datastore import HepaticDatastore  # noqa: E402
from hepatic.adapters.infer import HepaticInferTask  # noqa: E402
from hepatic.engine.predict import Predictor  # noqa: E402
from hepatic.engine.weights import Registry  # noqa: E402


class CTApp(MONAILabelApp):
    """One model on hepatic's engine; its weights lie in ``models/`` beside this file."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self._predictor = Predictor(Registry(Path(app_dir) / "models"))
        super().__init__(app_dir, studies, conf, name="benchmark CT", description=type(self).__doc__)

    def init_datastore(self) -> HepaticDatastore:
        return HepaticDatastore(self.studies)

    def init_infers(self) -> dict[str, HepaticInferTask]:
        return {TASK.name: HepaticInferTask(TASK, self._predictor)}
