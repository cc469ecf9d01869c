"""Boxes go to 3D Slicer and come back, through Slicer's own code."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hepatic.io.markups import ROI, encode_rois, read_rois

pytestmark = pytest.mark.viewer

SENT = [
    ROI((-10, -20, -30, 10, 5, -10), "lesion 0.91", {"candidate": "2.25.1", "score": 0.91, "class": "lesion"}),
    ROI((40, 50, 60, 44, 56, 68), "lesion 0.42", {"candidate": "2.25.2", "score": 0.42, "class": "lesion"}),
    ROI((-7, -7, -7, -1, -1, -1), "lesion 0.17", {"candidate": "2.25.3", "score": 0.17, "class": "lesion"}),
]


@pytest.fixture(scope="module")
def opened(slicer_python, tmp_path_factory):
    """What Slicer read, and what it saved after a reader had removed, moved and added boxes."""
    folder = tmp_path_factory.mktemp("rois")
    (folder / "answer.json").write_bytes(encode_rois(SENT))
    script = Path(__file__).with_name("slicer_rois.py")
    command = [slicer_python, script, folder / "answer.json", folder / "saved.json"]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout), read_rois(folder / "saved.json")


def test_every_candidate_opens_as_an_roi_in_its_place(opened):
    told, _ = opened
    assert len(told) == len(SENT)
    for node, roi in zip(told, SENT, strict=True):
        low, high = np.array(roi.box[:3]), np.array(roi.box[3:])
        assert np.array(node["centre_ras"]) * [-1, -1, 1] == pytest.approx((low + high) / 2)
        assert node["size"] == pytest.approx(high - low)
        assert node["label"] == roi.label
        assert node["shown"], "the extension asks every ROI for its display node"


def test_candidates_are_known_again_though_the_extension_renames_them(opened):
    _, saved = opened
    assert [roi.about.get("candidate") for roi in saved] == ["2.25.2", "2.25.3", None]
    assert saved[1] == SENT[2]


def test_a_box_that_a_reader_moved_or_drew_lies_where_it_was_put(opened):
    _, saved = opened
    assert saved[0].box == pytest.approx((39, 50, 60, 43, 56, 68))
    assert saved[2].box == pytest.approx((-12, -22, 28, -8, -18, 32))
