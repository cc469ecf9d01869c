import numpy as np
import pytest

from sample_data.dsa.filling import fill, string
from sample_data.dsa.tree import MURRAY, Tree, grow

SHAPE = (100, 120)


@pytest.fixture(scope="module")
def tree() -> Tree:
    rng = np.random.default_rng(0)
    trunk = [np.array([10.0, 50, 0]), np.array([40.0, 50, 0])]
    terminals = rng.uniform((40, 10, -20), (110, 90, 20), (80, 3))
    return grow(trunk, terminals, rng, root_radius_px=3.0, scale=0.5)


def test_every_branch_leads_to_the_root(tree: Tree) -> None:
    node = np.arange(len(tree.parent))
    for _ in range(len(node)):
        node = np.where(node > 0, tree.parent[node], 0)
    assert (node == 0).all()
    assert tree.parent[0] == -1


def test_radii_follow_murrays_law(tree: Tree) -> None:
    thick = tree.radius_px > 0.4  # thinner ones are widened to be seen
    children = [np.flatnonzero(tree.parent == node) for node in range(len(thick))]
    forks = [node for node in np.flatnonzero(thick) if len(children[node]) == 2 and thick[children[node]].all()]
    assert len(forks) > 20
    for node in forks:
        assert (tree.radius_px[children[node]] ** MURRAY).sum() == pytest.approx(tree.radius_px[node] ** MURRAY)
    assert tree.radius_px[0] == 3.0
    assert (tree.radius_px[1:] <= tree.radius_px[tree.parent[1:]] + 1e-9).all()


def test_blood_reaches_a_node_after_its_parent(tree: Tree) -> None:
    assert (tree.arrival_s[1:] > tree.arrival_s[tree.parent[1:]]).all()


def test_a_vessel_fills_where_and_when_the_blood_has_come(tree: Tree) -> None:
    filling = fill([string(tree, np.random.default_rng(1), curl_px=0)], SHAPE, 0.5)
    early, late = filling.contrast(1.35, 4.0), filling.contrast(4.5, 4.0)
    assert early.shape == late.shape == SHAPE
    assert early[50, 11] > 0.5 * late[50, 11] > 0
    assert (late > 0.005).sum() > 2 * (early > 0.005).sum()
    whole = 2 * 3.0 * 0.019 / 0.5  # the root, through its middle
    assert 0.6 * whole < late[:, 20].max() <= 1.01 * whole


def test_no_vessel_reaches_beyond_the_picture() -> None:
    rng = np.random.default_rng(2)
    outside = grow([np.array([-30.0, 5, 0]), np.array([150.0, 5, 0])], np.zeros((0, 3)), rng, root_radius_px=2, scale=1)
    filled = fill([string(outside, rng, curl_px=0)], SHAPE, 1.0).contrast(2.0, 9.0)
    assert filled[5].min() > 0
    assert filled[20:].max() == 0
