import numpy as np
import pytest

from hepatic.errors import BadInputError
from sample_data import dsa
from sample_data.dsa.angiogram import SHAPES, render

TINY = (98, 127)


def test_patients_share_nothing() -> None:
    one, other = (render(seed, TINY) for seed in (5, 6))
    assert abs(np.corrcoef(one.difference[1].ravel(), other.difference[1].ravel())[0, 1]) < 0.2
    assert (one.anatomy.depth != other.anatomy.depth).mean() > 0.99
    assert one.motion.frame_time_ms != other.motion.frame_time_ms


def test_the_mask_is_the_mean_of_the_first_two_frames(angiogram: dsa.Angiogram) -> None:
    assert np.abs(angiogram.difference[:2].mean(0)).max() < 1e-5


def test_vessels_fill_from_the_trunk_outwards_and_empty_again(angiogram: dsa.Angiogram) -> None:
    arrival, points = angiogram.hepatic.arrival_s, angiogram.hepatic.points_px
    x, y = np.rint(points[1, :2]).astype(int)
    trunk = angiogram.difference[:, y - 1 : y + 2, x - 1 : x + 2].mean((1, 2))
    full = int(np.argmin(trunk))
    assert trunk[full] < -0.15
    assert trunk[1] > -0.03
    assert trunk[full + 8] > 0.3 * trunk[full]
    assert arrival[1:].min() >= 0
    assert (arrival[1:] > arrival[angiogram.hepatic.parent[1:]]).all()


def test_pixels_shrink_as_the_picture_grows(angiogram: dsa.Angiogram) -> None:
    assert SHAPES["full"] == (788, 1021)
    assert angiogram.shape == SHAPES["small"]
    assert angiogram.imager_spacing_mm == pytest.approx(0.308 * 1021 / 510, abs=1e-4)
    assert angiogram.pixel_spacing_mm == pytest.approx(angiogram.imager_spacing_mm * 740 / 1100, abs=1e-4)


def test_the_liver_takes_its_share_of_the_picture_at_any_resolution() -> None:
    shares = [render(7, shape).anatomy.liver.mean() for shape in (TINY, (197, 255))]
    assert shares[0] == pytest.approx(shares[1], rel=0.35)
    assert all(0.2 < share < 0.5 for share in shares)


def test_an_unknown_size_and_a_negative_seed_are_refused() -> None:
    with pytest.raises(BadInputError, match="size"):
        dsa.base(0, size="huge")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="seed"):
        dsa.base(-1)
