"""The key frame and the frames before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from hepatic.errors import BadInputError
from hepatic.transforms.key_frame import select_key_frame


@dataclass(frozen=True)
class KeyFrameWindow:
    """``frames`` to ``image``, float32 (before + 1, H, W): frames k - before ... k.

    The key frame k is the sample's own (``key_frame``, in training), else the client's (option ``key_frame``, counted
    from 0; a negative number means automatic), else chosen by ``select_key_frame``. Frame 0 is repeated where the
    window begins before it (``methods.md``: paper 000 does not say).

    Attributes:
        before: number of frames before the key frame (9 in the paper; 0 for the key frame alone).
    """

    before: int

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Add ``image`` and the facts ``key_frame`` and ``key_frame_chosen_by``."""
        count = sample["frame_count"]
        asked = sample.get("key_frame", sample["options"].get("key_frame", -1))
        if asked >= count:
            raise BadInputError(
                "parameter 'key_frame'",
                expected=f"a frame from 0 to {count - 1}, or -1 for automatic",
                came=str(asked),
                fix="Choose a frame of this run.",
            )
        automatic = asked < 0
        key = select_key_frame(sample["source"].frames) if automatic else int(asked)
        window = [max(0, t) for t in range(key - self.before, key + 1)]
        facts = {**sample.get("facts", {}), "key_frame": key, "key_frame_chosen_by": "model" if automatic else "reader"}
        rest = {name: value for name, value in sample.items() if name not in ("frames", "frame_count")}
        return {**rest, "image": torch.from_numpy(sample["frames"](window)), "facts": facts}
