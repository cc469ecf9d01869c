"""Ultrasound pictures and contrast cines on their way to the networks, on simulated patients whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from benchmarks import ceus_plane
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.image import Cine
from hepatic.io.ultrasound import Ultrasound
from hepatic.io.us_region import Region
from hepatic.transforms.contrast_clip import SAMPLED_S, ContrastClip, followed_beside, nearest
from hepatic.transforms.echo_onset import first_echo, onset_of
from hepatic.transforms.us_frame import UltrasoundFrame
from hepatic.transforms.us_lesion import UltrasoundLesion
from hepatic.transforms.us_picture import UltrasoundPicture, normalised
from sample_data import ceus, us
from sample_data.ceus.motion import Motion
from sample_data.ceus.show import Style, screen_of
from sample_data.us.screen import TOP
from server.cases.warnings import warnings_of


def screen(frames, times_s=None):
    """Frames (F, h, w) on a black screen, 20 rows and 30 columns from its corner."""
    shown = np.pad(frames, ((0, 0), (20, 10), (30, 30)))
    grid = Grid((shown.shape[2], shown.shape[1], len(shown)), np.eye(4))
    times = None if times_s is None else np.asarray(times_s, np.float64) * 1000
    return Cine(shown, times, None, grid, modality="US")


@pytest.fixture(scope="module")
def still():
    return us.simulate(7, kind="cyst", size="tiny")


@pytest.fixture(scope="module")
def cine():
    times_s = np.concatenate([np.arange(0.0, 80.0, 1.0), [90.0, 120.0, 150.0, 180.0, 210.0]])
    return ceus.simulate(3, times_s, size="tiny")


def test_the_frame_is_cut_out_of_the_screen_and_boxes_move_with_it(still):
    x, y, u, v = still.boxes[0]
    box = (y + 20, x + 30, v + 21, u + 31)
    sample = UltrasoundFrame()({"source": screen(still.grey[None]), "boxes": [box]})
    top, left, bottom, right = sample["facts"]["region"]
    assert 20 <= top < 40
    assert left >= 30
    assert sample["picture"].shape == (bottom - top, right - left)
    (moved,) = sample["boxes"]
    assert moved == pytest.approx(np.array(box) - (top, left, top, left))


def test_a_frame_that_is_not_there_is_refused(still):
    with pytest.raises(BadInputError, match="0 to 0"):
        UltrasoundFrame()({"source": screen(still.grey[None]), "options": {"frame": 1}})
    with pytest.raises(BadInputError, match="black"):
        UltrasoundFrame()({"source": screen(np.zeros_like(still.grey)[None])})


def test_equation_1_brings_the_tissue_on_top_to_70():
    rng = np.random.default_rng(0)
    picture = rng.integers(80, 120, (100, 90)).astype(np.uint8)
    picture[:, :20] = 0
    shown = normalised(picture)
    assert np.median(shown[:20][picture[:20] > 10]) == pytest.approx(70)
    assert shown == pytest.approx(picture * (70 / np.median(picture[:20, 20:])))
    np.testing.assert_array_equal(normalised(np.zeros((50, 50), np.uint8)), 0)


@pytest.mark.parametrize("size", [(240, 345), (480, 690), (120, 172)])
def test_the_mask_lies_on_the_lesion_in_every_size(still, size):
    x, y, u, v = still.boxes[0]
    sample = UltrasoundFrame()({"source": screen(still.grey[None]), "boxes": [(y + 20, x + 30, v + 21, u + 31)]})
    prepared = UltrasoundPicture(*size)(sample)
    assert prepared["image"].shape == (3, *size)
    assert prepared["mask"].shape == (1, *size)
    inside = prepared["image"][0][prepared["mask"][0] > 0].mean()
    around = torch.nn.functional.max_pool2d(prepared["mask"], 41, 1, 20)[0] - prepared["mask"][0]
    assert inside < prepared["image"][0][around > 0].mean()  # a cyst is darker than what is round it


def test_the_region_of_interest_is_asked_for_or_labelled_or_everything(still):
    x, y, u, v = still.boxes[0]
    source = screen(still.grey[None])
    framed = UltrasoundFrame()({"source": source, "boxes": [(y + 20, x + 30, v + 21, u + 31)]})
    roi = f"{x + 30},{y + 20},{u + 31},{v + 21}"
    told = UltrasoundLesion(32)(UltrasoundFrame()({"source": source, "options": {"roi": roi}}))
    labelled, whole = UltrasoundLesion(32)(framed), UltrasoundLesion(32)({**framed, "boxes": []})
    assert [one["facts"]["roi_from"] for one in (told, labelled, whole)] == ["roi", "label", "whole image"]
    torch.testing.assert_close(told["image"], labelled["image"])
    assert told["facts"]["roi"] == pytest.approx([x + 30, y + 20, u + 31, v + 21])
    assert told["image"][:, 12:20, 12:20].mean() < told["image"][:, :4].mean() - 0.3  # a cyst in its surroundings
    for wrong in ("5", "a,b,c,d", "9999,9999,10000,10000", "50,50,50,50", "nan,0,9,9"):
        with pytest.raises(BadInputError, match="left,top,right,bottom"):
            UltrasoundLesion(32)(UltrasoundFrame()({"source": source, "options": {"roi": wrong}}))


def test_the_clip_begins_with_the_echo_and_is_sampled_as_in_the_paper(cine):
    sample = ContrastClip()({"source": screen(cine.contrast, cine.times_s), "boxes": lesion(cine)})
    assert sample["image"].shape == (1, 30, 64, 64)
    facts = sample["facts"]
    assert facts["onset_s"] == pytest.approx(cine.patient.arrival_s, abs=4)
    assert (facts["replaced_frames"], facts["missing_frames"], facts["roi_from"]) == (0, 0, "label")
    assert len(SAMPLED_S) == 30
    assert SAMPLED_S[24:26] == (48.0, 60.0)
    brightness = sample["image"][0].mean(dim=(1, 2))
    assert brightness[5:12].mean() > brightness[0] + 0.1


@pytest.mark.parametrize("is_declared", [True, False])
def test_a_box_drawn_on_one_of_two_images_side_by_side_is_carried_to_the_other(cine, is_declared):
    shown = screen_of(cine, Style(colour=True, side_by_side=True, even=False), patient_id="P1")
    frames = shown.pixels
    grid = Grid((frames.shape[2], frames.shape[1], len(frames)), np.eye(4))
    boxes = [(one.box[1], one.box[0], one.box[3] + 1, one.box[2] + 1) for one in shown.regions]
    regions = tuple(Region(box, (1.0, 1.0)) for box in boxes) if is_declared else ()
    source = Cine(frames, cine.times_s * 1000, None, grid, modality="US", regions=regions)
    off = 0 if is_declared else 2.0  # pixels, by which fans that are found by what is lit may differ
    left, right = (one.box[0] for one in shown.regions)
    x, y, u, v = (edge + corner for edge, corner in zip(cine.boxes[0], (left, TOP) * 2, strict=True))
    on_contrast = np.array([[y, x, v + 1, u + 1]])
    on_tissue = on_contrast + np.array([0, right - left] * 2)

    clip = ContrastClip(32)
    drawn, carried = (clip({"source": source, "boxes": box}) for box in (on_contrast, on_tissue))
    assert carried["facts"]["roi"] == pytest.approx(on_contrast[0][[1, 0, 3, 2]], abs=off)
    asked = clip({"source": source, "options": {"roi": ",".join(map(str, on_tissue[0][[1, 0, 3, 2]]))}})
    torch.testing.assert_close(asked["image"], carried["image"])
    if is_declared:
        torch.testing.assert_close(carried["image"], drawn["image"])

    trained = [UltrasoundFrame()({"source": source, "boxes": boxes}) for boxes in (on_tissue, on_contrast)]
    assert trained[1]["boxes"] == pytest.approx(trained[0]["boxes"], abs=off)
    assert UltrasoundPicture(120, 172)(trained[1])["mask"].any()
    roi = ",".join(map(str, on_contrast[0][[1, 0, 3, 2]]))
    lesion = UltrasoundLesion(32)(UltrasoundFrame()({"source": source, "options": {"roi": roi}}))
    assert lesion["facts"]["roi"] == pytest.approx(on_tissue[0][[1, 0, 3, 2]], abs=off)


def test_a_label_that_is_nowhere_on_the_image_is_refused_and_not_learnt_as_the_whole_image(cine, still):
    on_still = (120.0, 130.0, 150.0, 170.0)
    shown = (
        (UltrasoundFrame(), screen(still.grey[None]), on_still),
        (ContrastClip(32), screen(cine.contrast, cine.times_s), lesion(cine)[0]),
    )
    for transform, source, box in shown:
        beside = (box[0], 9000.0, box[2], 9040.0)
        assert "facts" in transform({"source": source, "boxes": [beside, box]})
        with pytest.raises(BadInputError, match="Draw the lesion on the image"):
            transform({"source": source, "boxes": [beside]})


def lesion(cine):
    top, left, bottom, right = np.array(cine.boxes[0])[[1, 0, 3, 2]] + (20, 30, 21, 31)
    return [(top, left, bottom, right)]


def test_frames_out_of_the_plane_are_told_by_the_image_beside_and_replaced_by_the_nearest(cine):
    """Benchmark ``ceus_plane`` counts how often; here another liver is seen for four seconds."""
    in_plane = np.ones(len(cine.times_s), bool)
    in_plane[30:34] = False
    left = replace(
        cine, motion=Motion(cine.motion.shifts_mm, in_plane), aside=ceus.simulate(4, [0.0], size="tiny").tissue
    )
    counted = [ceus_plane.measure(left, Style(True, side_by_side, even=False)) for side_by_side in (True, False)]
    assert counted == [
        {"away": 2, "found": 2, "there": 28, "wrong": 0},
        {"away": 2, "found": 0, "there": 28, "wrong": 0},
    ]


@pytest.mark.parametrize("top", [60, 75, 85, 110])
def test_a_shift_is_the_same_where_the_image_beside_cuts_the_box_or_does_not_show_it(top):
    """The B-mode image of one scale ends at row 125 of 200; the lesion moves by 8 pixels."""
    rough = np.random.default_rng(0).standard_normal((200, 200))
    speckle = ndimage.gaussian_filter(rough, 2)
    plane = np.uint8(120 + 30 * np.clip(speckle / speckle.std(), -3, 3))
    moved = np.stack([np.roll(plane, 2 * min(number, 4), axis=0) for number in range(8)])
    shown = np.zeros((8, 200, 400, 3), np.uint8)
    shown[:, :, :200] = moved[..., None] * np.array([1.0, 0.6, 0.1])
    shown[:, :125, 200:] = moved[:, :125, :, None]
    regions = Region((0, 0, 200, 200), (0.3, 0.3)), Region((0, 200, 125, 400), (0.3, 0.3))
    source = Ultrasound.of(Cine(shown, None, None, Grid((400, 200, 8), np.eye(4)), modality="US", regions=regions))
    assert (source.contrast, source.tissue) == regions
    shifts, lost = followed_beside(source, regions[0], (top, 50, top + 40, 90), np.arange(8), margin=0.1)
    assert not lost.any()
    assert np.abs(shifts[-1] - (8, 0)).max() <= 1.5


def test_frames_of_a_lifted_probe_are_replaced_by_the_nearest_and_told(cine):
    clip, box, times_s = ContrastClip(32), {"boxes": lesion(cine)}, cine.times_s
    onset = clip({"source": screen(cine.contrast, times_s), **box})["facts"]["frame"]
    first, second = (onset + round(SAMPLED_S[number]) for number in (9, 10))
    frames = cine.contrast.copy()
    for number in (first, second):
        frames[number] = np.random.default_rng(1).integers(0, 60, frames[number].shape)
    made = clip({"source": screen(frames, times_s), **box})
    assert made["facts"]["replaced_frames"] == 2
    assert made["facts"]["time_intensity"]["replaced"] == [18.0, 20.0]
    torch.testing.assert_close(made["image"][0, 9], made["image"][0, 8])
    torch.testing.assert_close(made["image"][0, 10], made["image"][0, 11])
    assert not torch.equal(made["image"][0, 8], made["image"][0, 11])


def test_a_cine_with_unequal_times_is_sampled_by_them_and_its_end_stands_for_what_is_missing(cine):
    keep = np.r_[0:20, 20:40:3, 40:60:5]
    short = screen(cine.contrast[keep], cine.times_s[keep])
    sample = ContrastClip()({"source": short, "boxes": lesion(cine)})
    assert sample["facts"]["missing_frames"] > 5
    torch.testing.assert_close(sample["image"][0, -1], sample["image"][0, -2])


def test_a_long_cine_and_one_of_two_frames_are_taken(cine):
    times = np.linspace(0, 200, 400)
    long = screen(cine.contrast[nearest(cine.times_s, times)], times)
    assert ContrastClip()({"source": long, "boxes": lesion(cine)})["image"].shape == (1, 30, 64, 64)
    assert ContrastClip()({"source": screen(cine.contrast[30:32], [0, 1])})["facts"]["missing_frames"] > 20


def test_what_is_no_cine_or_tells_no_times_is_refused(cine):
    with pytest.raises(BadInputError, match="a single frame"):
        ContrastClip()({"source": screen(cine.contrast[:1], [0.0])})
    untimed = screen(cine.contrast)
    with pytest.raises(BadInputError, match=r"one entry per frame.*frame_seconds"):
        ContrastClip()({"source": untimed})
    told = ContrastClip()({"source": untimed, "options": {"frame_seconds": 1.0}, "boxes": lesion(cine)})
    assert told["facts"]["timing"] == "option"
    with pytest.raises(BadInputError, match="ultrasound"):
        ContrastClip()({"source": replace(untimed, modality="XA")})


def test_a_cine_in_which_no_echo_begins_says_so_and_a_black_one_is_refused(cine):
    """The onset may lie before the cine, whose washout is then worth looking at."""
    clip, times, box = ContrastClip(32), np.arange(30.0), {"boxes": lesion(cine)}
    still = np.repeat(cine.bmode[:1], 30, axis=0)
    late = cine.contrast[60:90], cine.times_s[60:90]
    seen = [
        clip({"source": screen(*one), **box})["facts"] for one in ((still, times), late, (cine.contrast, cine.times_s))
    ]
    assert [(one["onset"], one["frame"] == 0) for one in seen] == [("none", True), ("none", True), ("seen", False)]
    with pytest.raises(BadInputError, match="black frames"):
        clip({"source": screen(np.zeros_like(still), times), **box})


def test_where_no_box_is_drawn_the_onset_is_that_of_what_is_brightest(cine):
    began_s = cine.patient.arrival_s
    at = {
        cine.times_s[first_echo(cine.contrast)],
        ContrastClip()({"source": screen(cine.contrast, cine.times_s)})["facts"]["onset_s"],
    }
    assert 0 <= min(at) - began_s <= max(at) - began_s < 5
    assert cine.times_s[onset_of(cine.contrast.mean(axis=(1, 2)))] - began_s > 7, "the liver is seen later"
    assert first_echo(np.repeat(cine.bmode[:1], 30, axis=0)) == 0


def test_the_onset_is_that_of_the_last_rise_before_the_peak():
    quiet, rise = np.full(10, 3.0), np.linspace(3, 60, 10)
    curve = np.concatenate([quiet, rise, np.linspace(60, 30, 40)])
    assert 10 <= onset_of(curve) <= 13
    curve[4] = 40.0  # a jerk of the probe
    assert 10 <= onset_of(curve) <= 13
    assert onset_of(np.full(20, 5.0)) == 0
    assert onset_of(np.linspace(60, 20, 30)) == 0
    begun = np.concatenate([np.full(10, 48.0), np.full(30, 66.0), np.linspace(66, 40, 20)])
    assert onset_of(begun) == 0, "a rise from what is bright already is no onset"


def test_a_box_is_followed_from_the_frame_on_which_it_was_drawn_to_the_onset(cine):
    """The picture drifts by 8 columns in a minute, beside the patient's breathing."""
    drift = np.minimum(np.arange(len(cine.times_s)), 60) // 7.5
    drifting = [np.roll(one, int(by), axis=1) for one, by in zip(cine.contrast, drift, strict=True)]
    source, clip = screen(np.stack(drifting), cine.times_s), ContrastClip(32)
    drifts = np.stack([drift * 0, drift], axis=1)
    true = np.array(cine.boxes)[:, [1, 0, 3, 2]] + (20, 30, 21, 31) + np.tile(drifts, 2)

    def cut(frame, **more):
        return clip({"source": source, "boxes": [tuple(true[frame])], **more})

    onset = cut(20)["facts"]["frame"]
    at_onset = cut(onset)
    for span in ((onset, onset + 1), (0.0, np.inf), (2, onset + 5)):
        same = cut(onset, boxes_frames=[span])
        assert torch.equal(same["image"], at_onset["image"]), "what boxes on the onset have taught stays true"
        assert same["facts"] == at_onset["facts"]
    assert (at_onset["facts"]["roi_frame"], at_onset["facts"]["roi_lost"]) == (onset, False)

    late, ultrasound = 70, Ultrasound.of(source)
    (region,) = ultrasound.regions
    box, chosen = true[late] - np.tile(region.box[:2], 2), nearest(cine.times_s, onset + np.array(SAMPLED_S))
    moved = (true[chosen] - true[late])[:, :2]
    off = {
        drawn: np.hypot(*(followed_beside(ultrasound, region, box, chosen, margin=0.1, drawn=drawn)[0] - moved).T)
        for drawn in (late, None)
    }
    assert np.median(off[late]) < 2 < 4 < np.median(off[None]), "pixels"

    followed = cut(late, boxes_frames=[(late, late + 1)])
    assert followed["facts"]["roi_frame"] == late
    x, y, u, v = followed["facts"]["roi"]
    asked = {"roi": f"{x},{y},{u},{v}", "roi_frame": late}
    assert torch.equal(clip({"source": source, "options": asked})["image"], followed["image"])
    with pytest.raises(BadInputError, match=f"-1 to {len(cine.times_s) - 1}"):
        clip({"source": source, "options": {**asked, "roi_frame": len(cine.times_s)}})


def test_a_box_that_cannot_be_followed_to_the_onset_is_told(cine):
    frames, times_s = cine.contrast.copy(), cine.times_s
    box = {"boxes": lesion(cine)}
    onset = ContrastClip(32)({"source": screen(frames, times_s), **box})["facts"]["frame"]
    top, left, bottom, right = (round(edge) for edge in np.array(box["boxes"][0]) - (20, 30, 20, 30))
    lesion_then = frames[onset, top:bottom, left:right].copy()
    frames[onset] = 255 - frames[onset + 30]
    frames[onset, top:bottom, left:right] = lesion_then
    late = {"boxes_frames": [(onset + 30, onset + 31)]}
    facts = ContrastClip(32)({"source": screen(frames, times_s), **box, **late})["facts"]
    assert (facts["frame"], facts["roi_lost"]) == (onset, True)
    assert any("Draw the box there" in told for told in warnings_of(facts, absent=None))
