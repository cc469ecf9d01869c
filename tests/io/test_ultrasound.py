"""Ultrasound pictures and cines, as scanners and phantoms store them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy import ndimage

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io import burnt_in, ultrasound
from hepatic.io.image import Cine, Volume
from hepatic.io.read import read
from hepatic.io.ultrasound import Ultrasound
from hepatic.io.us_fans import dilated, find_fans, opened
from hepatic.io.us_region import Region, carried
from sample_data import ceus, us
from sample_data.ceus.show import screen_of
from sample_data.truth import read_truth
from tests.io.conftest import US_CINE
from tests.io.test_dicom_cine import RUN, region

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
GRID = Grid((8, 8, 1), np.eye(4))


def cine_of(frames, **fields) -> Cine:
    return Cine(frames, None, None, GRID, modality="US", **fields)


@pytest.fixture(scope="module")
def side_by_side() -> ceus.Cine:
    return ceus.simulate(36, np.array([2.0, 14.0, 20.0, 40.0, 90.0]), label="non_hcc", size="tiny")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("us")


def test_a_region_has_a_place_and_a_scale(make_dicom) -> None:
    cine = read(make_dicom(RUN, sop_class=US_CINE, modality="US", SequenceOfUltrasoundRegions=[region()]))
    (one,) = cine.regions
    assert one == Region((5, 5, 50, 70), pytest.approx((0.5, 0.4)))
    assert cine.frames[:, *one.window].shape == (4, *one.size) == (4, 45, 65)


def test_regions_come_from_left_to_right_without_spectra_and_graphics(make_dicom) -> None:
    right = region(RegionLocationMinX0=40, PhysicalDeltaX=0.08, RegionDataType=2)
    left = region(RegionLocationMaxX1=39)
    items = [right, region(RegionSpatialFormat=3), region(RegionSpatialFormat=5), left]
    cine = read(make_dicom(RUN, sop_class=US_CINE, modality="US", SequenceOfUltrasoundRegions=items))
    assert [one.box[1::2] for one in cine.regions] == [(5, 40), (40, 70)]
    assert [one.content for one in cine.regions] == ["tissue", "colour flow"]
    assert [one.spacing_mm[1] for one in cine.regions] == pytest.approx([0.4, 0.8])
    assert cine.pixel_spacing_mm is None  # they do not agree


@pytest.mark.parametrize(
    "odd",
    [
        region(RegionLocationMinX0=200, RegionLocationMaxX1=300),
        region(RegionLocationMaxX1=2),
        region(RegionLocationMinX0=None),
    ],
    ids=["outside", "inside out", "without a border"],
)
def test_an_impossible_region_is_none(make_dicom, odd) -> None:
    assert read(make_dicom(RUN, sop_class=US_CINE, modality="US", SequenceOfUltrasoundRegions=[odd])).regions == ()


def test_boxes_are_carried_between_images_side_by_side_and_scaled() -> None:
    left, right = Region((10, 0, 110, 100), (0.5, 0.5)), Region((10, 100, 60, 150), (1.0, 1.0))
    lesion, elsewhere = (30.0, 20.0, 50.0, 40.0), (200.0, 0.0, 210.0, 10.0)
    there = carried([lesion, elsewhere], right, left)
    assert there.tolist() == [[20, 110, 30, 120], list(elsewhere)]
    assert carried(there, left, right).tolist() == [list(lesion), list(elsewhere)]
    assert carried([lesion], left, right).tolist() == [list(lesion)], "it lies there already"
    assert carried([lesion], right, None).tolist() == [list(lesion)]
    alike, found = Region((5, 100, 105, 200), None), Region((24, 110, 105, 198), None)
    assert carried([lesion], alike, left).tolist() == [[25, 120, 45, 140]]
    assert carried([lesion], found, left).tolist() == [[30, 124, 50, 144]], "the probe's side of a fan may be dark"
    assert carried([(10, 0, 110, 90)], Region((10, 100, 60, 130), (1.0, 1.0)), left).tolist() == [[10, 100, 60, 130]]
    assert carried([], right, left).shape == (0, 4)


def test_a_stale_region_is_clipped_and_its_scale_is_not_believed() -> None:
    """A real colour Doppler cine in YBR, JPEG, 30 frames, whose region is wider than its picture."""
    cine = read(FILES / "examples_ybr_color.dcm")
    assert all(one.is_stale and one.spacing_mm is None for one in cine.regions)
    assert all(one.box[3] <= 320 and one.box[2] <= 240 for one in cine.regions)
    shown = Ultrasound.of(cine)
    assert shown.grey.shape == (30, 240, 320)
    assert shown.rgb.shape == (30, 240, 320, 3)
    (one,) = shown.regions
    assert not one.is_stale
    assert one.spacing_mm is None
    assert one.size[0] * one.size[1] > 0.2 * 240 * 320


def test_a_real_palette_picture_is_read_in_colour_and_in_grey() -> None:
    shown = Ultrasound.of(read(FILES / "examples_palette.dcm"))
    assert shown.grey.ndim == 3
    assert np.ptp(shown.rgb[0].astype(int), axis=-1).max() > 40
    assert shown.times_s.tolist() == [0]


@pytest.mark.parametrize("name", ["examples_rgb_color.dcm", "examples_jpeg2k.dcm"])
def test_colour_doppler_is_no_contrast(name: str) -> None:
    """Real power Doppler pictures without regions: colours on a part of the picture."""
    shown = Ultrasound.of(read(FILES / name))
    assert shown.contrast is None
    assert shown.tissue is not None


def test_a_declared_box_of_colour_flow_in_b_mode_is_no_contrast() -> None:
    tissue, flow = Region((0, 0, 120, 160), (0.5, 0.5)), Region((40, 60, 90, 120), (0.5, 0.5), content="colour flow")
    frames = np.random.default_rng(0).integers(60, 90, (12, 120, 160, 1), np.uint8).repeat(3, -1)
    frames[6:, 40:90, 60:120] = (220, 60, 20)  # a pulse
    shown = Ultrasound.of(cine_of(frames, regions=(tissue, flow)))
    assert shown.regions == (tissue, flow)
    assert (shown.contrast, shown.tissue) == (None, tissue)
    alone = Ultrasound.of(cine_of(frames, regions=(flow,)))
    assert (alone.contrast, alone.tissue) == (None, flow)


def test_a_stored_still_gives_the_size_of_its_lesion(out: Path) -> None:
    (file,) = us.write_us(out, 1, seed=5, kind="hcc", size="tiny")
    shown = Ultrasound.of(read(file))
    (lesion,) = read_truth(out)["images"][file.parent.name]["lesions"]
    (one,) = shown.regions
    assert shown.tissue == one
    assert shown.contrast is None
    x0, y0, x1, y1 = lesion["box"]
    high_mm, wide_mm = (y1 - y0 + 1) * one.spacing_mm[0], (x1 - x0 + 1) * one.spacing_mm[1]
    assert np.sqrt(high_mm * wide_mm) == pytest.approx(lesion["size_mm"], rel=0.2)


def test_a_stored_cine_has_two_sides_and_uneven_times(out: Path) -> None:
    style = ceus.Style(colour=True, side_by_side=True, even=False)
    ((_, file),) = ceus.write_ceus(out, 1, seed=36, size="tiny", style=style)
    shown = Ultrasound.of(read(file))
    assert (shown.contrast, shown.tissue) == shown.regions
    assert shown.timing == "frame times"
    assert shown.times_s[[0, 1, -2, -1]].tolist() == [0, 1, 180, 210]
    assert shown.picture(shown.contrast)[1].mean() < shown.picture(shown.contrast)[30].mean() / 2


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("two", [True, False])
def test_contrast_and_b_mode_are_told_apart(side_by_side: ceus.Cine, colour: bool, two: bool) -> None:
    screen = screen_of(side_by_side, ceus.Style(colour, two, False), patient_id="P")
    declared = [Region((y, x, v + 1, u + 1), (0.5, 0.5)) for x, y, u, v in (one.box for one in screen.regions)]
    for regions in (tuple(declared), ()):
        shown = Ultrasound.of(cine_of(screen.pixels, regions=regions))
        assert len(shown.regions) == 1 + two
        assert shown.contrast == shown.regions[0]
        assert shown.tissue == (shown.regions[1] if two else None)


@pytest.mark.parametrize("colour", [True, False])
def test_two_fans_in_one_region_are_found(side_by_side: ceus.Cine, colour: bool) -> None:
    """Some scanners declare one region around both."""
    screen = screen_of(side_by_side, ceus.Style(colour, True, False), patient_id="P")
    (left, top, _, bottom), (_, _, right, _) = (one.box for one in screen.regions)
    around = Region((top, left, bottom + 1, right + 1), (0.5, 0.5))
    for declared in ((around,), ()):
        shown = Ultrasound.of(cine_of(screen.pixels, regions=declared))
        assert len(shown.regions) == 2
        for seen, true in zip(shown.regions, screen.regions, strict=True):
            assert np.abs(np.array(seen.box) - [true.box[1], true.box[0], true.box[3], true.box[2]]).max() < 16
            assert seen.spacing_mm == (declared[0].spacing_mm if declared else None)
        assert (shown.contrast, shown.tissue) == shown.regions


def test_what_nothing_tells_is_left_open(side_by_side: ceus.Cine) -> None:
    screen = screen_of(side_by_side, ceus.Style(False, True, False), patient_id="P")
    shown = Ultrasound.of(cine_of(screen.pixels[3:4]))
    assert len(shown.regions) == 2
    assert (shown.contrast, shown.tissue) == (None, None)


def test_a_picture_without_anything_on_it_is_one_region() -> None:
    (one,) = Ultrasound.of(cine_of(np.zeros((1, 40, 50), np.uint8))).regions
    assert one.box == (0, 0, 40, 50)


def test_times_fall_back_on_the_playback_rate_and_say_so(make_dicom) -> None:
    played = Ultrasound.of(read(make_dicom(RUN, sop_class=US_CINE, modality="US", CineRate=20)))
    assert (played.timing, played.times_s.tolist()) == ("playback rate", [0, 0.05, 0.1, pytest.approx(0.15)])
    shown = {"RecommendedDisplayFrameRate": 10}
    assert Ultrasound.of(read(make_dicom(RUN, sop_class=US_CINE, modality="US", **shown))).times_s[1] == 0.1
    nothing = Ultrasound.of(read(make_dicom(RUN, sop_class=US_CINE, modality="US")))
    assert (nothing.timing, nothing.times_s) == ("unknown", None)
    vector = {"FrameTimeVector": [0, 500, 500, 30000], "CineRate": 20}
    timed = Ultrasound.of(read(make_dicom(RUN, sop_class=US_CINE, modality="US", **vector)))
    assert (timed.timing, timed.times_s.tolist()) == ("frame times", [0, 0.5, 1, 31])


def test_grey_is_luma_and_deep_pixels_lose_their_low_bits() -> None:
    colours = np.zeros((1, 20, 20, 3), np.uint8)
    colours[..., 1] = 200
    assert (Ultrasound.of(cine_of(colours)).grey == round(0.587 * 200)).all()
    deep = np.full((1, 20, 20), 4095, np.uint16)
    assert (Ultrasound.of(cine_of(deep, bits_stored=12)).grey == 255).all()


def test_a_volume_from_a_viewer_is_a_cine() -> None:
    shown = Ultrasound.of(Volume(RUN, GRID))
    assert shown.grey.shape == RUN.shape
    assert shown.times_s is None


def test_other_images_are_refused() -> None:
    with pytest.raises(BadInputError, match="ultrasound"):
        Ultrasound.of(replace(cine_of(RUN), modality="XA"))
    with pytest.raises(BadInputError, match="16 x 16"):
        Ultrasound.of(cine_of(RUN[:, :10]))


@pytest.mark.parametrize("edge", [2, 5, 16, 17])
def test_masks_are_opened_and_dilated_as_scipy_does(edge):
    draw = np.random.default_rng(edge)
    mask = ndimage.gaussian_filter(draw.normal(size=(90, 120)), edge / 2) > 0
    mask[:20] = True  # to the border, too
    np.testing.assert_array_equal(opened(mask, edge), ndimage.binary_opening(mask, np.ones((edge, edge))))
    size = (2 * edge + 1, 5)
    np.testing.assert_array_equal(dilated(mask, size), ndimage.binary_dilation(mask, np.ones(size)))


def test_the_images_of_a_picture_are_looked_for_once(monkeypatch):
    asked = []
    for module in (ultrasound, burnt_in):
        monkeypatch.setattr(module, "find_fans", lambda grey: asked.append(1) or find_fans(grey))
    still = us.simulate(7, kind="cyst", size="tiny")
    seen = Ultrasound.of(cine_of(np.pad(still.grey[None], ((0, 0), (20, 10), (30, 30)))))
    assert seen.picture(seen.regions[0]).any()
    assert seen.tissue is not None
    assert len(asked) == 1
