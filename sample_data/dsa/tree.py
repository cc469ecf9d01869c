"""Arterial trees: greedy constrained constructive optimisation in three dimensions.

Every terminal is joined to the nearest branch; the radii follow Murray's law with exponent 2.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
MURRAY = 2.7
PULL = 0.18  # a bifurcation moves this far towards its new terminal
SMOOTHING = 6
FULL_SPEED_PX_PER_S, FULL_SPEED_RADIUS_PX = 520.0, 6.3


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes of a tree; node 0 is the root.

    Attributes:
        points_px: (N, 3): x and y in the picture, z along the ray.
        parent: (N,), -1 for the root.
        radius_px: (N,), of the branch that ends in the node.
        arrival_s: (N,), travelling time of the blood from the catheter.
    """

    points_px: Numbers
    parent: NDArray[np.intp]
    radius_px: Numbers
    arrival_s: Numbers


def grow(
    trunk: Sequence[Numbers],
    terminals: Numbers,
    rng: np.random.Generator,
    *,
    root_radius_px: float,
    scale: float,
    start_s: float = 0.0,
    haste: float = 1.0,
) -> Tree:
    """Grow a tree from a trunk towards terminals.

    Args:
        trunk: points (x, y, z) of a polyline, root first.
        terminals: (n, 3), in the order in which they are joined.
        rng: source of randomness, for the curvature.
        root_radius_px: radius at the root.
        scale: width of the picture over 1021 px.
        start_s: travelling time to the root.
        haste: factor on the speed, which is proportional to the radius.
    """
    points, parent = _join(trunk, terminals, rng, nearest_px=6 * scale)
    children: list[list[int]] = [[] for _ in parent]
    for node in range(1, len(parent)):
        children[parent[node]].append(node)
    order = [0]
    for node in order:
        order.extend(children[node])
    flow, main = np.ones(len(parent)), np.full(len(parent), -1)
    for node in reversed(order):
        if children[node]:
            flow[node] = sum(flow[child] for child in children[node])
            main[node] = max(children[node], key=flow.__getitem__)
    inner = np.flatnonzero(main >= 0)[1:]
    for _ in range(SMOOTHING):
        points[inner] = 0.5 * points[inner] + 0.25 * (points[parent[inner]] + points[main[inner]])
    relative = flow ** (1 / MURRAY)
    radius = np.maximum(relative / relative[0] * root_radius_px, 0.4)
    speed = np.clip(haste * radius / (FULL_SPEED_RADIUS_PX * scale), 0.12, 1) * FULL_SPEED_PX_PER_S * scale
    step = np.linalg.norm(points - points[parent], axis=1) / speed
    arrival = np.full(len(parent), start_s)
    for node in order[1:]:
        arrival[node] = arrival[parent[node]] + step[node]
    return Tree(points, parent, radius, arrival)


def _join(
    trunk: Sequence[Numbers], terminals: Numbers, rng: np.random.Generator, *, nearest_px: float
) -> tuple[Numbers, NDArray[np.intp]]:
    """Points and parents after every terminal farther than ``nearest_px`` from the tree has been joined to it."""
    used = len(trunk)
    points = np.empty((used + 3 * len(terminals), 3))
    parent = np.full(len(points), -1, dtype=np.intp)
    points[:used] = trunk
    parent[1:used] = np.arange(used - 1)
    start, along = np.empty_like(points), np.zeros_like(points)  # of the branch that ends in each node
    start[1:used], along[1:used] = points[: used - 1], np.diff(points[:used], axis=0)
    length2 = np.einsum("ij,ij->i", along, along) + 1e-9
    bends = rng.normal(0, 0.10, (len(terminals), 3))
    for terminal, bend in zip(terminals, bends, strict=True):
        branch = slice(1, used)
        to = terminal - start[branch]
        share = np.clip(np.einsum("ij,ij->i", to, along[branch]) / length2[branch], 0.1, 0.9)
        foot = start[branch] + share[:, None] * along[branch]
        gap2 = np.einsum("ij,ij->i", terminal - foot, terminal - foot)
        chosen = int(np.argmin(gap2))
        if gap2[chosen] < nearest_px**2:
            continue
        node, fork, middle, end = chosen + 1, used, used + 1, used + 2
        points[fork] = foot[chosen] + PULL * (terminal - foot[chosen])
        points[middle] = (points[fork] + terminal) / 2 + bend * np.linalg.norm(terminal - points[fork])
        points[end] = terminal
        parent[fork], parent[node], parent[middle], parent[end] = parent[node], fork, fork, middle
        changed = np.array([node, fork, middle, end])
        start[changed] = points[parent[changed]]
        along[changed] = points[changed] - start[changed]
        length2[changed] = np.einsum("ij,ij->i", along[changed], along[changed]) + 1e-9
        used += 3
    return points[:used], parent[:used]
