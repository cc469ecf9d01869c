"""Labelled images, and the training samples they stand for."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hepatic.engine.kind import segmentation
from hepatic.errors import BadInputError
from hepatic.io.content import content_hash
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap
from hepatic.io.read import read
from hepatic.tasks.recipe import Recipe, Tensors
from hepatic.tasks.spec import Sample, SegmentationTask

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One image and its label.

    Attributes:
        image_id: in the datastore.
        patient_id: all images of one patient stay on one side of the split.
        source: image file or series folder.
        label: labelmap file.
        names: label value by structure, where the label file itself does not name them (viewers send them beside it).
    """

    image_id: str
    patient_id: str
    source: Path
    label: Path
    names: Mapping[str, int] = field(default_factory=dict)

    def sample(self, task: SegmentationTask) -> Sample:
        """Read image and label; BadInputError when they do not belong together."""
        image = task.accept(read(self.source))
        labelmap = read_labelmap(self.label, like=image.grid)
        named = Labelmap(labelmap.array, labelmap.grid, labelmap.names or self._names_in(labelmap))
        return {"source": image, "label": named, "options": task.parse_options({})}

    def _names_in(self, labelmap: Labelmap) -> dict[str, int]:
        """Match ``names`` to the values of the file.

        3D Slicer counts a segment's ``idx`` over all its segments, but numbers those it exports from 1; the two differ
        when it leaves scribbles out. Where the file holds a value that is nobody's ``idx``, order decides.
        """
        values = {int(value) for value in np.unique(labelmap.array)} - {0}
        if values <= set(self.names.values()):
            return dict(self.names)
        return {name: place for place, name in enumerate(sorted(self.names, key=self.names.__getitem__), start=1)}


@dataclass(frozen=True)
class PreparedCases:
    """Training samples and where they come from.

    Attributes:
        samples: one entry per training sample, tensors of the network's size.
        cases: those that could be used.
        left_out: reason by image id of those that could not.
    """

    samples: list[Tensors]
    cases: list[Case]
    left_out: dict[str, str]


def prepare_cases(recipe: Recipe, cases: Iterable[Case]) -> PreparedCases:
    """Read, expand and prepare cases; one that cannot be used is left out with a warning, not the end of everything.

    Raises:
        BadInputError: none can be used.
    """
    prepared = PreparedCases([], [], {})
    for case in cases:
        try:
            expanded = [recipe.task.prepare(sample) for sample in recipe.expand(case.sample(segmentation(recipe.task)))]
        except BadInputError as error:
            prepared.left_out[case.image_id] = str(error)
            logger.warning("Image %s is left out of training: %s", case.image_id, error)
            continue
        prepared.cases.append(case)
        prepared.samples.extend({name: one[name] for name in ("image", "target", "known")} for one in expanded)
    if not prepared.samples:
        raise BadInputError(
            f"training of '{recipe.name}'",
            expected="labelled images on both sides of the split",
            came="none that can be used; " + (next(iter(prepared.left_out.values()), "there are none")),
            fix="Submit labels of more patients, or submit the ones named above again.",
        )
    return prepared


def data_hash(cases: Sequence[Case]) -> str:
    """Changes when any image or label of the set does; does not depend on their order."""
    lines = sorted(f"{c.image_id} {c.patient_id} {content_hash(c.source)} {content_hash(c.label)}" for c in cases)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
