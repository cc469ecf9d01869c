"""Labelled images, and the training samples they stand for."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from hepatic.engine.eligibility import Eligibility, eligibility, said_flags
from hepatic.engine.kind import training_sample
from hepatic.engine.label_boxes import boxes_on_picture, read_lesions
from hepatic.engine.split import Side
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.content import content_hash
from hepatic.io.image import Cine, Labelmap, Volume
from hepatic.io.labelmap import read_labelmap
from hepatic.io.read import read
from hepatic.tasks.recipe import Recipe, one_sample
from hepatic.tasks.spec import ClassificationTask, DetectionTask, Sample, SegmentationTask, Task

logger = logging.getLogger(__name__)


Livers = Callable[[SegmentationTask, Volume], NDArray[np.bool_]]
"""A liver task and an image -> (K, J, I) bool on its grid, lesions not cut out."""


class TrainingCase(Protocol):
    """One image and what is known about it.

    Attributes:
        image_id: names it in reports.
        patient_id: all images of one patient stay on one side of the split.
        study: images of one study are judged together by a detector, as they share their lesions.
        part: side of the split its patient was put on elsewhere; None leaves it to ``FrozenSplit``.
    """

    @property
    def image_id(self) -> str: ...  # noqa: D102
    @property
    def patient_id(self) -> str: ...  # noqa: D102
    @property
    def study(self) -> str: ...  # noqa: D102
    @property
    def part(self) -> Side | None: ...  # noqa: D102

    def sample(self, task: Task) -> Sample:
        """Read it as this task's ``pre`` takes it; BadInputError when it cannot be used."""
        ...

    def content(self) -> str:
        """Hashes of all it is made of."""
        ...


@dataclass(frozen=True, kw_only=True)
class _OneImage:
    """One image of the datastore.

    Attributes:
        image_id: in the datastore.
        patient_id: all images of one patient stay on one side of the split.
        source: image file or series folder.
        study_uid: StudyInstanceUID: its phases lie in one frame and share their lesions. Empty: a study of its own.
    """

    image_id: str
    patient_id: str
    source: Path
    study_uid: str = ""

    @property
    def part(self) -> Side | None:
        """Left to the split."""
        return None

    @property
    def study(self) -> str:
        """What it is judged together with."""
        return self.study_uid or self.image_id


@dataclass(frozen=True, kw_only=True)
class Case(_OneImage):
    """One image and its label.

    Attributes:
        label: labelmap file; for a detector also Slicer markups (.json).
        names: label value by structure, where the label file itself does not name them (viewers send them beside it).
        complete: whether every lesion is marked; where not, a detector learns nothing from what is unmarked.
    """

    label: Path
    names: Mapping[str, int] = field(default_factory=dict)
    complete: bool = True

    def sample(self, task: Task) -> Sample:
        """Read image and label; BadInputError when they do not belong together."""
        image = task.accept(read(self.source))
        sample: Sample = {"source": image, "options": task.parse_options({})}
        if isinstance(task, DetectionTask):
            lesions = read_lesions(self.label, image.grid, self.names)
            shown = {} if lesions.liver is None else {"liver": lesions.liver}
            return {**sample, "boxes": lesions.boxes, "complete": self.complete, **shown}
        labelmap = read_labelmap(self.label, like=image.grid)
        return {
            **sample,
            "label": Labelmap(labelmap.array, labelmap.grid, labelmap.names or names_in(labelmap, self.names)),
        }

    def content(self) -> str:
        """Hashes of image and label."""
        return f"{content_hash(self.source)} {content_hash(self.label)}"


