"""Pictures of candidates: right place, right scale, right way round, and what is missing is said."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hepatic.boxes import from_voxels, to_voxels
from hepatic.errors import NotFoundError
from hepatic.geometry import Grid
from hepatic.harvest.layout import View, lay_out
from hepatic.harvest.pictures import STACK_SLICES, Pictures, lay_out_stack
from hepatic.harvest.render import draw_card
from hepatic.harvest.study import Candidate, Phase, PhaseVolume, PreparedStudy, ProposedStudy
from hepatic.harvest.window import WINDOWS, greys, liver_levels

SIZE, SPACING, ORIGIN = (90, 70, 24), (2.0, 2.0, 5.0), (-80.0, -60.0, 300.0)
WINDOW = WINDOWS["soft"]
BALL = (slice(10, 14), slice(20, 30), slice(60, 75))
"""Slices, rows and columns that are bright."""


def grid(flip=(1, 1, 1), spacing=SPACING):
    """The same voxels in the patient, whichever way the index runs."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = ORIGIN
    for axis, sign in enumerate(flip):
        if sign < 0:
            affine[axis, axis] *= -1
            affine[axis, 3] += spacing[axis] * (SIZE[axis] - 1)
    return Grid(SIZE, affine)


def prepared(phases=tuple(Phase), *, on=None, hu=None):
    """Liver of 60 HU everywhere, and a bright box in every phase."""
    on = on or grid()
    if hu is None:
        hu = np.full(on.shape, 60, np.int16)
        hu[BALL] = 240
    volumes = {phase: PhaseVolume(phase, f"series-{phase}", hu, "tags", "none") for phase in phases}
    return PreparedStudy("1.2.3", "P1", Phase.VENOUS, on, volumes, np.ones(on.shape, bool), content="abc")


def candidate(on=None, uid="2.25.7"):
    k, j, i = BALL
    box = from_voxels([[k.start, j.start, i.start, k.stop, j.stop, i.stop]], on or grid())[0]
    return Candidate(uid, tuple(box.tolist()), 0.83, (), "ct_centernet3d", "f" * 64, 12)


def drawn(study, of, window=WINDOW):
    layout = lay_out(study, of)
    picture = Image.open(io.BytesIO(draw_card(study, layout, window, liver_levels(study))))
    assert picture.mode == "L"
    return np.asarray(picture), layout


def tile(picture, layout, phase, column):
    side, row = layout.tile_px, layout.phases.index(phase)
    return picture[row * side : (row + 1) * side, column * side : (column + 1) * side]


def bright(pixels):
    """Left, top, right and bottom of what is bright."""
    rows, columns = np.nonzero(pixels > 200)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_every_phase_is_drawn_at_one_place_and_scale_and_the_box_lies_round_the_lesion():
    picture, layout = drawn(prepared(), candidate())
    assert picture.shape[::-1] == layout.size_px
    for phase in Phase:
        key = tile(picture, layout, phase, layout.key)
        assert bright(key) == pytest.approx(layout.box, abs=2)
    left, top, right, bottom = layout.box
    assert ((right - left) * layout.mm_per_px, (bottom - top) * layout.mm_per_px) == pytest.approx((30, 20))


