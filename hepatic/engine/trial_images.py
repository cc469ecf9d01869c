"""The images of an evaluation, prepared once for all its splits."""

from __future__ import annotations

import hashlib
import itertools
import logging
import pickle
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hepatic.engine.cases import ClassCase
from hepatic.engine.kind import training_sample
from hepatic.engine.trial import Seen
from hepatic.errors import BadInputError
from hepatic.tasks.recipe import Recipe

logger = logging.getLogger(__name__)

KEEPS = ("image", "target", "mask", "mask_known")
"""What is kept of an image from run to run: one that was kept with less is prepared again."""


@dataclass(frozen=True)
class Source:
    """An image that can be had.

    Attributes:
        key: changes when the image, its label or its class does.
        patient_id: whose it is.
        truth: its class.
        case: reads it, or simulates it into a folder that is removed afterwards.
    """

    key: str
    patient_id: str
    truth: str
    case: Callable[[Path], ClassCase]


def prepare_images(
    recipe: Recipe, sources: Sequence[Source], *, cache: Path | None = None, progress: Callable[[], None] = lambda: None
) -> list[Seen]:
    """Prepare images, and further views of those of the rarer classes.

    Args:
        recipe: in the preset that says how.
        sources: the images; one that cannot be used is left out with a warning.
        cache: folder in which prepared images are kept from run to run.
        progress: called once per image.

    Raises:
        BadInputError: none can be used.
    """
    counts = Counter(source.truth for source in sources)
    how = hashlib.sha256(pickle.dumps((KEEPS, recipe.task.pre, recipe.expand))).hexdigest()[:12]
    seen = []
    for source in sources:
        views = 1 if counts[source.truth] == max(counts.values()) else None
        name = hashlib.sha256(f"{how} {source.key} {views}".encode()).hexdigest()[:24]
        file = None if cache is None else cache / f"{recipe.name}-{name}.pt"
        try:
            seen.append(_one(recipe, source, views, file))
        except BadInputError as error:
            logger.warning("An image of patient %s is left out: %s", source.patient_id, error)
        progress()
    if not seen:
        raise BadInputError(
            "the evaluation", expected="labelled images", came="none that can be used", fix="See the warnings."
        )
    return seen


def _one(recipe: Recipe, source: Source, views: int | None, file: Path | None) -> Seen:
    if file is not None and file.is_file():
        return Seen(source.patient_id, source.truth, torch.load(file, weights_only=True))
    with tempfile.TemporaryDirectory(prefix="hepatic-evaluate-") as folder:
        whole = source.case(Path(folder)).sample(recipe.task)
    expanded = itertools.islice(recipe.expand(whole), views)
    samples = [training_sample(recipe.task, recipe.task.prepare(one)) for one in expanded]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".new")
        torch.save(samples, temporary)
        temporary.replace(file)
    return Seen(source.patient_id, source.truth, samples)
