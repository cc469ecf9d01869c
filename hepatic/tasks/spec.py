"""What a task is: plain data from which inference, training and the server's description are derived."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from monai.inferers import Inferer, SimpleInferer
from torch import nn

from hepatic.errors import BadInputError, NotFoundError
from hepatic.io.image import Cine, Modality, Volume

Sample = dict[str, Any]
"""One case on its way through a task's transforms.

Before ``pre``: ``source`` (Volume or Cine), ``options`` (validated, by name), and in training ``label`` (Labelmap).
After ``pre``: ``image`` (float32 tensor, channels first), ``facts`` (JSON-able), in training ``target`` (float32
tensor, one channel per label). Before ``post``: also ``probabilities`` (float32 tensor, one channel
per label, network grid).
After ``post``: ``labelmap`` (uint8 array on the source grid).
"""

Transform = Callable[[Sample], Sample]


@dataclass(frozen=True, kw_only=True)
class Option:
    """One thing a client may set per request.

    Attributes:
        name: key in the request's params.
        default: value when it is not sent; also what viewers show first.
        description: one line for people.
        choices: allowed values; viewers show a combo box. Empty: any value of the default's type in the range.
        minimum, maximum: inclusive range of a number.
    """

    name: str
    default: int | float | str | bool
    description: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def parse(self, value: object) -> int | float | str | bool:
        """Read a value a client sent (number, string or bool); BadInputError when it does not fit."""
        kind = type(self.default)
        try:
            if kind is bool:
                parsed: int | float | str | bool = {"true": True, "false": False}[str(value).strip().lower()]
            elif isinstance(value, bool) or not isinstance(value, int | float | str):
                raise ValueError(value)
            else:
                parsed = kind(value) if kind is not int else _whole(value)
        except (KeyError, ValueError, OverflowError):
            raise self._refuse(value) from None
        if self.choices and parsed not in self.choices:
            raise self._refuse(value)
        if isinstance(parsed, int | float) and not self._in_range(parsed):
            raise self._refuse(value)
        return parsed

    @property
    def shown(self) -> int | float | str | bool | list[str]:
        """What a viewer is told: the default, or a list, which becomes a combo box with the default first."""
        if self.choices:
            return [str(self.default), *(choice for choice in self.choices if choice != self.default)]
        return self.default

    def _in_range(self, number: float) -> bool:
        above = self.minimum is None or number >= self.minimum
        below = self.maximum is None or number <= self.maximum
        return above and below

    def _refuse(self, value: object) -> BadInputError:
        if self.choices:
            expected = "one of " + ", ".join(self.choices)
        else:
            low = "" if self.minimum is None else f" >= {self.minimum:g}"
            high = "" if self.maximum is None else f" <= {self.maximum:g}"
            expected = f"a {type(self.default).__name__}{low}{high}"
        return BadInputError(
            f"parameter '{self.name}'", expected=expected, came=repr(value)[:80], fix=f"{self.description} Correct it."
        )


def _whole(value: int | float | str) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


@dataclass(frozen=True, kw_only=True)
class SegmentationTask:
    """A segmentation model as data: valid once constructed, importable without weights, picklable.

    Attributes:
        name: stem of the file that defines it.
        description: one sentence for the viewers.
        modality: DICOM Modality of the images it takes.
        dimension: 2 or 3, as the viewers understand it.
        labels: names; label ``labels[i]`` has value ``i + 1`` in the result.
        network: builds the untrained network.
        probabilities: network output for a batch -> (B, len(labels), spatial...) in [0, 1].
        pre: deterministic; the one description of pre-processing, used in inference and training alike.
        post: from probabilities to the labelmap on the source grid and the facts about it.
        inferer: brings a prepared image to the network: whole, or window by window (``SlidingWindowInferer``) where
            it is larger than the network takes at once.
        options: what a client may set per request.
        presets: by name, the fields that differ from this task's own.
        preset_name: which preset this task is.
    """

    name: str
    description: str
    modality: Modality
    dimension: Literal[2, 3]
    labels: tuple[str, ...]
    network: Callable[[], nn.Module]
    probabilities: Callable[[Any], torch.Tensor]
    pre: tuple[Transform, ...]
    post: tuple[Transform, ...]
    inferer: Inferer = field(default_factory=SimpleInferer)
    options: tuple[Option, ...] = ()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preset_name: str = "small"
    type: Literal["segmentation"] = "segmentation"

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
        if not self.pre or not self.post:
            raise BadInputError(
                f"task '{self.name}'", expected="pre and post transforms", came="none", fix="Add at least one of each."
            )

    def __getstate__(self) -> dict[str, Any]:
        """Pickle as plain fields."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def preset(self, name: str) -> SegmentationTask:
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
        return _apply(self.pre, sample)

    def finish(self, sample: Sample) -> Sample:
        """Apply ``post``."""
        return _apply(self.post, sample)

    @property
    def pre_fingerprint(self) -> str:
        """Changes when the pre-processing does: half of the key of every cache of prepared tensors."""
        return hashlib.sha256(pickle.dumps(self.pre)).hexdigest()[:16]


def _apply(transforms: Sequence[Transform], sample: Sample) -> Sample:
    for transform in transforms:
        sample = transform(sample)
    return sample
