"""A MONAI Label app in the manner of MONAI Label's own radiology app, to measure the stock server and ours with."""

from pathlib import Path

from hepatic.adapters import compat

compat.install()

from lib.configs import CONFIGS  # noqa: E402
from monailabel.interfaces.app import MONAILabelApp  # noqa: E402
from monailabel.interfaces.tasks.infer_v2 import InferTask  # noqa: E402


class StockStyleApp(MONAILabelApp):
    """The networks and weights of hepatic, inferred by ``BasicInferTask`` and MONAI's transforms.

    ``--conf models NAME,NAME`` chooses the models, as for the radiology app; ``model/NAME.pt`` are their weights.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self._model_dir = Path(app_dir) / "model"
        super().__init__(app_dir, studies, conf, name="stock style", description=type(self).__doc__)

    def init_infers(self) -> dict[str, InferTask]:
        return {name: CONFIGS[name](str(self._model_dir / f"{name}.pt")) for name in self.conf["models"].split(",")}
