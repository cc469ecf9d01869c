"""One version of a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatic.errors import BadInputError, ConflictError
from hepatic.store.disk import sha256_of

FINAL, ORIGINAL = "final", "original"
"""Tags of labels: what somebody has finished, what a model has proposed."""

RESTORED = "restored_from"
"""Key of a version's info: the old version that it puts back."""


@dataclass(frozen=True)
class Label:
    """One version of a label.

    Attributes:
        version: from 1, without gaps.
        author: who saved it, as the client said; empty if it did not.
        model: task that proposed it, empty for a label drawn by hand.
        model_hash: hash of that task's weights.
        created: UTC, ISO 8601.
        info: what the client sent along, JSON.
        file: path below the data folder; empty for a tombstone, the version that says the label was removed.
    """

    image_id: str
    tag: str
    version: int
    author: str
    model: str
    model_hash: str
    created: str
    info: dict[str, Any]
    sha256: str
    bytes: int
    file: str

    @property
    def removed(self) -> bool:
        """Whether this version is a tombstone."""
        return not self.file


def check_unchanged(file: Path, sha256: str, what: str, *, fix: str) -> None:
    """Raise ConflictError unless the file of a version has this content still."""
    if sha256_of(file) != sha256:
        raise ConflictError(what, expected="the file that was saved", came="a file with another checksum", fix=fix)


def segment_names(info: Mapping[str, Any]) -> list[str]:
    """Return the segments a label's info names: Slicer's ``label_info`` list, or an inference's ``label_names``."""
    names: list[str] = []
    listed = info.get("label_info")
    if isinstance(listed, list):
        names += [str(segment["name"]) for segment in listed if isinstance(segment, Mapping) and segment.get("name")]
    params = info.get("params")
    for holder in (info, params if isinstance(params, Mapping) else {}):
        named = holder.get("label_names")
        if isinstance(named, Mapping | list):
            names += [str(name) for name in named]
    return names


def label_names(info: Mapping[str, Any]) -> dict[str, int]:
    """Values by name out of what a viewer sent with a label: ``label_info``, a list of {name, idx}.

    A name that comes again, as older versions of hepatic kept it, has its value added.

    Raises:
        BadInputError: it is not that shape.
    """
    named, entries = dict[str, int](), _listed(info) or []
    try:
        for position, entry in enumerate(entries, start=1):
            name, value = str(entry["name"]), int(entry.get("idx", position))
            named[f"{name} ({value})" if name in named else name] = value
    except (TypeError, KeyError, ValueError, AttributeError):
        raise BadInputError(
            "label_info", expected="a list of {name, idx}", came=repr(entries)[:80], fix="Save the label again."
        ) from None
    return named


def check_names_differ(info: Mapping[str, Any]) -> None:
    """Raise BadInputError where ``label_info`` gives several values of a labelmap one name, in whatever case."""
    listed = _listed(info)
    named = [one for one in listed if isinstance(one, Mapping) and one.get("name")] if isinstance(listed, list) else []
    counted = Counter(str(one["name"]).strip().casefold() for one in named)
    if repeated := sorted(name for name, count in counted.items() if count > 1):
        raise BadInputError(
            "the label",
            expected="segments with different names",
            came="several named " + ", ".join(repeated)[:80],
            fix="Draw all of one structure in one segment, or name them apart, and save again.",
        )


def _listed(info: Mapping[str, Any]) -> Any:
    params = info.get("params")
    return info.get("label_info") or (params.get("label_info") if isinstance(params, Mapping) else None)
