"""What the key frames of a cine are called: phases only where its own times and its echo tell them."""

import numpy as np
import pytest

from server.cases.cases import Opened
from server.class_cards import _keys


def cine(*, timing="frame times", rises_at=20, frames=200):
    pixels = np.full((frames, 16, 16), 10, np.uint8)
    pixels[rises_at:] = 90
    times = None if timing == "unknown" else np.arange(float(frames)).tolist()
    onset = rises_at % frames  # as the worker finds it
    about = {"width": 16, "height": 16, "times_s": times, "timing": timing, "contrast": None, "tissue": None}
    about |= {"pair": None, "onset": onset}
    return Opened(pixels, about)


def test_phases_are_counted_from_the_echo():
    keys = _keys(cine(), [])
    assert [(key["name"], key["frame"]) for key in keys] == [
        ("onset", 20), ("arterial", 40), ("portal venous", 80), ("late", 170),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    [cine(timing="playback rate"), cine(timing="unknown"), cine(rises_at=0), cine(rises_at=200)],
    ids=["a playback rate", "no times", "begins after the onset", "nothing rises"],
)
def test_without_times_or_onset_frames_go_by_their_numbers(odd):
    for boxes in ([], [[2, 2, 14, 14]]):
        keys = _keys(odd, boxes)
        assert [key["name"] for key in keys] == ["frame 1", "frame 67", "frame 134", "frame 200"]
        assert all(key["time_s"] is None for key in keys)


def test_a_drawn_lesion_tells_its_own_onset():
    early = cine()
    early.frames[10:, 4:12, 4:12] = 90
    assert [_keys(early, boxes)[0]["frame"] for boxes in ([], [[5, 5, 11, 11]])] == [20, 10]


def test_two_frames_are_shown_once_each():
    assert [key["frame"] for key in _keys(cine(timing="unknown", frames=2), [])] == [0, 1]
