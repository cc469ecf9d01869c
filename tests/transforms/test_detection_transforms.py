import numpy as np
import pytest
import torch

from hepatic import boxes
from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.image import Volume
from hepatic.transforms.centernet_target import CenterNetTarget, overlap_radius
from hepatic.transforms.flip_boxes import flipped
from hepatic.transforms.jitter_intensity import JitterIntensity
from hepatic.transforms.liver_crop import LiverCrop
from hepatic.transforms.shift_boxes import ShiftBoxes, shifted


def ct(shape=(20, 40, 60), spacing=(1.5, 1.5, 5.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -40, -30, 100
    hu = np.full(shape, -100, np.int16)
    liver = np.zeros(shape, bool)
    liver[4:16, 10:34, 12:52] = True
    hu[liver] = 100
    return Volume(hu, Grid(shape[::-1], affine), "CT"), liver


def cropped(volume, liver, size=(12, 24, 40), **settings):
    return LiverCrop(size, **settings)({"source": volume, "liver": liver})


def picture(image, corners):
    return {"image": image, **{name: np.array(corners, np.float32) for name in ("boxes", "negatives", "ignored")}}


@pytest.mark.parametrize("size", [(12, 24, 40), (9, 16, 16), (30, 50, 90)])
@pytest.mark.parametrize("tilted", [False, True])
def test_a_lesion_lies_where_its_box_says_whatever_the_size_of_the_crop(size, tilted):
    volume, liver = ct()
    if tilted:
        affine = volume.grid.affine.copy()
        affine[:3, :3] = affine[:3, :3] @ np.diag([-1, -1, 1])
        volume = Volume(volume.array, Grid(volume.grid.size, affine), "CT")
    volume.array[7:11, 16:24, 20:32] = 160
    patient = boxes.from_voxels([[7, 16, 20, 11, 24, 32]], volume.grid)
    sample = cropped(volume, liver, size)
    bright = torch.nonzero(sample["image"][0] > 1.5).numpy()
    found = boxes.from_voxels([[*bright.min(0), *(bright.max(0) + 1)]], sample["grid"])
    assert boxes.iou(found, patient)[0, 0] > 0.6
    assert np.abs(boxes.centres(found) - boxes.centres(patient)).max() < 5.0
    np.testing.assert_allclose(np.abs(boxes.to_voxels(patient, sample["grid"]) - found_voxels(bright)), 0, atol=1.5)


def found_voxels(bright):
    return [[*bright.min(0), *(bright.max(0) + 1)]]


def test_a_volume_gives_the_same_crop_whichever_way_it_is_stored():
    volume, liver = ct()
    volume.array[7:11, 16:24, 20:32] = 160
    plain = cropped(volume, liver)
    affine = volume.grid.affine.copy()
    affine[:3, 3] += affine[:3, 0] * 59 + affine[:3, 1] * 39
    affine[:3, :2] *= -1
    stored = Volume(volume.array[:, ::-1, ::-1].copy(), Grid(volume.grid.size, affine), "CT")
    other = cropped(stored, liver[:, ::-1, ::-1])
    torch.testing.assert_close(other["image"], plain["image"], atol=1e-4, rtol=0)
    assert other["grid"].matches(plain["grid"])


def test_the_crop_is_the_liver_and_its_margin():
    volume, liver = ct()
    sample = cropped(volume, liver, margin_mm=0.0)
    assert sample["image"].shape == (1, 12, 24, 40)
    assert torch.allclose(sample["image"], torch.zeros(1))
    assert sample["grid"].spacing == pytest.approx((1.5, 1.5, 5.0))
    edge = cropped(volume, liver, margin_mm=1000.0)["grid"]
    assert edge.spacing == pytest.approx((1.5 * 60 / 40, 1.5 * 40 / 24, 5 * 20 / 12))


def test_grey_values_are_counted_from_the_median_of_the_liver_and_cut_off():
    volume, liver = ct()
    volume.array[5:9, 12:20, 14:22] = 140
    volume.array[10:12, 12:20, 14:22] = 900
    image = cropped(volume, liver, margin_mm=0.0)["image"]
    assert sorted(image.unique().tolist()) == pytest.approx([0.0, 2.0, 4.0])
    warmer = Volume(volume.array + 37, volume.grid, "CT")
    assert torch.equal(cropped(warmer, liver, margin_mm=0.0)["image"], image)


def test_shrinking_averages_so_that_noise_falls():
    volume, liver = ct(shape=(40, 80, 120))
    volume.array[:] = np.random.default_rng(0).normal(0, 20, volume.array.shape)
    small = cropped(volume, np.ones_like(liver), (10, 20, 30))["image"]
    assert 0.02 < small.std() < 0.25
    assert small.mean().abs() < 0.1


def test_no_liver_and_a_liver_of_another_picture_are_refused():
    volume, liver = ct()
    with pytest.raises(BadInputError, match="a liver in the picture"):
        cropped(volume, np.zeros_like(liver))
    with pytest.raises(BadInputError, match="mask of the image's shape"):
        cropped(volume, liver[1:])
    with pytest.raises(BadInputError, match="Segment the liver"):
        LiverCrop((12, 24, 40))({"source": volume})


def test_mirrored_twice_is_as_before_and_once_the_box_follows_the_lesion():
    image = torch.zeros(1, 4, 6, 10)
    image[0, 1:3, 2:4, 1:4] = 1
    sample = picture(image, [[1, 2, 1, 3, 4, 4]])
    once = flipped(sample, 2)
    assert once["boxes"].tolist() == [[1, 2, 6, 3, 4, 9]]
    assert once["image"][0, 1:3, 2:4, 6:9].min() == 1
    twice = flipped(once, 2)
    assert torch.equal(twice["image"], image)
    assert twice["negatives"].tolist() == sample["negatives"].tolist()
    assert once["ignored"].tolist() == once["boxes"].tolist()


def test_a_move_carries_the_box_and_drops_what_leaves():
    image = torch.arange(10.0).expand(1, 4, 6, 10)
    moved = shifted(picture(image, [[1, 2, 1, 3, 4, 4], [0, 0, 8, 2, 2, 10]]), (0, 0, 3))
    assert moved["image"][0, 0, 0].tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert moved["boxes"].tolist() == moved["ignored"].tolist() == [[1, 2, 4, 3, 4, 7]]


def test_augmentation_is_drawn_from_the_generator_alone():
    sample = picture(torch.randn(1, 8, 12, 12), [[2, 3, 3, 5, 7, 7]])

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return JitterIntensity()(ShiftBoxes((1, 2, 2))(sample, generator), generator)["image"]

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_the_target_peaks_in_the_cell_of_the_centre_and_tells_offset_and_size_in_cells():
    told = CenterNetTarget((2, 4, 4))({"image": torch.zeros(1, 12, 32, 32), "boxes": [[4, 9, 12, 8, 24, 20]]})
    assert told["heatmap"].shape == (1, 6, 8, 8)
    assert told["at_centre"].nonzero().tolist() == [[0, 3, 4, 4]]
    assert told["heatmap"][0, 3, 4, 4] == 1
    assert told["offset"][:, 3, 4, 4].tolist() == pytest.approx([0, 0.125, 0])
    assert told["size"][:, 3, 4, 4].tolist() == pytest.approx([2, 3.75, 2])


def test_equation_one_is_wider_along_the_finer_axis():
    grid = Grid((32, 32, 12), np.diag([1.0, 1.0, 4.0, 1.0]))
    sample = {"image": torch.zeros(1, 12, 32, 32), "boxes": [[2, 4, 4, 10, 28, 28]], "grid": grid}
    heat = CenterNetTarget((1, 1, 1), spread="paper", min_overlap=0.3)(sample)["heatmap"][0]
    k, j, i = (int(n) for n in np.unravel_index(int(heat.argmax()), heat.shape))
    assert heat[k, j + 4, i] == pytest.approx(float(heat[k + 1, j, i]), rel=1e-4)
    assert heat[k, j, i + 1] == pytest.approx(float(heat[k, j + 1, i]))
    assert 0.01 < heat[k + 1, j, i] < 0.1


def test_a_box_whose_corners_err_by_the_radius_just_reaches_the_overlap():
    edges = np.array([10.0, 20.0, 30.0])
    r = overlap_radius(edges, min_overlap=0.7)
    true = [[0, 0, 0, *edges]]
    candidates = [[r, r, r, *(edges + r)], [r, r, r, *(edges - r)], [-r, -r, -r, *(edges + r)]]
    assert boxes.iou(true, candidates).min() == pytest.approx(0.7, abs=1e-6)


def test_two_lesions_that_touch_keep_a_peak_each():
    told = CenterNetTarget((2, 4, 4))(
        {"image": torch.zeros(1, 12, 32, 32), "boxes": [[4, 8, 4, 8, 16, 12], [4, 8, 12, 8, 16, 20]]}
    )
    assert (told["heatmap"] == 1).sum() == 2


def test_slices_a_box_cuts_have_a_flat_target_each():
    target = CenterNetTarget((1, 4, 4), slices=True)
    told = target({"image": torch.zeros(1, 6, 32, 32), "boxes": [[1.6, 8, 8, 4.4, 16, 16], [5.1, 0, 0, 5.3, 8, 8]]})
    assert told["offset"].shape == (2, 6, 8, 8)
    assert told["at_centre"].sum((0, 2, 3)).tolist() == [0, 0, 1, 1, 0, 1]
    assert told["heatmap"][0, 4].max() == 0


def test_where_only_positives_are_known_the_rest_is_not_taught():
    sample = {"image": torch.zeros(1, 12, 32, 32), "boxes": [[4, 8, 8, 8, 16, 16]], "complete": False}
    weight = CenterNetTarget((2, 4, 4))(sample)["weight"]
    assert weight[0, 3, 3, 3] == 1
    assert weight[0, 0, 7, 7] == 0
    rejected = CenterNetTarget((2, 4, 4))({**sample, "negatives": [[0, 28, 28, 2, 32, 32]]})["weight"]
    assert rejected[0, 0, 7, 7] == 4


@pytest.mark.parametrize("slices", [False, True])
def test_a_candidate_of_which_nobody_knows_costs_its_own_cells_and_not_the_background(slices):
    target = CenterNetTarget((2, 4, 4), slices=slices)
    sample = {"image": torch.zeros(1, 12, 32, 32), "boxes": [[4, 8, 8, 8, 16, 16]], "complete": True}
    plain = target(sample)
    doubtful = [[0, 24, 24, 2, 32, 32], [4, 8, 8, 8, 16, 16]]
    told = target({**sample, "ignored": doubtful, "negatives": [[0, 28, 28, 2, 32, 32]]})
    first = 2 if slices else 1
    assert torch.equal(plain["weight"], torch.ones_like(plain["weight"]))
    assert (told["weight"][0, :first, 6:, 6:] == 0).all()
    assert (told["weight"] == 0).sum() == (told["weight"][0, :first, 6:, 6:] == 0).sum() + (
        (plain["heatmap"] < 0.01)[0, 4 // (1 if slices else 2) : 8 // (1 if slices else 2), 2:4, 2:4].sum()
    )
    assert torch.equal(told["heatmap"], plain["heatmap"])
    assert told["weight"][plain["at_centre"] == 1].min() == 1
