"""Labels move between grids without a voxel going astray."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.lattice import onto_grid

LABELS = np.random.default_rng(0).integers(0, 5, (4, 5, 7), dtype=np.uint8)


def with_itk(array: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    moving, reference = SimpleITK.GetImageFromArray(array), SimpleITK.Image([*target.size], SimpleITK.sitkUInt8)
    for image, grid in ((moving, source), (reference, target)):
        image.SetSpacing(grid.spacing)
        image.SetOrigin(grid.origin)
        image.SetDirection([float(v) for v in grid.direction.ravel()])
    moved = SimpleITK.Resample(moving, reference, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor)
    return SimpleITK.GetArrayFromImage(moved)


def turned(grid: Grid, order: tuple[int, ...], flips: tuple[bool, ...], start: tuple[int, ...], size) -> Grid:
    """A grid on the same lattice: axes permuted and flipped, starting at another index, of another size."""
    step = np.zeros((4, 4))
    for axis, (along, flip) in enumerate(zip(order, flips, strict=True)):
        step[along, axis] = -1 if flip else 1
    step[:, 3] = [*start, 1]
    return Grid(tuple(size), grid.affine @ step)


@settings(max_examples=60, deadline=None)
@given(
    st.permutations([0, 1, 2]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(0, 3)),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
)
def test_a_grid_on_the_same_lattice_gets_the_very_voxels(order, flips, start, size) -> None:
    axes, _ = np.linalg.qr(np.array([[0.8, 0.3, -0.2], [-0.1, 0.9, 0.4], [0.3, -0.3, 0.9]]))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes @ np.diag([0.7, 0.8, 5.0]), [-12.5, 34, -56.25]
    source = Grid((7, 5, 4), affine)
    target = turned(source, tuple(order), flips, start, size)
    moved = onto_grid(LABELS, source, target, name="labels")
    for index in np.ndindex(*target.size):
        i, j, k = np.rint(np.linalg.inv(affine) @ target.affine @ [*index, 1])[:3].astype(int)
        inside = 0 <= i < 7 and 0 <= j < 5 and 0 <= k < 4
        assert moved[index[::-1]] == (LABELS[k, j, i] if inside else 0)


def test_any_other_grid_is_resampled_by_nearest_neighbour(oblique: Grid) -> None:
    affine = oblique.affine @ np.diag([0.37, 0.61, 0.83, 1.0])
    target = Grid((11, 9, 8), affine)
    np.testing.assert_array_equal(onto_grid(LABELS, oblique, target, name="labels"), with_itk(LABELS, oblique, target))


def test_grids_apart_by_rounding_are_the_same(oblique: Grid) -> None:
    near = Grid(oblique.size, oblique.affine * (1 + 1e-7))
    assert onto_grid(LABELS, oblique, near, name="labels") is LABELS


def test_touching_grids_do_not_overlap(oblique: Grid) -> None:
    target = turned(oblique, (0, 1, 2), (False,) * 3, (7, 0, 0), (3, 5, 4))
    with pytest.raises(BadInputError, match="elsewhere"):
        onto_grid(LABELS, oblique, target, name="labels")


def test_sheared_axes_are_not_resampled(oblique: Grid) -> None:
    sheared = oblique.affine @ np.array([[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    with pytest.raises(BadInputError, match="sheared"):
        onto_grid(LABELS, Grid(oblique.size, sheared), oblique, name="labels")