def test_pixels_are_square_in_millimetres_where_voxels_are_not():
    on = grid(spacing=(1.0, 3.0, 5.0))
    picture, layout = drawn(prepared(on=on), candidate(on))
    left, top, right, bottom = bright(tile(picture, layout, Phase.VENOUS, layout.key))
    assert (right - left) / (bottom - top) == pytest.approx(15 * 1.0 / (10 * 3.0), rel=0.15)


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1)])
def test_the_right_side_is_on_the_left_and_the_front_at_the_top_whichever_way_the_index_runs(flip):
    hu = prepared().phases[Phase.VENOUS].hu
    on = grid(flip)
    same = np.ascontiguousarray(hu[:: flip[2], :: flip[1], :: flip[0]])
    straight, first = drawn(prepared(), candidate())
    box = candidate().box
    (k0, _, _, k1, _, _), *_ = to_voxels([box], on)
    turned, layout = drawn(prepared(on=on, hu=same), replace(candidate(), box=box, key_slice=int((k0 + k1) // 2)))
    assert (layout.left, layout.top) == ("R", "A")
    assert layout.box == pytest.approx(first.box, abs=1e-6)
    key, other = (tile(*pair, Phase.NC, pair[1].key).astype(int) for pair in ((straight, first), (turned, layout)))
    assert np.abs(key - other).max() <= 1
    assert layout.offsets_mm[0] > 0 > layout.offsets_mm[-1]  # the head comes first


def test_a_phase_that_was_not_scanned_is_hatched_and_says_so():
    there = (Phase.NC, Phase.VENOUS, Phase.DELAYED)
    picture, layout = drawn(prepared(there), candidate())
    assert layout.missing == (Phase.ARTERIAL,)
    row = tile(picture, layout, Phase.ARTERIAL, layout.key)
    assert 0.05 < (row > 0).mean() < 0.5
    assert row[:, 40:150].max() > 120  # the words
    assert bright(tile(picture, layout, Phase.VENOUS, layout.key)) == pytest.approx(layout.box, abs=2)


def test_the_neighbours_reach_beyond_the_box_and_the_key_slice_is_where_the_layout_says():
    layout = lay_out(prepared(), candidate())
    assert layout.slices[layout.key] == 12
    assert layout.inside == (10, 13)
    assert min(layout.slices) < 10
    assert max(layout.slices) > 13


def test_a_candidate_at_the_edge_is_drawn_with_a_crop_that_stays_within_the_scan():
    at_edge = replace(candidate(), box=tuple(from_voxels([[0, 0, 0, 3, 8, 8]], grid())[0].tolist()), key_slice=0)
    picture, layout = drawn(prepared(), at_edge)
    assert layout.crop[:2] == (0, 0)
    assert layout.box[:2] == pytest.approx((0, 0), abs=1e-6)
    assert layout.slices == (4, 3, 2, 1, 0)
    assert picture.shape[1] == 5 * layout.tile_px


def test_the_locators_show_where_the_crop_lies_in_the_whole_slice():
    picture, layout = drawn(prepared(), candidate())
    below = picture[len(layout.phases) * layout.tile_px :]
    for number, locator in enumerate((layout.axial, layout.coronal)):
        small = below[:, number * layout.tile_px : (number + 1) * layout.tile_px]
        assert bright(small) == pytest.approx(locator["box"], abs=4)
        left, top, right, bottom = locator["crop"]
        assert left <= locator["box"][0] < locator["box"][2] <= right
        assert top <= locator["box"][1] < locator["box"][3] <= bottom


def test_windows_put_the_liver_of_each_phase_at_mid_grey_or_all_phases_on_one_scale():
    there = prepared()
    enhanced = replace(there.phases[Phase.VENOUS], hu=(there.phases[Phase.VENOUS].hu + 50).astype(np.int16))
    study = replace(there, phases={**there.phases, Phase.VENOUS: enhanced})
    alike, layout = drawn(study, candidate(), WINDOWS["liver"])
    corners = {phase: int(tile(alike, layout, phase, layout.key)[0, 0]) for phase in Phase}
    assert set(corners.values()) == {128}
    same, layout = drawn(study, candidate(), WINDOWS["same"])
    assert tile(same, layout, Phase.VENOUS, layout.key)[0, 0] > tile(same, layout, Phase.NC, layout.key)[0, 0] + 40


def test_greys_go_from_black_to_white_over_the_width():
    assert greys(np.array([-999, 10, 50, 90, 999]), level_hu=50, width_hu=80).tolist() == [0, 0, 128, 255, 255]


def proposed(*candidates):
    on = grid()
    rows = tuple(tuple(row) for row in on.affine.tolist())
    ids = {phase: f"series-{phase}" for phase in Phase}
    return ProposedStudy("1.2.3", "P1", Phase.VENOUS, ids, candidates, SIZE, rows, content="abc")


def pictures(**options):
    loaded = []

    def load(study):
        loaded.append(study.content)
        return prepared()

    def find(study):
        if study != "1.2.3":
            raise NotFoundError("the study", expected="a proposed one", came=study, fix="Propose it.")
        return [proposed(candidate(uid="2.25.6")), proposed(candidate())]

    return Pictures(find, load, **options), loaded


def test_a_study_is_loaded_once_for_all_its_pictures_and_its_layout_tells_no_score():
    shown, loaded = pictures()
    told = json.dumps(shown.layout("1.2.3"))
    shown.card("1.2.3", "2.25.7", "liver")
    shown.card("1.2.3", "2.25.6", "liver")  # of the model before
    shown.stack("1.2.3", "venous", "soft", 0)
    assert loaded == ["abc"]
    assert "0.83" not in told
    assert "ffff" not in told
    assert '"2.25.6": {' in told
    assert '"2.25.7": {' in told


def prepared_anew(kept):
    """A study whose grid is shorter at the lower end since it was prepared anew; what is kept of both preparations."""
    affine = grid().affine.copy()
    affine[2, 3] += 4 * SPACING[2]
    shorter = prepared(on=Grid((*SIZE[:2], SIZE[2] - 4), affine), hu=prepared().phases[Phase.VENOUS].hu[4:])
    both = {"abc": prepared(), "new": replace(shorter, content="new")}

    def load(study):
        if study.content not in kept:
            raise NotFoundError("prepared study", expected="it", came="none", fix="Propose the study again.")
        return both[study.content]

    later = replace(proposed(candidate(uid="2.25.8")), content="new", size=shorter.grid.size)
    return Pictures(lambda uid: [proposed(candidate()), later], load)


def key_slice_of(shown, content):
    """The picture of candidate 7's key slice in the venous phase, and what the layout tells."""
    layout = shown.layout("1.2.3", content)
    card = layout["cards"]["2.25.7"]
    picture = np.asarray(Image.open(io.BytesIO(shown.card("1.2.3", "2.25.7", "soft", content))))
    side, row = card["tile_px"], card["phases"].index("venous")
    return picture[row * side : (row + 1) * side, card["key"] * side : (card["key"] + 1) * side], layout["anew"]


def test_an_old_candidate_is_drawn_on_what_it_was_proposed_on_though_the_study_was_prepared_anew():
    shown = prepared_anew({"abc", "new"})
    assert list(shown.layout("1.2.3")["cards"]) == ["2.25.8"]
    before, anew = key_slice_of(shown, "abc")
    assert not anew
    after, anew = key_slice_of(prepared_anew({"new"}), "abc")
    assert anew, "what it was proposed on is gone"
    assert (before == after).all(), "the same place in the patient"
    assert (before > 200).any()
    with pytest.raises(NotFoundError):
        prepared_anew({"abc"}).layout("1.2.3")


@pytest.mark.parametrize(
    "asked",
    [
        lambda shown: shown.layout("1.2.3", "another"),
        lambda shown: shown.card("9.9", "2.25.7", "liver"),
        lambda shown: shown.card("1.2.3", "2.25.8", "liver"),
        lambda shown: shown.card("1.2.3", "2.25.7", "../etc"),
        lambda shown: shown.stack("1.2.3", "portal", "liver", 0),
        lambda shown: shown.stack("1.2.3", "venous", "liver", 24),
    ],
)
def test_what_is_not_there_is_not_found(asked):
    with pytest.raises(NotFoundError):
        asked(pictures()[0])


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_whole_slices_are_shown_where_the_liver_is(flip):
    study = prepared(on=grid(flip))
    liver = np.zeros(study.grid.shape, bool)
    liver[5:9, 20:40, 30:50] = True
    layout = lay_out_stack(replace(study, liver=liver[:: flip[2], :: flip[1], :: flip[0]]))
    scale = layout.size_px[0] / SIZE[0]
    assert layout.focus == pytest.approx([(30 - 7.5) * scale, (20 - 7.5) * scale, 57.5 * scale, 47.5 * scale], rel=0.01)
    nothing = lay_out_stack(replace(study, liver=np.zeros_like(liver)))
    assert nothing.focus == (0, 0, *nothing.size_px)


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_a_box_drawn_on_whole_slices_is_where_it_was_drawn(flip):
    on = grid(flip)
    hu = np.ascontiguousarray(prepared().phases[Phase.VENOUS].hu[:: flip[2], :: flip[1], :: flip[0]])
    study = prepared(on=on, hu=hu)
    shown = Pictures(lambda uid: [proposed()], lambda known: study)
    layout = lay_out_stack(study)
    width, height = layout.size_px
    pixels = np.concatenate(
        [
            np.asarray(Image.open(io.BytesIO(shown.stack("1.2.3", "venous", "soft", first))))
            for first in range(0, SIZE[2], STACK_SLICES)
        ]
    )
    slices = pixels.reshape(SIZE[2], height, width)
    lit = [k for k in range(SIZE[2]) if (slices[k] > 200).any()]
    left, top, right, bottom = bright(slices[lit[1]])
    corners = np.array([[left, top, lit[0], 1], [right, bottom, lit[-1] + 1, 1]]) @ np.array(layout.to_lps).T
    drawn_box = np.concatenate([corners[:, :3].min(axis=0), corners[:, :3].max(axis=0)])
    assert drawn_box == pytest.approx(candidate().box, abs=layout.mm_per_px * 2)
    assert View.of(on).left == "R"
