"""What tasks of every kind have in common: plain data from which inference, training and descriptions are derived."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from monai.inferers import Inferer, SimpleInferer
from torch import nn

from hepatic.errors import BadInputError, NotFoundError
from hepatic.io.image import Cine, Modality, Volume
from hepatic.tasks.option import Option

Sample = dict[str, Any]
"""One case on its way through a task's transforms.

Before ``pre``: ``source`` (Volume or Cine) and ``options`` (validated, by name). After ``pre``: ``image`` (float32
tensor, channels first) and ``facts`` (JSON-able, may be missing). What each kind of task adds is said where it is
defined.
"""

Transform = Callable[[Sample], Sample]
Kind = Literal["segmentation", "detection", "classification"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A model as data: valid once constructed, importable without weights, picklable.

    Attributes:
        name: stem of the file that defines it.
        description: one sentence for the viewers.
        modality: DICOM Modality of the images it takes.
        dimension: 2 or 3, as the viewers understand it.
        labels: names of what it finds.
        network: builds the untrained network.
        pre: deterministic; the one description of pre-processing, used in inference and training alike.
        inferer: brings a prepared image to the network: whole, or window by window (``SlidingWindowInferer``) where
            it is larger than the network takes at once.
        options: what a client may set per request.
        presets: by name, the fields that differ from this task's own.
        preset_name: which preset this task is.
        type: kind of the task, by the name MONAI Label gives it.
    """

    type: ClassVar[Kind]

    name: str
    description: str
    modality: Modality
    dimension: Literal[2, 3]
    labels: tuple[str, ...]
    network: Callable[[], nn.Module]
    pre: tuple[Transform, ...]
    inferer: Inferer = field(default_factory=SimpleInferer)
    options: tuple[Option, ...] = ()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preset_name: str = "small"

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        if not self.name.isidentifier():
            raise BadInputError(
                "task name",
                expected="a Python identifier, equal to its file's stem",
                came=repr(self.name),
                fix="Rename it.",
            )
        if not self.labels or len(set(self.labels)) != len(self.labels) or "background" in self.labels:
            raise BadInputError(
                f"labels of task '{self.name}'",
                expected="one or more different names without 'background' (value 0 needs no name)",
                came=repr(self.labels),
                fix="Correct the tuple.",
            )
        if not self.pre:
            raise BadInputError(f"task '{self.name}'", expected="pre transforms", came="none", fix="Add at least one.")

    def __getstate__(self) -> dict[str, Any]:
        """Pickle as plain fields."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def preset(self, name: str) -> Self:
        """Return the same task in another preset; NotFoundError when there is none of that name."""
        if name == self.preset_name:
            return self
        if name not in self.presets:
            raise NotFoundError(
                f"preset of task '{self.name}'",
                expected="one of " + ", ".join(sorted({*self.presets, self.preset_name})),
                came=repr(name)[:80],
                fix="Choose one of these.",
            )
        back = {field: getattr(self, field) for field in self.presets[name]}
        presets = {**{n: p for n, p in self.presets.items() if n != name}, self.preset_name: back}
        return dataclasses.replace(self, **self.presets[name], presets=presets, preset_name=name)

    def accept(self, image: Volume | Cine) -> Volume | Cine:
        """Return the image as this task takes it.

        A file without a modality (NIfTI, NRRD) is believed to be of the task's; where that is a cine, its slices are
        the frames.

        Raises:
            BadInputError: the image is of another modality.
        """
        if image.modality not in (self.modality, "OT"):
            raise BadInputError(
                "image",
                expected=f"modality {self.modality}, which '{self.name}' was made for",
                came=image.modality,
                fix="Choose another image or another model.",
            )
        is_cine_task = self.modality in ("XA", "US")
        return image.as_cine(self.modality) if isinstance(image, Volume) and is_cine_task else image

    def parse_options(self, params: Mapping[str, object]) -> dict[str, int | float | str | bool]:
        """Read this task's options out of a request's params; names that are not options are left alone."""
        return {o.name: o.parse(params[o.name]) if o.name in params else o.default for o in self.options}

    def prepare(self, sample: Sample) -> Sample:
        """Apply ``pre``."""
        return apply(self.pre, sample)

    @property
    def pre_fingerprint(self) -> str:
        """Changes when the pre-processing does: half of the key of every cache of prepared tensors."""
        return hashlib.sha256(pickle.dumps(self.pre)).hexdigest()[:16]


def apply(transforms: Sequence[Transform], sample: Sample) -> Sample:
    """Run a sample through transforms, one after the other."""
    for transform in transforms:
        sample = transform(sample)
    return sample
