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


def imagenet_file(recipe: Recipe, place: str) -> Path | None:
    """Find a user's ImageNet weights for a recipe, in its preset.

    Args:
        recipe: ``Recipe.imagenet`` names the network.
        place: a file, or a folder in which the file's name begins with the network's; empty for none.

    Raises:
        BadInputError: there is no such place.
    """
    if not place:
        return None
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
        return None
    if not file.is_dir():
        return file
    found = sorted(one for one in file.glob(f"{recipe.imagenet}*") if one.suffix in _SUFFIXES)
    if not found:
        logger.warning("No file %s*.pth for %s: it begins with new weights", recipe.imagenet, recipe.name)
    return found[-1] if found else None


def check_imagenet(recipe: Recipe, place: str) -> bool:
    """Make sure that a user's ImageNet weights fit, before anything takes long; arguments as ``imagenet_file``.

    Returns:
        Whether a network of the recipe's preset begins with them.

    Raises:
        BadInputError: there is no such place, or a file does not fit the network.
    """
    own = [recipe.preset(name) for name in getattr(recipe.task, "members", ()) or (recipe.task.preset_name,)]
    files = [(one, imagenet_file(one, place)) for one in own]
    for one, file in files:
        if file is not None:
            load_imagenet(one.task.network(), file)
    return any(file is not None for _, file in files)


def begin_with_imagenet(recipe: Recipe, network: nn.Module, place: str) -> str:
    """Put a user's ImageNet weights into a new network; arguments as ``imagenet_file``.

    Returns:
        For the model card: the file's name and hash; empty where nothing was put in.

    Raises:
        BadInputError: there is no such place, or the file does not fit the network.
    """
    file = imagenet_file(recipe, place)
    if file is None:
        return ""
    count = load_imagenet(network, file)
    logger.info("%s (%s) begins with %s: %d tensors", recipe.name, recipe.task.preset_name, file.name, count)
    return f"ImageNet, {file.name}, sha256 {content_hash(file)}"
