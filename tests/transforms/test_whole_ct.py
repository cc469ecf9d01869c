import numpy as np
import pytest
import torch

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.image import Cine, Labelmap, Volume
from hepatic.transforms.whole_ct import OneStructure, WholeCT, WholeCTLabelmap

WHOLE = WholeCT(size=(16, 24, 32), step_mm=(5.0, 4.0, 4.0))


def ball(grid, centre_mm, radius_mm):
    k, j, i = np.indices(grid.shape)
    places = np.stack([i, j, k, np.ones_like(i)], -1) @ grid.affine.T
    return ((places[..., :3] - centre_mm) ** 2).sum(-1) <= radius_mm**2


def scan(affine, size, centre_mm=(0.0, 0, 0), radius_mm=25.0):
    """A ball of liver in fat, and its mask."""
    grid = Grid(size, affine)
    inside = ball(grid, centre_mm, radius_mm)
    return Volume(np.where(inside, 100, -100).astype(np.int16), grid, "CT"), inside


PLAIN = np.array([[2.0, 0, 0, -60], [0, 2, 0, -44], [0, 0, 4, -36], [0, 0, 0, 1]])
MIRRORED = np.array([[-2.0, 0, 0, 60], [0, -2, 0, 44], [0, 0, 4, -36], [0, 0, 0, 1]])  # as NIfTI files often are
SIDEWAYS = np.array([[0, 0, 4, -60.0], [2.0, 0, 0, -44], [0, 2, 0, -36], [0, 0, 0, 1]])


@pytest.mark.parametrize("affine", [PLAIN, MIRRORED, SIDEWAYS])
def test_whichever_way_a_file_lies_the_network_sees_the_patient_upright(affine):
    volume, _ = scan(affine, (61, 45, 19), centre_mm=(-10.0, 5, 8), radius_mm=15.0)
    sample = WHOLE({"source": volume})
    bright = np.argwhere(sample["image"][0].numpy() > 0)[:, ::-1]
    middle = sample["grid"].affine @ [*bright.mean(0), 1.0]
    assert sample["image"].shape == (1, 16, 24, 32)
    assert (np.diag(sample["grid"].affine)[:3] > 0).all()
    assert middle[:3] == pytest.approx((-10, 5, 8), abs=1.0)


@pytest.mark.parametrize("affine", [PLAIN, MIRRORED, SIDEWAYS])
def test_a_mask_brought_to_the_network_and_back_is_the_same_mask(affine):
    volume, inside = scan(affine, (61, 45, 19))
    prepared = WHOLE({"source": volume, "label": Labelmap(inside.astype(np.uint8), volume.grid)})
    finished = WholeCTLabelmap(WHOLE)({**prepared, "probabilities": prepared["target"]})
    back = finished["labelmap"].astype(bool)
    assert 2 * (back & inside).sum() / (back.sum() + inside.sum()) > 0.93
    assert finished["facts"]["volume_ml"] == pytest.approx(inside.sum() * 16 / 1000, rel=0.1)


def test_beyond_the_scan_there_is_air_and_a_large_scan_is_not_cut_off():
    small, _ = scan(PLAIN, (20, 20, 8))
    assert WHOLE({"source": small})["image"][0, 0, 0, 0] == WHOLE.limits[0]
    large, _ = scan(np.diag([5.0, 5, 10, 1]), (60, 60, 30))
    grid = WHOLE({"source": large})["grid"]
    ends = grid.affine @ np.array([[-0.5, -0.5, -0.5, 1], [*(n - 0.5 for n in grid.size), 1]]).T
    assert (ends[:3, 0] <= -2.5 + 1e-6).all()
    assert (ends[:3, 1] >= [297.5, 297.5, 295 - 1e-6]).all()


def test_noise_is_averaged_where_the_grid_is_coarser():
    noise = np.random.default_rng(0).normal(0, 30, (40, 200, 200)).astype(np.int16)
    volume = Volume(noise, Grid((200, 200, 40), np.diag([0.7, 0.7, 2.0, 1.0])), "CT")
    inner = WHOLE({"source": volume})["image"][0, 4:-4, 4:-4, 6:-6]
    assert inner.std() < 0.3 * 30 / WHOLE.unit_hu


def test_only_the_largest_part_stays():
    volume, _ = scan(PLAIN, (61, 45, 19))
    probabilities = torch.zeros(1, *WHOLE.size)
    probabilities[0, 4:12, 6:18, 8:20] = 0.9
    probabilities[0, 1:3, 1:3, 1:3] = 0.9
    labelmap = WholeCTLabelmap(WHOLE)({"source": volume, "probabilities": probabilities})["labelmap"]
    assert labelmap.any()
    alone = probabilities.clone()
    alone[0, 1:3, 1:3, 1:3] = 0
    expected = WholeCTLabelmap(WHOLE)({"source": volume, "probabilities": alone})["labelmap"]
    assert np.array_equal(labelmap, expected)


def test_a_cine_is_refused():
    grid = Grid((4, 4, 4), np.eye(4))
    with pytest.raises(BadInputError, match="a CT volume"):
        WHOLE({"source": Cine(np.zeros((4, 4, 4)), None, None, grid)})


def labelled(names):
    return {"label": Labelmap(np.array([[[0, 1, 2, 3]]], np.uint8), Grid((4, 1, 1), np.eye(4)), names)}


@pytest.mark.parametrize(
    ("names", "drawn"),
    [
        ({"tumour": 1, "liver": 2, "spleen": 3}, [0, 1, 1, 0]),
        ({"liver": 3, "spleen": 1}, [0, 0, 0, 1]),
        ({}, [0, 1, 1, 1]),
    ],
)
def test_tumours_belong_to_the_liver_though_a_labelmap_holds_one_value_per_voxel(names, drawn):
    (sample,) = OneStructure("liver", includes=("tumour",))(labelled(names))
    assert sample["label"].array[0, 0].tolist() == drawn
    assert sample["label"].names == {"liver": 1}


def test_a_label_without_the_structure_is_refused_rather_than_taken_for_empty():
    with pytest.raises(BadInputError, match="a segment named liver"):
        OneStructure("liver")(labelled({"tumour": 1}))
