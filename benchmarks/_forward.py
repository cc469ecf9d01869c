"""A network alone in a process like an inference worker's: what runs there, to be timed without a server."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import nn

from hepatic.engine.device import LAYOUTS, choose_device, place
from hepatic.engine.model import load_model
from hepatic.engine.weights import Registry
from hepatic.io.read import read
from hepatic.tasks.spec import Task

_network: nn.Module
_task: Task
_image: torch.Tensor
_device: torch.device


def load_served(task: Task, registry: Registry, source: Path) -> None:
    """Load the served version of a task, and an image, prepared for it."""
    global _network, _task, _image, _device
    served = registry.served(task.name)
    if served is None:
        raise FileNotFoundError(f"no weights of {task.name}")
    _device = choose_device("auto")
    model = load_model(task, served, _device)
    _network, _task = model.network, model.task
    image = _task.accept(read(source))
    _image = _task.prepare({"source": image, "options": _task.parse_options({})})["image"].to(_device)


def load_random(task: Task, shape: tuple[int, ...]) -> str:
    """Build the untrained network of a task, and an image of noise; return the device."""
    global _network, _task, _image, _device
    _device = choose_device("auto")
    torch.manual_seed(0)
    _network, _task = place(task.network(), _device).eval().requires_grad_(False), task
    _image = torch.randn(shape, device=_device)
    return str(_device)


def forward(size: int = 1) -> tuple[float, float]:
    """Return the milliseconds of one forward pass of a batch, by the clock and of all cores."""
    batch = torch.stack([_image] * size)
    batch = batch.contiguous(memory_format=LAYOUTS[batch.ndim])
    started, cpu = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        _task.inferer(batch, _network)
        if _device.type == "cuda":
            torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - started), 1000 * (time.process_time() - cpu)
