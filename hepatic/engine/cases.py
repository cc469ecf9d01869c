"""Labelled images to learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field

from hepatic.engine.eligibility import Eligibility, eligibility, said_flags
from hepatic.engine.label_boxes import PictureBox, boxes_in_sample, boxes_on_picture, read_lesions
from hepatic.engine.split import Side
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.content import content_hash
from hepatic.io.image import Cine, Labelmap, Volume
from hepatic.io.labelmap import names_in, read_labelmap
from hepatic.io.read import read
from hepatic.tasks.spec import ClassificationTask, DetectionTask, Sample, Task


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
        classes = (*task.classes, *task.coarse) if isinstance(task, ClassificationTask) else ()
        if self.truth not in classes:
            raise BadInputError(
                f"class of image {self.image_id}",
                expected="one of " + ", ".join(classes),
                came=repr(self.truth)[:80],
                fix="Correct the note.",
            )
        image = task.accept(read(self.source))
        is_absent = isinstance(task, ClassificationTask) and self.truth == task.absent
        boxes = self._known if is_absent else self.drawn(image.grid)
        if not boxes and isinstance(task, ClassificationTask) and task.needs_boxes and not is_absent:
            raise BadInputError(
                f"image {self.image_id}, which is named {self.truth}",
                expected="a box around the lesion: without one the whole image would be learnt as the lesion",
                came="none",
                fix="Draw it at /cases or in 3D Slicer, and train again.",
            )
        return {"source": image, "options": task.parse_options({}), "truth": self.truth, **boxes_in_sample(boxes)}

    @property
    def _known(self) -> list[PictureBox]:
        return [PictureBox(*box) for box in self.boxes]

    def drawn(self, grid: Grid) -> list[PictureBox]:
        """Return its boxes and those of the label, which lies on this grid; BadInputError where it cannot be read."""
        own = [] if self.label is None else boxes_on_picture(self.label, grid, self.names)
        return [*self._known, *own]

    def eligibility(self, image: Volume | Cine | None = None, *, shows_lesion: bool = True) -> Eligibility:
        """Return what speaks against learning from it; BadInputError where the image cannot be read.

        Args:
            image: where it is read already.
            shows_lesion: whether its class says that there is a lesion.
        """
        image = read(self.source) if image is None else image
        boxes = self._known
        with suppress(BadInputError):  # a label that cannot be read shows no lesion
            boxes = self.drawn(image.grid)
        return eligibility(
            self.source,
            image=image,
            beside=self.beside,
            boxes=boxes,
            is_named=bool(self.truth),
            shows_lesion=shows_lesion,
            said=self.said,
        )

    def content(self) -> str:
        """Hashes of image and label, the class, the boxes, and what a reader says of its eligibility."""
        drawn = "" if self.label is None else content_hash(self.label)
        about = f"{content_hash(self.source)} {self.truth} {drawn} {sorted(self.names.items())} {self.boxes}"
        return f"{about} {self.said}" if self.said else about


def data_hash(cases: Sequence[TrainingCase]) -> str:
    """Changes when any image or label of the set does; does not depend on their order."""
    lines = sorted(f"{c.image_id} {c.patient_id} {c.content()}" for c in cases)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
