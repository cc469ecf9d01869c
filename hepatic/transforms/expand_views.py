"""More samples of one image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ExpandViews:
    """A sample to itself and further views of it (paper 002, sections 1.1.4 and 1.1.7).

    The engine takes as many as make the classes of the patients who train equal (``prepare_cases``).

    Attributes:
        views: what differs in each further sample, as the task's ``pre`` understands it.
    """

    views: tuple[Mapping[str, Any], ...]

    def __call__(self, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the sample, then its further views."""
        yield sample
        yield from ({**sample, **view} for view in self.views)
