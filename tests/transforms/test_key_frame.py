import numpy as np
import pytest
import torch

from hepatic.errors import BadInputError
from hepatic.geometry import grid_from_parts
from hepatic.io.image import Cine, Labelmap, Volume
from hepatic.transforms.key_frame import select_key_frame
from hepatic.transforms.key_frame_labelmap import KeyFrameLabelmap
from hepatic.transforms.key_frame_window import KeyFrameWindow
from hepatic.transforms.key_frames import LabelledKeyFrames
from hepatic.transforms.label_target import KeyFrameTarget
from hepatic.transforms.normalise_dsa import NormaliseDSA
from hepatic.transforms.resize import ResizeTo


def cine(frames, **facts):
    frames = np.asarray(frames)
    count, height, width = frames.shape
    grid = grid_from_parts((width, height, count), (0.5, 0.5, 1.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    return Cine(frames, None, None, grid, modality="XA", **facts)


def run(levels):
    """Frames of one grey level each."""
    return np.stack([np.full((4, 6), level, np.uint8) for level in levels])


def sample(source, **more):
    return {"source": source, "options": {"key_frame": -1}, **more}


def test_the_key_frame_is_where_the_picture_rests():
    assert select_key_frame(run([0, 10, 20, 30, 40, 41, 42, 60, 80, 100])) == 5


def test_only_interior_frames_of_the_last_fifteen_are_candidates():
    still_early = [50] * 6 + list(range(50, 200, 10))
    assert len(still_early) == 21
    still_early[-4:] = [180, 181, 182, 199]
    assert select_key_frame(run(still_early)) in (18, 19)


def test_differences_are_absolute_so_a_flicker_is_not_a_rest():
    flicker = [0, 100, 0, 100, 0, 50, 55, 60, 110]
    assert select_key_frame(run(flicker)) == 6


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 1), (3, 1)])
def test_a_run_too_short_to_rest_gives_its_last_or_only_interior_frame(count, expected):
    assert select_key_frame(run(range(count))) == expected


def test_unsigned_frames_do_not_wrap_around():
    assert select_key_frame(run([200, 10, 11, 12, 200])) == 2


def test_the_window_ends_with_the_key_frame_and_repeats_the_first_frame_before_the_run():
    prepared = KeyFrameWindow(before=4)(NormaliseDSA()({**sample(cine(run([150, 100, 50, 0]))), "key_frame": 2}))
    assert prepared["image"].shape == (5, 4, 6)
    assert prepared["image"][:, 0, 0].tolist() == [0, 0, 0, -1, -2]
    assert prepared["facts"] == {"key_frame": 2, "key_frame_chosen_by": "reader"}


def test_a_key_frame_the_run_does_not_have_is_refused_with_the_frames_it_has():
    with pytest.raises(BadInputError, match=r"a frame from 0 to 3.*found 4"):
        KeyFrameWindow(before=0)(NormaliseDSA()({**sample(cine(run([1, 2, 3, 4]))), "key_frame": 4}))


def test_an_unsubtracted_run_becomes_the_subtracted_one():
    live = np.stack([np.full((4, 6), v, np.uint16) for v in (3000, 3000, 2900, 2800)])
    frames = NormaliseDSA()(sample(cine(live, bits_stored=12, mask_frames=(0, 1))))["frames"]([0, 2, 3])
    assert frames[0].max() == 0
    assert frames[2, 0, 0] == pytest.approx(2 * frames[1, 0, 0])
    assert frames[1, 0, 0] < -0.5


def test_a_volume_is_no_run():
    grid = cine(run([1])).grid
    with pytest.raises(BadInputError, match="a run of grey frames"):
        NormaliseDSA()({"source": Volume(np.zeros((1, 4, 6)), grid), "options": {}})


def test_every_labelled_frame_up_to_three_is_trained_on():
    label = np.zeros((8, 4, 6), np.uint8)
    label[3:7, 1, 1] = 1
    source = cine(run(range(8)))
    expanded = list(LabelledKeyFrames()({"source": source, "label": Labelmap(label, source.grid)}))
    assert [s["key_frame"] for s in expanded] == [3, 4, 5]


def test_an_empty_label_says_no_tumour_on_the_key_frame():
    source = cine(run([0, 10, 20, 21, 22, 40]))
    empty = Labelmap(np.zeros((6, 4, 6), np.uint8), source.grid)
    assert [s["key_frame"] for s in LabelledKeyFrames()({"source": source, "label": empty})] == [3]


