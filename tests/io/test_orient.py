import itertools

import numpy as np
import pytest

from hepatic.geometry import Grid
from hepatic.io.image import Volume
from hepatic.io.orient import turn_of, turned_back, upright

ARRAY = np.arange(2 * 3 * 4).reshape(4, 3, 2)


def lying(axes, signs):
    """A grid whose index axes run along the given patient axes, each with its own step."""
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(axes)] * np.array(signs) * np.array([2.0, 3.0, 5.0])
    affine[:3, 3] = (7, -8, 9)
    return Grid((2, 3, 4), affine)


@pytest.mark.parametrize("axes", itertools.permutations(range(3)))
@pytest.mark.parametrize("signs", itertools.product((1, -1), repeat=3))
def test_a_volume_stands_upright_with_every_voxel_where_it_was_in_the_patient(axes, signs):
    volume = Volume(ARRAY, lying(axes, signs), "CT")
    stood = upright(volume)
    assert (np.diag(stood.grid.affine)[:3] > 0).all()
    assert stood.array.shape == stood.grid.shape
    for index in np.ndindex(*stood.grid.shape):
        place = stood.grid.affine @ [*index[::-1], 1.0]
        old = np.rint(np.linalg.inv(volume.grid.affine) @ place)[:3].astype(int)
        assert stood.array[index] == ARRAY[tuple(old[::-1])]
    assert np.array_equal(turned_back(stood.array, turn_of(volume.grid)), ARRAY)


def test_a_slightly_turned_volume_keeps_its_axes():
    grid = Grid((2, 3, 4), np.array([[1.0, 0.2, 0, 0], [-0.2, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]))
    assert upright(Volume(ARRAY, grid, "CT")).grid.affine.tolist() == grid.affine.tolist()
