"""Where networks run."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from hepatic.errors import BadInputError


def choose_device(name: str, *, setting: str = "HEPATIC_DEVICE") -> torch.device:
    """Turn a setting into a device: ``auto`` takes the GPU where there is one.

    Raises:
        BadInputError: the name is no device, or the machine has no such one.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    wanted = 0 if device is None or device.index is None else device.index
    if device is None or (device.type == "cuda" and wanted >= torch.cuda.device_count()):
        raise BadInputError(
            f"setting {setting}",
            expected=f"auto, cpu or one of {torch.cuda.device_count()} CUDA devices",
            came=repr(name)[:80],
            fix="Correct the setting.",
        )
    return device


def gpu_memory() -> list[dict[str, int]]:
    """Return bytes of each GPU this process uses: total and used of the device, reserved and allocated here."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    found = []
    for device in range(torch.cuda.device_count()):
        if torch.cuda.memory_reserved(device):
            free, total = torch.cuda.mem_get_info(device)
            found.append(
                {
                    "device": device,
                    "total": total,
                    "used": total - free,
                    "reserved": torch.cuda.memory_reserved(device),
                    "allocated": torch.cuda.memory_allocated(device),
                }
            )
    return found


def training_devices(names: str) -> list[str]:
    """Turn a setting into the devices on which trainings run, one on each at a time.

    Args:
        names: devices separated by commas; ``auto`` takes every GPU, or the CPU where there is none.

    Raises:
        BadInputError: a name is no device, or the machine has no such one.
    """
    if names.strip() == "auto":
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cpu"]
    chosen = [choose_device(name.strip(), setting="HEPATIC_TRAINING_DEVICES") for name in names.split(",")]
    return [str(device) for device in chosen]


LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Channels-last layout by the number of a tensor's axes: convolutions are faster in it, on CPU and GPU."""


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to its device, with convolutions in channels-last layout."""
    network.to(device)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Conv3d | nn.ConvTranspose3d):
            cast(Any, module).to(memory_format=LAYOUTS[module.weight.ndim])
    return network
