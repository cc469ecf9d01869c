import numpy as np
import pytest

from hepatic.engine.label_boxes import read_lesions
from hepatic.geometry import Grid
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.markups import ROI, encode_rois

GRID = Grid((10, 10, 6), np.diag([1.0, 2.0, 3.0, 1.0]))


def label(tmp_path, *, names=None, suffix=".seg.nrrd", **blocks):
    """A labelmap whose blocks v1, v2... are (k, j, i) slices."""
    array = np.zeros(GRID.shape, np.uint8)
    for value, block in blocks.items():
        array[block] = int(value[1])
    write_labelmap(tmp_path / f"label{suffix}", Labelmap(array, GRID, names or {}))
    return tmp_path / f"label{suffix}"


A, B = np.s_[0:2, 0:3, 0:4], np.s_[4:6, 5:10, 5:10]


def test_each_connected_part_is_a_lesion_in_its_place(tmp_path):
    file = label(tmp_path, v1=A)
    both = np.zeros(GRID.shape, np.uint8)
    both[A], both[B] = 1, 1
    write_labelmap(file, Labelmap(both, GRID, {"tumour": 1}))
    found = read_lesions(file, GRID, {})
    assert found.boxes.tolist() == [[-0.5, -1, -1.5, 3.5, 5, 4.5], [4.5, 9, 10.5, 9.5, 19, 16.5]]
    assert found.liver is None


def test_parts_that_touch_are_two_where_they_have_two_values(tmp_path):
    file = label(tmp_path, v1=np.s_[0:2, 0:3, 0:4], v2=np.s_[0:2, 0:3, 4:8], suffix=".nrrd")
    assert len(read_lesions(file, GRID, {}).boxes) == 2


@pytest.mark.parametrize("liver", ["liver", "Liver"])
def test_the_liver_is_no_lesion_and_its_lesions_are_liver(tmp_path, liver):
    file = label(tmp_path, v2=np.s_[0:4, 0:6, 0:6], v1=A, names={"tumour": 1, liver: 2})
    found = read_lesions(file, GRID, {})
    assert len(found.boxes) == 1
    assert found.liver.sum() == 4 * 6 * 6


def test_names_a_viewer_sent_beside_a_plain_file_count(tmp_path):
    file = label(tmp_path, v1=np.s_[0:4, 0:6, 0:6], v2=B, suffix=".nii.gz")
    found = read_lesions(file, GRID, {"spleen": 1, "my lesion": 2})
    assert len(found.boxes) == 1
    assert found.boxes[0][0] == 4.5


def test_boxes_saved_in_slicer_are_lesions_as_they_are(tmp_path):
    (tmp_path / "label.json").write_bytes(encode_rois([ROI((1, 2, 3, 4, 5, 6)), ROI((0, 0, 0, 1, 1, 1))]))
    assert read_lesions(tmp_path / "label.json", GRID, {}).boxes.tolist() == [[1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1]]


def test_a_reader_who_left_no_box_says_there_is_no_lesion(tmp_path):
    (tmp_path / "label.json").write_bytes(encode_rois([]))
    assert read_lesions(tmp_path / "label.json", GRID, {}).boxes.shape == (0, 6)
