"""A lesion is followed by how it looks, and a frame that shows something else leaves no trace."""

import numpy as np
import pytest
from scipy import ndimage

from hepatic.transforms.follow_lesion import _Patch, followed

BOX = (40, 50, 60, 74)
PLACES = np.stack([np.round(4 * np.sin(np.arange(30) / 2)), np.round(np.arange(30) / 6)], axis=1)


def plane(seed):
    """Speckle, smooth over a few pixels; other seeds are other planes."""
    rough = np.random.default_rng(seed).standard_normal((120, 140))
    smooth = ndimage.gaussian_filter(rough, 2)
    return 120 + 40 * smooth / smooth.std()


def frames(*, away=(), flicker=3.0):
    """The first plane as it moves, the second on frames ``away``."""
    rng = np.random.default_rng(7)
    shown = []
    for number, place in enumerate(PLACES):
        moved = np.roll(plane(1 if number in away else 0), tuple(place.astype(int)), axis=(0, 1))
        shown.append(moved + flicker * rng.standard_normal(moved.shape))
    return np.clip(shown, 0, 255).astype(np.uint8)


def test_it_is_followed_to_the_pixel():
    places, lost = followed(frames(), BOX, margin=0.1, alike=0.85)
    assert not lost.any()
    assert np.abs(places - PLACES).max() <= 1.5


def test_its_size_in_pixels_does_not_matter():
    large = np.stack([ndimage.zoom(frame, 3, order=1) for frame in frames()])
    places, lost = followed(large, np.array(BOX) * 3, margin=0.1, alike=0.85)
    assert not lost.any()
    assert np.abs(places / 3 - PLACES).max() <= 1.5


@pytest.mark.parametrize(
    "away", [(7,), (5, 6, 7), (3, 9, 10), (28, 29), tuple(range(1, 30, 3)), tuple(range(1, 30, 2))]
)
def test_frames_of_another_plane_are_lost_and_it_is_found_again(away):
    places, lost = followed(frames(away=away), BOX, margin=0.1, alike=0.85)
    assert tuple(np.flatnonzero(lost)) == away
    assert np.abs(places - PLACES)[~lost].max() <= 1.5


def test_a_look_that_changes_for_good_is_followed_on_and_nothing_is_lost():
    _, lost = followed(frames(away=range(6, 30)), BOX, margin=0.1, alike=0.85)
    assert not lost.any()


@pytest.mark.parametrize("away", [(), (7,)])
def test_a_small_lesion_that_flickers_is_lost_where_it_is_not_and_nowhere_else(away):
    _, lost = followed(frames(away=away, flicker=55.0), (50, 60, 58, 69), margin=0.1, alike=0.85)
    assert np.flatnonzero(lost).tolist() == list(away)


@pytest.mark.parametrize("away", [range(6, 10), range(3, 13), [*range(2, 6), *range(9, 14)]])
def test_a_lesion_that_comes_back_after_long_was_lost_all_the_while(away):
    places, lost = followed(frames(away=away), BOX, margin=0.1, alike=0.85)
    assert np.flatnonzero(lost).tolist() == list(away)
    assert np.abs(places - PLACES)[~lost].max() <= 1.5


@pytest.mark.parametrize("until", [12, 30])
def test_however_long_there_is_nothing_to_see_it_is_no_new_look(until):
    shown = frames()
    shown[6:until] = 0
    for margin, alike in ((0.1, 0.85), (2.0, 0.25)):
        assert np.flatnonzero(followed(shown, BOX, margin=margin, alike=alike)[1]).tolist() == list(range(6, until))


def test_a_box_of_less_than_a_pixel_costs_no_more_than_others():
    patch = _Patch((60.0, 70.0, 60.3, 70.3), 0.1, (768, 1024))
    assert max(patch.cut(np.zeros((768, 1024), np.uint8), np.zeros(2), patch.reach).shape) < 400


def test_black_frames_are_lost_unless_nothing_was_seen_before():
    shown = frames()
    shown[5] = 0
    assert np.flatnonzero(followed(shown, BOX, margin=0.1, alike=0.85)[1]).tolist() == [5]
    shown[:5] = 0
    assert not followed(shown, BOX, margin=0.1, alike=0.85)[1].any()
