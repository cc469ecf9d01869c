"""The client 3D Slicer's MONAI Label extension uses, out of the installed wheel, unmodified."""

import importlib.util
import sys
import sysconfig
from pathlib import Path


def slicer_client_class():
    """Load ``MONAILabelClient``."""
    folder = Path(sysconfig.get_path("data")) / "monailabel/plugins/slicer/MONAILabel/MONAILabelLib"
    spec = importlib.util.spec_from_file_location("slicer_client", folder / "client.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["slicer_client"] = module
    spec.loader.exec_module(module)
    return module.MONAILabelClient