@dataclass(frozen=True, kw_only=True)
class ClassCase(_OneImage):
    """One image and its class.

    Attributes:
        truth: name of the class.
        label: labelmap or markups file that shows where the lesion is; None where nobody has drawn it. What it shows
            of a picture without a lesion (``ClassificationTask.absent``) is none.
        names: label value by structure, as ``Case.names``.
        boxes: of lesions in pixels of an ultrasound picture (top, left, bottom, right), beside those of the label.
        said: what a reader says of its eligibility (``hepatic.engine.eligibility``); empty where nobody has.
        beside: the other ultrasound images of its study; not part of what is written of a case.
    """

    truth: str
    label: Path | None = None
    names: Mapping[str, int] = field(default_factory=dict)
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    said: str = ""
    beside: Annotated[Iterable[Path], Field(exclude=True)] = ()

    def sample(self, task: Task) -> Sample:
        """Read the image.

        Raises:
            BadInputError: the task does not know its class, or learns of boxes and there is none, or a reader has said
                that nothing is to be learnt from it.
        """
        Eligibility(self.said, said_flags(self.said)).check(self.image_id)
        classes = task.classes if isinstance(task, ClassificationTask) else ()
        if self.truth not in classes:
            raise BadInputError(
                f"class of image {self.image_id}",
                expected="one of " + ", ".join(classes),
                came=repr(self.truth)[:80],
                fix="Correct the note.",
            )
        image = task.accept(read(self.source))
        is_absent = isinstance(task, ClassificationTask) and self.truth == task.absent
        boxes = [*self.boxes] if is_absent else self.drawn(image.grid)
        if not boxes and isinstance(task, ClassificationTask) and task.needs_boxes and not is_absent:
            raise BadInputError(
                f"image {self.image_id}, which is named {self.truth}",
                expected="a box around the lesion: without one the whole image would be learnt as the lesion",
                came="none",
                fix="Draw it at /cases or in 3D Slicer, and train again.",
            )
        return {"source": image, "options": task.parse_options({}), "truth": self.truth, "boxes": boxes}

    def drawn(self, grid: Grid) -> list[tuple[float, float, float, float]]:
        """Return its boxes and those of the label, which lies on this grid; BadInputError where it cannot be read."""
        own = [] if self.label is None else boxes_on_picture(self.label, grid, self.names)
        return [*self.boxes, *own]

    def eligibility(self, image: Volume | Cine | None = None) -> Eligibility:
        """Return what speaks against learning from it; BadInputError where the image cannot be read.

        Args:
            image: where it is read already.
        """
        image = read(self.source) if image is None else image
        boxes = list(self.boxes)
        with suppress(BadInputError):  # a label that cannot be read shows no lesion
            boxes = self.drawn(image.grid)
        return eligibility(
            self.source, image=image, beside=self.beside, boxes=boxes, is_named=bool(self.truth), said=self.said
        )

    def content(self) -> str:
        """Hashes of image and label, the class, the boxes, and what a reader says of its eligibility."""
        drawn = "" if self.label is None else content_hash(self.label)
        about = f"{content_hash(self.source)} {self.truth} {drawn} {sorted(self.names.items())} {self.boxes}"
        return f"{about} {self.said}" if self.said else about


def label_names(info: Mapping[str, Any]) -> dict[str, int]:
    """Values by name out of what a viewer sent with a label: ``label_info``, a list of {name, idx}.

    A name that comes again, as older versions of hepatic kept it, has its value added.

    Raises:
        BadInputError: it is not that shape.
    """
    nested, named = info.get("params"), dict[str, int]()
    entries = info.get("label_info") or (nested.get("label_info") if isinstance(nested, Mapping) else None) or []
    try:
        for position, entry in enumerate(entries, start=1):
            name, value = str(entry["name"]), int(entry.get("idx", position))
            named[f"{name} ({value})" if name in named else name] = value
    except (TypeError, KeyError, ValueError, AttributeError):
        raise BadInputError(
            "label_info", expected="a list of {name, idx}", came=repr(entries)[:80], fix="Save the label again."
        ) from None
    return named


def names_in(labelmap: Labelmap, told: Mapping[str, int]) -> dict[str, int]:
    """Match the names that a viewer told beside a labelmap to its values.

    3D Slicer counts a segment's ``idx`` over all its segments, but numbers those it exports from 1; the two differ when
    it leaves scribbles out. Where the file holds a value that is nobody's ``idx``, order decides.
    """
    values = {int(value) for value in np.unique(labelmap.array)} - {0}
    if values <= set(told.values()):
        return dict(told)
    return {name: place for place, name in enumerate(sorted(told, key=told.__getitem__), start=1)}


