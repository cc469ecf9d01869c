"""Networks run by OpenVINO on the CPU: exported once for each shape, and used only where they agree with torch."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from hepatic.errors import BadInputError
from hepatic.settings import Accelerator
from hepatic.store.disk import make_folder

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference of logits at which float32 counts as the same."""
MOST_SHAPES = 8
"""Shapes of one network that are exported; images of others run in torch."""

_EXACT = "f32"
_PRECISION: dict[Accelerator, str] = {"openvino": _EXACT, "openvino-bf16": "bf16"}
_MODEL = "model.xml"

Run = Callable[[torch.Tensor], list[torch.Tensor]]


def check_accelerator(accelerator: Accelerator, device: torch.device) -> Accelerator:
    """Return the accelerator of networks on a device: none on a GPU.

    Raises:
        BadInputError: it is not installed.
    """
    if accelerator == "none" or device.type != "cpu":
        return "none"
    if importlib.util.find_spec("openvino") is None:
        raise BadInputError(
            "setting HEPATIC_ACCELERATOR",
            expected="none, or OpenVINO installed",
            came=repr(accelerator),
            fix="pip install 'hepatic[openvino]'",
        )
    return accelerator


class AcceleratedNetwork(nn.Module):
    """A network that answers as the torch network it is made of, faster on a CPU; safe from several threads.

    Of each new shape the first image runs in both. Where logits in float32 differ by more than ``TOLERANCE``, or where
    the network cannot be exported, images of that shape stay with torch, and the log says so; it also says what
    bfloat16 costs. Exports are kept on disk, and judged by the first image again in every process.

    Args:
        network: on the CPU, in evaluation mode, without gradients.
        accelerator: other than ``none``.
        name: of the task, for the log.
        folder: for exports of these very weights; exports of others beside it are removed.
    """

    def __init__(self, network: nn.Module, accelerator: Accelerator, *, name: str, folder: Path) -> None:
        super().__init__()
        self.network = network
        self.differences: dict[tuple[int, ...], float] = {}
        self._precision, self._name, self._folder = _PRECISION[accelerator], name, folder
        self._runs: dict[tuple[int, ...], Callable[[torch.Tensor], Any] | None] = {}
        self._making = threading.Lock()

    def forward(self, image: torch.Tensor) -> Any:
        """Return what the network returns."""
        shape = tuple(image.shape)
        if shape not in self._runs:
            with self._making:
                if shape not in self._runs:
                    self._runs[shape] = self._made(image) if len(self._runs) < MOST_SHAPES else None
        return (self._runs[shape] or self.network)(image)

    def _made(self, image: torch.Tensor) -> Callable[[torch.Tensor], Any] | None:
        leaves, structure = tree_flatten(self.network(image))
        expected = [leaf for leaf in leaves if leaf is not None]
        name, shape = self._name, "x".join(map(str, image.shape))
        file = self._folder / shape / _MODEL
        try:
            run, difference = self._exported(file, image, expected)
            is_same = difference <= TOLERANCE
            if is_same and self._precision != _EXACT:
                run = _compiled(file, self._precision)
                difference = _difference(expected, run(image))
        except Exception as failure:  # whatever OpenVINO raises, torch answers
            logger.warning("%s stays in torch on %s: OpenVINO cannot run it: %s", name, shape, _first_line(failure))
            return None
        self.differences[tuple(image.shape)] = difference
        if not is_same or not np.isfinite(difference):
            logger.warning("%s stays in torch on %s: logits of OpenVINO differ by %.2g", name, shape, difference)
            return None
        told = (name, shape, self._precision, difference)
        logger.info("%s runs in OpenVINO on %s (%s): logits differ from torch's by %.2g at most", *told)

        def network(image: torch.Tensor) -> Any:
            found = iter(run(image))
            return tree_unflatten([None if leaf is None else next(found) for leaf in given], structure)

        given = [None if leaf is None else True for leaf in leaves]  # not the tensors: they would be kept
        return network

    def _exported(self, file: Path, image: torch.Tensor, expected: Sequence[Any]) -> tuple[Run, float]:
        """Return what runs the network in float32, and how much its logits differ; exported now where it was not."""
        if file.is_file():
            try:
                run = _compiled(file, _EXACT)
                difference = _difference(expected, run(image))
                if difference <= TOLERANCE:
                    return run, difference
                why = f"its logits differ by {difference:.2g}"
            except Exception as damaged:  # OpenVINO raises many kinds
                why = _first_line(damaged)
            logger.warning("%s is exported again for %s: %s", self._name, file.parent.name, why)
        self._export(image, file)
        run = _compiled(file, _EXACT)
        return run, _difference(expected, run(image))

    def _export(self, image: torch.Tensor, target: Path) -> None:
        """Write the network for this shape, whole or not at all."""
        openvino = _openvino()
        make_folder(self._folder)
        for other in self._folder.parent.iterdir():
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)
        model = _converted(self.network, image.shape)
        scratch = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            openvino.save_model(model, scratch / _MODEL, compress_to_fp16=False)
            shutil.rmtree(target.parent, ignore_errors=True)
            scratch.rename(target.parent)
        except OSError:
            if not target.is_file():  # nor has another process just written it
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


class _Tensors(nn.Module):
    """What a network returns, as a flat tuple of tensors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(leaf for leaf in tree_leaves(self.network(image)) if leaf is not None)


@cache
def _openvino() -> Any:
    """Import OpenVINO without the package by which it would report every import and export to its maker.

    Where that is missing, OpenVINO uses a stand-in of its own that does nothing.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _converted(network: nn.Module, shape: Sequence[int]) -> Any:
    """Return a network as OpenVINO has it, for images of one shape.

    Not by ``openvino.convert_model``, which sets the level of the process's root logger, and leaves it so if it fails.
    """
    _openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: the first image judges the result
        example = torch.zeros(*shape)  # not the image: what tracing freezes must not agree with it
        traced = TorchScriptPythonDecoder(_Tensors(network).eval(), example_input=example)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(traced))
    model.reshape(list(shape))
    return model


def _compiled(file: Path, precision: str) -> Run:
    threads = torch.get_num_threads()
    hints = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # or every worker process would take the same cores
    }
    model = _core().compile_model(str(file), "CPU", hints)

    def run(image: torch.Tensor) -> list[torch.Tensor]:
        answer = model.create_infer_request()  # one for each call: threads share none
        found = answer.infer([np.ascontiguousarray(image.numpy())], share_inputs=True, share_outputs=True)
        return [torch.from_numpy(np.array(value)) for value in found.values()]

    return run


@cache
def _core() -> Any:
    return _openvino().Core()


def _difference(expected: Sequence[torch.Tensor], found: Sequence[torch.Tensor]) -> float:
    """Return the largest difference of two networks' outputs; nan where one is."""
    return float(torch.stack([(a - b).abs().max() for a, b in zip(expected, found, strict=True)]).max())


def _first_line(failure: Exception) -> str:
    return str(failure).strip().split("\n", 1)[0][:200] or type(failure).__name__
