import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hepatic.errors import BadInputError
from hepatic.transforms.key_frame import select_key_frame
from sample_data import dsa
from sample_data.dsa.angiogram import render
from sample_data.dsa.run import FRAMES_BEFORE


def contrast(run: dsa.DSARun, inside: NDArray[np.bool_], frame: int) -> float:
    """How much darker a region is than the ring around it, in grey values."""
    near = ndimage.binary_dilation(inside, iterations=3)
    others = run.tumour[0] | run.confounder_a | run.confounder_b
    ring = ndimage.binary_dilation(near, iterations=8) & ~near & ~others & run.liver[0]
    picture = run.frames[frame].astype(np.float64)
    return float(picture[ring].mean() - picture[inside].mean())


def one_by_one(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    regions, count = ndimage.label(mask)
    return [regions == index for index in range(1, count + 1)]


def test_the_same_seed_gives_the_same_bytes(angiogram: dsa.Angiogram, run: dsa.DSARun) -> None:
    again = dsa.simulate(angiogram.seed)
    assert again.frames.tobytes() == run.frames.tobytes()
    assert again.live.tobytes() == run.live.tobytes()
    assert again.tumour.tobytes() == run.tumour.tobytes()
    assert again.tumours == run.tumours


def test_a_draw_leaves_the_angiogram_as_it_was(angiogram: dsa.Angiogram, run: dsa.DSARun) -> None:
    dsa.draw(angiogram, 1)
    assert dsa.draw(angiogram, 0).frames.tobytes() == run.frames.tobytes()


def test_another_draw_puts_other_lesions_into_the_same_patient(angiogram: dsa.Angiogram, run: dsa.DSARun) -> None:
    other = dsa.draw(angiogram, 1)
    assert (other.tumour[0] != run.tumour[0]).any()
    assert (other.frames[:2] == run.frames[:2]).all()  # before the contrast arrives


def test_the_arrays_agree_in_shape_and_type(run: dsa.DSARun) -> None:
    count = len(run.frames)
    assert 20 <= count <= 30
    assert run.frames.shape == run.live.shape == run.difference.shape == (count, 394, 510)
    assert (run.frames.dtype, run.live.dtype) == (np.uint8, np.uint16)
    assert run.tumour.shape == run.liver.shape == (3, 394, 510)
    assert run.confounder_a.shape == run.confounder_b.shape == (394, 510)
    assert run.frame_times_ms.shape == (count,)
    assert 1000 / 2.3 <= np.diff(run.frame_times_ms)[0] <= 1000 / 1.9


def test_the_key_frame_is_what_the_rule_of_paper_000_selects(run: dsa.DSARun) -> None:
    assert run.key_frame == select_key_frame(run.frames)


def test_the_key_frame_falls_on_the_full_stain_with_room_on_both_sides() -> None:
    times_s = []
    for seed in range(20, 30):
        run = dsa.draw(render(seed, (197, 255)))
        assert FRAMES_BEFORE + 2 <= run.key_frame <= len(run.frames) - 3  # k-9 is no mask frame
        times_s.append(run.frame_times_ms[run.key_frame] / 1000)
    assert 6.0 < np.median(times_s) < 7.5
    assert max(times_s) < 9


def test_a_tumour_is_described_as_its_mask_shows_it(run: dsa.DSARun) -> None:
    assert len(run.tumours) == len(one_by_one(run.tumour[0])) == 2
    for tumour in run.tumours:
        xmin, ymin, xmax, ymax = tumour.box_px
        inside = run.tumour[0, ymin : ymax + 1, xmin : xmax + 1]
        assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
        assert tumour.size_px == pytest.approx(2 * np.sqrt(inside.sum() / np.pi), abs=0.01)
        assert xmin < tumour.centre_px[0] < xmax
        assert ymin < tumour.centre_px[1] < ymax
        assert tumour.blood_supply == {"hyper": "rich", "hypo": "poor"}[tumour.kind]


def test_a_rich_tumour_fills_between_the_first_frame_used_and_the_key_frame(run: dsa.DSARun) -> None:
    assert {tumour.kind for tumour in run.tumours} == {"hyper"}
    for tumour in one_by_one(run.tumour[0]):
        early, key = (contrast(run, tumour, frame) for frame in (run.key_frame - FRAMES_BEFORE, run.key_frame))
        assert key > 12
        assert early < 0.35 * key


def test_a_poor_tumour_is_brighter_than_the_liver_around_it(angiogram: dsa.Angiogram) -> None:
    run = dsa.draw(angiogram, 4)
    (poor,) = (tumour for tumour in run.tumours if tumour.kind == "hypo")
    x, y = (round(value) for value in poor.centre_px)
    (inside,) = (region for region in one_by_one(run.tumour[0]) if region[y, x])
    assert contrast(run, ndimage.binary_erosion(inside, iterations=4), run.key_frame) < -2


def test_confounder_a_is_there_before_the_tumours_fill(run: dsa.DSARun) -> None:
    assert run.confounder_a.any()
    assert (run.confounder_a & run.liver[0]).sum() > 0.8 * run.confounder_a.sum()
    moved = np.roll(run.confounder_a, -6, axis=0)  # before the breath slips
    assert contrast(run, run.confounder_a, run.key_frame) > 8
    assert contrast(run, moved, run.key_frame - FRAMES_BEFORE) > 0.7 * contrast(run, run.confounder_a, run.key_frame)


def test_confounder_b_lies_outside_the_liver(run: dsa.DSARun) -> None:
    assert run.confounder_b.any()
    regions = one_by_one(run.confounder_b)
    centres = np.rint([ndimage.center_of_mass(region) for region in regions]).astype(int)
    assert not run.liver[0][tuple(centres.T)].any()


def test_without_confounders_the_tumours_are_the_same(angiogram: dsa.Angiogram, run: dsa.DSARun) -> None:
    bare = dsa.draw(angiogram, confounder_a=False, confounder_b=False)
    assert not bare.confounder_a.any()
    assert not bare.confounder_b.any()
    assert [tumour.size_px for tumour in bare.tumours] == pytest.approx([t.size_px for t in run.tumours], rel=0.03)
    assert (bare.frames != run.frames).any()


def test_labels_follow_the_breath(angiogram: dsa.Angiogram, run: dsa.DSARun) -> None:
    frames = np.arange(run.key_frame, run.key_frame + 3)
    lowest = [np.flatnonzero(liver.any(1)).max() for liver in (angiogram.anatomy.liver, *run.liver)]
    moved = np.array(lowest[1:]) - lowest[0]
    assert angiogram.motion.down_px[run.key_frame] > 5
    assert moved == pytest.approx(angiogram.motion.down_px[frames], abs=1)
    centres = [ndimage.center_of_mass(tumour)[0] for tumour in run.tumour]
    assert centres[2] - centres[0] == pytest.approx(
        np.diff(angiogram.motion.down_px[frames[::2]])[0], abs=0.6
    )  # whole pixels


def test_unsubtracted_less_its_mask_is_the_subtracted_picture(run: dsa.DSARun) -> None:
    live = run.live.astype(np.float64)
    inside = (run.closed < 1e-4) & (live.min(0) > 0) & (live.max(0) < 4095)
    again = np.clip(150 + (live - live[:2].mean(0)) / 2, 0, 255)
    assert inside.mean() > 0.9
    assert np.abs(again - run.frames)[:, inside].max() <= 1.3


def test_the_collimator_is_dark_in_both_pictures(run: dsa.DSARun) -> None:
    corner = (slice(None), slice(0, 2), slice(0, 2))
    assert run.frames[corner].max() < 12
    assert run.live[corner].max() < 60


def test_a_negative_draw_is_refused(angiogram: dsa.Angiogram) -> None:
    with pytest.raises(BadInputError, match="draw"):
        dsa.draw(angiogram, -1)
