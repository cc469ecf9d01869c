import numpy as np
import pytest
from scipy import ndimage

from sample_data.resample import area, cubic, translate


def test_area_averages_what_an_output_pixel_covers() -> None:
    assert area(np.arange(6.0).reshape(1, 6), (1, 4)).ravel().tolist() == pytest.approx([1 / 3, 5 / 3, 10 / 3, 14 / 3])


def test_area_keeps_the_mean_of_every_image_of_a_stack() -> None:
    stack = np.random.default_rng(0).random((2, 3, 31, 47))
    assert area(stack, (7, 12)).mean((2, 3)) == pytest.approx(stack.mean((2, 3)), abs=1e-6)


def test_cubic_passes_through_the_coarse_values_and_keeps_a_ramp() -> None:
    ramp = np.linspace(0, 9, 4, dtype=np.float32)[:, None] * np.ones((1, 4), np.float32)
    fine = cubic(ramp, (10, 10))
    assert fine[::3, 0] == pytest.approx([0, 3, 6, 9], abs=1e-5)
    assert fine[3:7, 5] == pytest.approx([3, 4, 5, 6], abs=1e-5)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -3), (1.25, 0.5), (-0.75, 2.5)])
def test_translate_moves_like_a_linear_spline(down: float, right: float) -> None:
    image = np.random.default_rng(1).random((20, 30)).astype(np.float32)
    expected = ndimage.shift(image, (down, right), order=1, mode="nearest")
    assert translate(image, down, right) == pytest.approx(expected, abs=1e-5)
