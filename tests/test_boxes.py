"""Boxes move between voxels and the patient, and are compared there."""

import numpy as np
import pytest

from hepatic.boxes import centres, from_voxels, hits, iou, kept_by_nms, sizes, to_voxels
from hepatic.geometry import Grid

AFFINE = np.array([[-0.7, 0, 0, 100], [0, 0.8, 0, -50], [0, 0, 5.0, 20], [0, 0, 0, 1.0]])
GRID = Grid((96, 72, 24), AFFINE)


def test_the_first_voxel_lies_around_the_origin_whichever_way_the_axes_point():
    box = from_voxels([[0, 0, 0, 1, 1, 1]], GRID)
    np.testing.assert_allclose(box, [[99.65, -50.4, 17.5, 100.35, -49.6, 22.5]])
    np.testing.assert_allclose(sizes(box), [[0.7, 0.8, 5.0]])
    np.testing.assert_allclose(centres(box), [GRID.origin])


def test_there_and_back_is_the_same_box():
    voxels = np.array([[2, 10, 30, 5, 22, 61], [0, 0, 0, 24, 72, 96]], float)
    np.testing.assert_allclose(to_voxels(from_voxels(voxels, GRID), GRID), voxels, atol=1e-9)


def test_a_turned_grid_gives_the_box_around():
    c, s = np.cos(np.pi / 4), np.sin(np.pi / 4)
    turned = Grid((4, 4, 4), np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    np.testing.assert_allclose(sizes(from_voxels([[0, 0, 0, 1, 2, 2]], turned)), [[2 * np.sqrt(2)] * 2 + [1]])


def test_no_boxes_share_nothing():
    assert iou(np.zeros((0, 6)), np.zeros((3, 6))).shape == (0, 3)
    assert kept_by_nms(np.zeros((0, 6)), np.zeros(0), max_iou=0.1, most=5) == []


def test_a_candidate_hits_by_overlap_or_by_its_centre():
    lesion = np.array([[0, 0, 0, 10, 10, 10.0]])
    small_inside, shifted, beside = [4, 4, 4, 5, 5, 5], [5, 0, 0, 15, 10, 10], [9, 9, 9, 19, 19, 19]
    candidates = np.array([small_inside, shifted, beside], float)
    assert iou(candidates, lesion)[1, 0] == pytest.approx(1 / 3)
    assert hits(candidates, lesion)[:, 0].tolist() == [True, True, False]


def test_of_overlapping_boxes_the_best_stays():
    boxes = np.array([[0, 0, 0, 10, 10, 10], [1, 0, 0, 11, 10, 10], [50, 0, 0, 60, 10, 10]], float)
    assert kept_by_nms(boxes, np.array([0.5, 0.9, 0.7]), max_iou=0.2, most=10) == [1, 2]
    assert kept_by_nms(boxes, np.array([0.5, 0.9, 0.7]), max_iou=0.2, most=1) == [1]
