"""A lesion is followed by how it looks, and a frame that shows something else leaves no trace."""

import numpy as np
import pytest
from scipy import ndimage

from hepatic.transforms.follow_lesion import MOST_LOST, followed

BOX = (40, 50, 60, 74)
PLACES = np.stack([np.round(4 * np.sin(np.arange(16) / 2)), np.round(np.arange(16) / 3)], axis=1)


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


@pytest.mark.parametrize("away", [(7,), (5, 6, 7), (3, 9, 10), (14, 15)])
def test_frames_of_another_plane_are_lost_and_it_is_found_again(away):
    places, lost = followed(frames(away=away), BOX, margin=0.1, alike=0.85)
    assert tuple(np.flatnonzero(lost)) == away
    assert np.abs(places - PLACES)[~lost].max() <= 1.5


def test_a_look_that_changes_for_good_is_followed_on_and_nothing_is_lost():
    away = range(6, 6 + MOST_LOST + 1), range(6, 16)
    for one in away:
        _, lost = followed(frames(away=one), BOX, margin=0.1, alike=0.85)
        assert not lost[6 : 6 + MOST_LOST + 1].any()


def test_black_frames_are_lost_unless_nothing_was_seen_before():
    shown = frames()
    shown[5] = 0
    assert np.flatnonzero(followed(shown, BOX, margin=0.1, alike=0.85)[1]).tolist() == [5]
    shown[:5] = 0
    assert not followed(shown, BOX, margin=0.1, alike=0.85)[1].any()