def test_targets_follow_names_not_values_and_the_liver_contains_its_tumours():
    label = np.zeros((2, 4, 6), np.uint8)
    label[1, 0, 0], label[1, 0, 1] = 7, 3
    source = cine(run([0, 1]))
    given = {"label": Labelmap(label, source.grid, {"tumour": 7, "liver": 3}), "facts": {"key_frame": 1}}
    out = KeyFrameTarget(("tumour", "liver"), includes=((1, 0),))(given)
    assert out["target"][0].nonzero().tolist() == [[0, 0]]
    assert out["target"][1].nonzero().tolist() == [[0, 0], [0, 1]]
    assert out["known"].tolist() == [1, 1]


def known(array, names):
    source = cine(run([0, 1]))
    given = {"label": Labelmap(array, source.grid, names), "facts": {"key_frame": 1}}
    return KeyFrameTarget(("tumour", "liver"), includes=((1, 0),))(given)["known"].tolist()


def drawn(value):
    label = np.zeros((2, 4, 6), np.uint8)
    label[1, 0, 0] = value
    return label


def test_a_structure_that_is_named_but_was_not_drawn_is_unknown_not_absent():
    assert known(drawn(1), {"tumour": 1, "liver": 2}) == [1, 0]
    assert known(drawn(1), {}) == [1, 0]


def test_a_liver_drawn_alone_under_its_name_says_nothing_about_tumours():
    assert known(drawn(2), {"liver": 2}) == [0, 1]


def test_a_liver_drawn_beside_an_empty_tumour_segment_says_there_is_none():
    assert known(drawn(2), {"tumour": 1, "liver": 2}) == [1, 1]


def test_an_empty_label_says_there_is_no_tumour_and_nothing_about_the_liver():
    assert known(drawn(0), {"tumour": 1, "liver": 2}) == [1, 0]


def test_a_label_with_foreign_names_only_is_refused_with_the_names_it_should_have():
    with pytest.raises(BadInputError, match=r"segments named tumour or liver.*tumor"):
        known(drawn(1), {"tumor": 1})


def test_a_stray_stroke_on_another_frame_is_no_labelled_frame():
    label = np.zeros((8, 4, 6), np.uint8)
    label[5:8], label[2, 0, 0] = 1, 1
    source = cine(run(range(8)))
    expanded = list(LabelledKeyFrames()({"source": source, "label": Labelmap(label, source.grid)}))
    assert [s["key_frame"] for s in expanded] == [5, 6, 7]


def test_resizing_averages_pictures_and_halves_masks():
    out = ResizeTo(2, 3)({"image": torch.arange(24.0).reshape(1, 4, 6), "target": torch.eye(6)[None, :4]})
    assert out["image"][0, 0, 0] == pytest.approx((0 + 1 + 6 + 7) / 4)
    assert out["target"].unique().tolist() == [0, 1]


def test_the_labelmap_holds_the_key_frame_alone_and_the_tumour_lies_over_the_liver():
    source = cine(np.zeros((5, 40, 60), np.uint8))
    probabilities = torch.zeros(2, 20, 30)
    probabilities[1, 4:16, 5:25] = 0.9
    probabilities[0, 8:12, 10:15] = 0.8
    given = {"source": source, "facts": {"key_frame": 3}, "probabilities": probabilities}
    labelmap = KeyFrameLabelmap(smallest_px=30)(given)["labelmap"]
    assert labelmap.shape == (5, 40, 60)
    assert [int(frame.max()) for frame in labelmap] == [0, 0, 0, 2, 0]
    assert labelmap[3, 20, 25] == 1
    assert labelmap[3, 10, 12] == 2


def test_specks_smaller_than_the_smallest_tumour_are_dropped():
    source = cine(np.zeros((1, 394, 510), np.uint8))
    probabilities = torch.zeros(1, 394, 510)
    probabilities[0, 10:12, 10:12] = 0.9
    probabilities[0, 100:110, 100:110] = 0.9
    given = {"source": source, "facts": {"key_frame": 0}, "probabilities": probabilities}
    labelmap = KeyFrameLabelmap()(given)["labelmap"]
    assert labelmap[0, 10, 10] == 0
    assert labelmap[0, 105, 105] == 1
