"""The smallest app on hepatic's datastore: a model that answers at once and has weights, and nothing to train."""

import os
import tempfile
from pathlib import Path

import numpy as np
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.io.grid import grid_of
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap


class Nothing(InferTask):
    """Finds nothing, on the image's own grid."""

    def __init__(self):
        super().__init__(InferType.SEGMENTATION, ["liver"], 3, "Nothing")

    def is_valid(self):
        return True

    def __call__(self, request):
        grid = grid_of(Path(request["image"]))
        handle, file = tempfile.mkstemp(suffix=".nrrd")
        os.close(handle)
        write_labelmap(Path(file), Labelmap(np.zeros(grid.shape, np.uint8), grid))
        return file, {"label_names": {"liver": 1}, "seen": {key: str(request.get(key)) for key in ("image", "model")}}


class TinyApp(MONAILabelApp):
    """The app."""

    def __init__(self, app_dir, studies, conf):
        super().__init__(app_dir, studies, conf, name="tiny", description="The smallest app")

    def init_infers(self):
        return {"nothing": Nothing()}

    def init_datastore(self):
        return HepaticDatastore(self.studies, auto_rescan_seconds=None)

    def model_file(self, model, validate=True):
        file = Path(self.studies) / ".hepatic" / "models" / f"{model}.safetensors"
        return str(file) if file.is_file() or not validate else None
