"""What every transform for CT begins with."""

from __future__ import annotations

from typing import Any

from hepatic.errors import BadInputError
from hepatic.io.image import Volume


def ct_volume(sample: dict[str, Any]) -> Volume:
    """Return a sample's ``source``; BadInputError when it is no volume."""
    volume = sample["source"]
    if not isinstance(volume, Volume):
        raise BadInputError(
            "image",
            expected="a CT volume",
            came=f"a {type(volume).__name__.lower()}",
            fix="Choose a CT series for this model.",
        )
    return volume
