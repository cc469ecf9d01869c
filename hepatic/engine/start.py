"""What a training begins with where no trained version is gone on from."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import nn

from hepatic.errors import BadInputError
from hepatic.io.content import content_hash
from hepatic.networks.imagenet import load_imagenet
from hepatic.tasks.recipe import Recipe

logger = logging.getLogger(__name__)

_SUFFIXES = (".pth", ".pt", ".safetensors")


def begin_with_imagenet(recipe: Recipe, network: nn.Module, place: str) -> str:
    """Put a user's ImageNet weights into a new network.

    Args:
        recipe: in its preset; ``Recipe.imagenet`` names the network.
        network: is changed in place.
        place: a file, or a folder in which the file's name begins with the network's; empty changes nothing.

    Returns:
        For the model card: the file's name and hash; empty where nothing was put in.

    Raises:
        BadInputError: there is no such place, or the file does not fit the network.
    """
    if not place:
        return ""
    file = Path(place)
    if not file.exists():
        raise BadInputError(
            "ImageNet weights",
            expected="a file, or a folder of files, of torchvision's weights",
            came=f"no {file.name}",
            fix="Correct the path, or leave it out.",
        )
    if not recipe.imagenet:
        logger.info("%s (%s) does not begin with ImageNet weights", recipe.name, recipe.task.preset_name)
        return ""
    if file.is_dir():
        found = sorted(one for one in file.glob(f"{recipe.imagenet}*") if one.suffix in _SUFFIXES)
        if not found:
            logger.warning("No file %s*.pth for %s: it begins with new weights", recipe.imagenet, recipe.name)
            return ""
        file = found[-1]
    count = load_imagenet(network, file)
    logger.info("%s (%s) begins with %s: %d tensors", recipe.name, recipe.task.preset_name, file.name, count)
    return f"ImageNet, {file.name}, sha256 {content_hash(file)}"
