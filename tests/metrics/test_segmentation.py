import math

import numpy as np
import pytest
import torch

from hepatic.metrics import dice, foreground_entropy, hd95_px, iou, lesion_recall


def box(top, left, bottom, right, shape=(20, 30)):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_dice_and_iou_of_a_half_overlap():
    a, b = box(0, 0, 10, 10), box(0, 5, 10, 15)
    assert dice(a, b) == pytest.approx(0.5)
    assert iou(a, b) == pytest.approx(1 / 3)


def test_two_empty_masks_agree():
    nothing = box(0, 0, 0, 0)
    assert (dice(nothing, nothing), iou(nothing, nothing), hd95_px(nothing, nothing)) == (1, 1, 0)


def test_a_missing_side_has_no_distance():
    assert math.isnan(hd95_px(box(0, 0, 5, 5), box(0, 0, 0, 0)))


def test_a_mask_moved_by_three_pixels_is_three_pixels_away():
    assert hd95_px(box(5, 5, 15, 15), box(5, 8, 15, 18)) == pytest.approx(3)


def test_a_lesion_counts_as_found_when_half_of_it_is():
    lesions = box(0, 0, 4, 4) | box(10, 10, 14, 14)
    assert lesion_recall(box(0, 0, 4, 2), lesions) == 0.5
    assert lesion_recall(box(0, 0, 4, 1), lesions) == 0
    assert lesion_recall(lesions, lesions) == 1


def test_doubt_is_averaged_so_a_large_sure_tumour_is_less_doubtful_than_a_small_vague_one():
    large, small = torch.zeros(1, 50, 50), torch.zeros(1, 50, 50)
    large[0, 5:45, 5:45] = 0.99
    small[0, 20:24, 20:24] = 0.5
    assert foreground_entropy(large) < 0.1
    assert foreground_entropy(small) == pytest.approx(1, abs=1e-3)


def test_an_image_without_foreground_is_judged_as_a_whole():
    assert 0 < foreground_entropy(torch.full((2, 8, 8), 0.05)) < 0.5
