"""Lesions are described where they lie in the picture."""

from types import SimpleNamespace

import numpy as np
import pytest

from hepatic.transforms.describe_lesions import DescribeLesions


def _sample(*boxes, spacing_mm=None):
    labelmap = np.zeros((3, 40, 60), np.uint8)
    for left, top, right, bottom in boxes:
        labelmap[1, top : bottom + 1, left : right + 1] = 1
    confidence = np.where(labelmap[1] > 0, np.float32(0.75), np.float32(0.25))[None]
    source = SimpleNamespace(pixel_spacing_mm=spacing_mm)
    return {"labelmap": labelmap, "confidence": confidence, "source": source, "facts": {"key_frame": 1}}


def test_each_tumour_has_its_box_its_centre_and_its_score_the_largest_first():
    lesions = DescribeLesions()(_sample((50, 30, 52, 32), (10, 5, 19, 14), spacing_mm=(0.5, 0.5)))["facts"]["lesions"]
    assert [lesion["box_px"] for lesion in lesions] == [[10, 5, 19, 14], [50, 30, 52, 32]]
    assert lesions[0]["centre_px"] == [14.5, 9.5]
    assert lesions[0]["size_px"] == pytest.approx(2 * np.sqrt(100 / np.pi), abs=0.06)
    assert lesions[0]["size_mm"] == pytest.approx(lesions[0]["size_px"] / 2, abs=0.1)
    assert {lesion["score"] for lesion in lesions} == {0.75}
    assert {lesion["frame"] for lesion in lesions} == {1}


def test_a_picture_without_tumours_has_none():
    assert DescribeLesions()(_sample())["facts"]["lesions"] == []
