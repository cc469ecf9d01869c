"""Weights of a network trained on ImageNet, from a file that the user has, as torchvision names them."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from hepatic.errors import BadInputError

State = Mapping[str, torch.Tensor]

_HEAD = re.compile(r"(fc|classifier)\.")
_DENSE_LAYER = re.compile(r"(denselayer\d+)\.(?!layers\.)")
_OLD_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:layers\.)?(?:norm|relu|conv))\.(\d)\.")
_FIRST = ("conv1.weight", "conv0.weight")
_COUNTED = "num_batches_tracked"


def load_imagenet(network: nn.Module, file: Path) -> int:
    """Put ImageNet weights into the part of a network that has their shape.

    A file in torchvision's layout fits MONAI's networks: a ResNet of bottlenecks without a bias in its short cuts has
    the same names; of a DenseNet ``denselayerN.`` becomes ``denselayerN.layers.``. The classifier of ImageNet is left
    out. A first convolution with another number of channels gets, in each of C, 3 / C of the mean over red, green and
    blue: a grey picture then gives what it gave as three equal channels.

    Args:
        network: is changed in place; what is not of the backbone (a classifier, an attention) stays as it is.
        file: ``.pth`` or ``.pt`` (read as weights only) or ``.safetensors``.

    Returns:
        How many tensors were put in.

    Raises:
        BadInputError: the file cannot be read, or holds another network; what does not fit is named.
    """
    given = {_renamed(name): tensor for name, tensor in _read(file).items()}
    given = {name: tensor for name, tensor in given.items() if not _HEAD.match(name)}
    own = dict(network.state_dict())
    prefix = _prefix(own)
    if prefix is None:
        raise _unfit(file, "a network with a first convolution conv1 or conv0", "one that has none")
    backbone = _backbone(own, prefix, given)
    missing = [name for name in backbone if name not in given and not name.endswith(_COUNTED)]
    unknown = [name for name in given if name not in backbone]
    if missing or unknown:
        said = [f"without {name}" for name in missing[:3]] + [
            f"with {name}, which has no place" for name in unknown[:3]
        ]
        more = len(missing) + len(unknown) - len(said)
        raise _unfit(file, "the network of the preset", "; ".join(said) + (f"; and {more} more" if more else ""))
    fitted = {name: _fit(file, name, tensor, backbone[name]) for name, tensor in given.items()}
    network.load_state_dict({**own, **{prefix + name: tensor for name, tensor in fitted.items()}})
    return len(fitted)


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        found = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        raise _unfit(file, "a .pth or .safetensors file of weights", type(error).__name__) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        raise _unfit(file, "weights by name", type(found).__name__)
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


def _renamed(name: str) -> str:
    """Return MONAI's name; files of the first years of torchvision wrote norm.1 for norm1."""
    name = _OLD_DENSE_LAYER.sub(r"\1\2.", name.removeprefix("features."))
    return _DENSE_LAYER.sub(r"\1.layers.", name)


def _prefix(own: State) -> str | None:
    for name in own:
        for first in _FIRST:
            if name == first or name.endswith("." + first):
                return name.removesuffix(first)
    return None


def _backbone(own: State, prefix: str, given: State) -> dict[str, torch.Tensor]:
    """The tensors of the network below the prefix, but those of a head that the file cannot have."""
    below = {name.removeprefix(prefix): tensor for name, tensor in own.items() if name.startswith(prefix)}
    parts = {name.split(".")[0] for name in given}
    heads = {"fc", "class_layers", "attend", "classify"}
    return {name: tensor for name, tensor in below.items() if name.split(".")[0] not in heads - parts}


def _fit(file: Path, name: str, tensor: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    if tensor.shape != own.shape and name in _FIRST and tensor.ndim == own.ndim:
        channels = own.shape[1]
        tensor = tensor.mean(dim=1, keepdim=True).expand(-1, channels, *[-1] * (tensor.ndim - 2)) * (3 / channels)
    if tensor.shape != own.shape:
        raise _unfit(file, f"{name} of shape {tuple(own.shape)}", f"{tuple(tensor.shape)}")
    return tensor.to(own.dtype)


def _unfit(file: Path, expected: str, came: str) -> BadInputError:
    return BadInputError(
        f"ImageNet weights {file.name}",
        expected=expected,
        came=came,
        fix="Name torchvision's file for the preset's network: ResNet-50 or DenseNet-121.",
    )
