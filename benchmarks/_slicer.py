"""The client 3D Slicer's MONAI Label extension uses, out of the installed wheel, unmodified."""

from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

PARAMS = {"result_extension": ".nrrd", "result_dtype": "uint8"}
"""What the extension adds to every request."""


def slicer_client(address: str, folder: Path) -> Any:
    """Return a ``MONAILabelClient``; results are saved in the folder."""
    lib = Path(sysconfig.get_path("data")) / "monailabel/plugins/slicer/MONAILabel/MONAILabelLib"
    spec = importlib.util.spec_from_file_location("slicer_client", lib / "client.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(lib)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MONAILabelClient(address, str(folder), "bench")
