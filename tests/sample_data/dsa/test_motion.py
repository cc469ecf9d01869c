import numpy as np
import pytest

from sample_data.dsa.motion import Motion, draw_motion

SCALE = 0.5


@pytest.fixture(scope="module")
def motions() -> list[Motion]:
    return [draw_motion(4, SCALE, np.random.default_rng(seed)) for seed in range(200)]


def test_a_run_has_20_to_30_frames_at_1_9_to_2_3_per_second(motions: list[Motion]) -> None:
    assert {len(motion.times_s) for motion in motions} <= set(range(20, 31))
    assert all(1.9 <= 1000 / motion.frame_time_ms <= 2.3 + 1e-3 for motion in motions)
    assert all(6.0 <= motion.still_s <= 7.5 for motion in motions)


def test_the_breath_is_held_about_the_key_frame_and_ends_after_it(motions: list[Motion]) -> None:
    for motion in motions:
        held = np.abs(motion.times_s - motion.still_s) <= 0.6
        after = motion.times_s >= motion.still_s
        assert np.abs(np.diff(motion.down_px[held])).max() < 2.0 * SCALE
        assert np.ptp(motion.down_px[after]) > 0.8 * SCALE


def test_the_breath_slips_before_the_key_frame_in_half_of_the_runs(motions: list[Motion]) -> None:
    moved = [np.interp(motion.still_s, motion.times_s, motion.down_px) > 1.7 * SCALE for motion in motions]
    assert np.mean(moved) == pytest.approx(0.5, abs=0.12)


def test_there_are_frames_for_the_difference_before_and_the_labels_after(motions: list[Motion]) -> None:
    for motion in motions:
        still = round(motion.still_s * 1000 / motion.frame_time_ms)
        assert still >= 11
        assert still + 3 < len(motion.times_s) <= still + 14