@dataclass(frozen=True)
class PreparedCases:
    """Training samples and where they come from.

    Attributes:
        samples: one entry per training sample, see ``hepatic.engine.kind.training_sample``.
        cases: those that could be used.
        left_out: reason by image id of those that could not.
    """

    samples: list[Sample]
    cases: list[TrainingCase]
    left_out: dict[str, str]


def prepare_cases(
    recipe: Recipe,
    cases: Iterable[TrainingCase],
    *,
    livers: Livers | None = None,
    needed: bool = True,
    balanced: bool = False,
) -> PreparedCases:
    """Read, expand and prepare cases; one that cannot be used is left out with a warning, not the end of everything.

    Args:
        recipe: how they are expanded; its task prepares them.
        cases: all there are.
        livers: finds livers for a detector whose case brings none.
        needed: whether there must be some.
        balanced: expand classified images that can be used until the classes are about equal, as far as they have
            views that differ; the rarer ones are read again for it. Otherwise each stands for itself. The paper that
            does so (002) expands before it splits; here only the training side is.

    Raises:
        BadInputError: none can be used, and some are needed.
    """
    prepared = PreparedCases([], [], {})
    samples: list[list[Sample]] = []
    for case in cases:
        try:
            whole = whole_sample(case, recipe.task, livers)
            if recipe.eligible_only and isinstance(case, ClassCase):
                case.eligibility(whole["source"]).check(case.image_id)
            samples.append(_views(recipe, whole, 1) if isinstance(case, ClassCase) else list(_prepared(recipe, whole)))
        except BadInputError as error:
            prepared.left_out[case.image_id] = str(error)
            logger.warning("Image %s is left out of training: %s", case.image_id, error)
            continue
        prepared.cases.append(case)
    if balanced and recipe.expand is not one_sample:
        classes = Counter(case.truth for case in prepared.cases if isinstance(case, ClassCase))
        for number, case in enumerate(prepared.cases):
            if isinstance(case, ClassCase) and (views := round(max(classes.values()) / classes[case.truth])) > 1:
                samples[number] = _views(recipe, whole_sample(case, recipe.task, livers), views)
    prepared.samples.extend(itertools.chain.from_iterable(samples))
    if needed and not prepared.samples:
        raise BadInputError(
            f"training of '{recipe.name}'",
            expected="labelled images on both sides of the split",
            came="none that can be used; " + (next(iter(prepared.left_out.values()), "there are none")),
            fix="Submit labels of more patients, or submit the ones named above again.",
        )
    return prepared


def _prepared(recipe: Recipe, whole: Sample) -> Iterator[Sample]:
    """Yield the training samples that a case stands for."""
    for one in recipe.expand(whole):
        yield training_sample(recipe.task, recipe.task.prepare(one))


def _views(recipe: Recipe, whole: Sample, most: int) -> list[Sample]:
    """Return up to so many views of a case that differ: a second later, a cine of few frames may show the same."""
    kept: list[Sample] = []
    for one in _prepared(recipe, whole):
        if not any(torch.equal(one["image"], other["image"]) for other in kept):
            kept.append(one)
        if len(kept) == most:
            break
    return kept


def whole_sample(case: TrainingCase, task: Task, livers: Livers | None) -> Sample:
    """Read a case, and find the liver where the task needs it and the case does not bring it."""
    sample = case.sample(task)
    if not isinstance(task, DetectionTask) or task.liver is None or "liver" in sample:
        return sample
    if livers is None:
        raise BadInputError(
            f"image {case.image_id}", expected="a liver mask", came="none", fix="Label the liver beside the lesions."
        )
    return {**sample, "liver": livers(task.liver, sample["source"])}


def data_hash(cases: Sequence[TrainingCase]) -> str:
    """Changes when any image or label of the set does; does not depend on their order."""
    lines = sorted(f"{c.image_id} {c.patient_id} {c.content()}" for c in cases)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
