"""The arteries of a patient: catheter, hepatic and gastroduodenal artery, feeders of lesions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sample_data.dsa.anatomy import Anatomy
from sample_data.dsa.filling import Dots
from sample_data.dsa.tree import Numbers, Tree, grow

TERMINALS = 620
FEEDING_BEFORE_S, FED_WITHIN_S = 1.0, 0.8


def hepatic_artery(anatomy: Anatomy, rng: np.random.Generator) -> Tree:
    """Celiac trunk to right hepatic artery, with terminals spread by the thickness of the liver."""
    (height, width), scale = anatomy.shape, anatomy.scale
    along = np.array([0, 0.5, 0.8, 1.0])[:, None] * anatomy.offset_px
    at = np.array([(0.615, 0.60), (0.52, 0.545), (0.455, 0.50), (0.43, 0.455)]) * (width, height) + along
    celiac, common, proper, hilum = np.column_stack([at, [0, 10, 10, 10]])
    right = np.array([*(anatomy.centre_px - (20 * scale, 5 * scale)), 0.0])

    def near(point: Numbers, spread_px: float) -> Numbers:
        return np.asarray(point + rng.normal(0, spread_px * scale, 3))

    trunk = [celiac, near((celiac + common) / 2, 8), near(common, 3), near(proper, 3), hilum]
    trunk += [near((hilum + right) / 2, 8), near(right, 8)]
    step = max(1, round(8 * scale))
    thickness = anatomy.thickness[::step, ::step] * anatomy.liver[::step, ::step]
    weight = thickness.ravel().astype(np.float64)
    row, column = np.divmod(rng.choice(weight.size, TERMINALS, p=weight / weight.sum()), thickness.shape[1])
    spread = rng.uniform(-1, 1, (3, TERMINALS))
    terminals = np.stack(
        [
            column * step + spread[0] * step / 2,
            row * step + spread[1] * step / 2,
            spread[2] * thickness[row, column] * 150 * scale,
        ],
        1,
    )
    return grow(trunk, terminals, rng, root_radius_px=6.3 * scale, scale=scale)


def gastroduodenal_artery(hepatic: Tree, anatomy: Anatomy, rng: np.random.Generator) -> Tree:
    """Branch of the common hepatic artery to stomach and duodenum, below the liver."""
    (height, width), scale = anatomy.shape, anatomy.scale
    root = hepatic.points_px[2]
    trunk = [root, root + np.array([-12, 60, 0]) * scale, root + np.array([-5, 150, 0]) * scale]
    centre, spread = (0.52 * width, 0.80 * height, 0), (55 * scale, 60 * scale, 60 * scale)
    terminals = rng.normal(centre, spread, (50, 3))
    return grow(trunk, terminals, rng, root_radius_px=3.2 * scale, scale=scale, start_s=float(hepatic.arrival_s[2]))


def catheter(hepatic: Tree, anatomy: Anatomy) -> Dots:
    """Catheter from the aorta below, with a hook into the celiac trunk; it fills at once."""
    (height, width), scale = anatomy.shape, anatomy.scale
    tip_x, tip_y = hepatic.points_px[0, :2]
    s = np.linspace(0, 1, 400)
    x = 0.60 * width + 30 * scale * np.sin(2 * s) * (1 - s) + (tip_x - 0.60 * width) * s
    y = 1.02 * height - (1.02 * height - tip_y + 60 * scale) * np.minimum(1, 1.15 * s)
    hook = s > 0.87
    top = y[~hook][-1]
    y[hook] = top + (tip_y - top) * ((s[hook] - 0.87) / 0.13) ** 1.5
    return Dots(x, y, np.full(400, 2.1 * scale), np.zeros(400))


def feeders(
    sources: Sequence[Tree], centre_px: Numbers, diameter_px: float, scale: float, rng: np.random.Generator
) -> Tree:
    """Small tortuous vessels of a lesion, from the nearest artery that is wide enough and fills early.

    They fill early too, so that they are empty again when the key frame is taken.

    Args:
        sources: trees to branch from.
        centre_px: (2,), x and y of the lesion.
        diameter_px: of the lesion.
        scale: width of the picture over 1021 px.
        rng: source of randomness.
    """
    points, radius, arrival = (
        np.concatenate([getattr(tree, name) for tree in sources]) for name in ("points_px", "radius_px", "arrival_s")
    )
    away = np.hypot(*(points[:, :2] - centre_px).T)
    fit = (radius >= 1.0 * scale) & (arrival < FEEDING_BEFORE_S)
    node = int(np.argmin(np.where(fit, away, np.inf)))
    start = points[node]
    centre = np.array([*centre_px, start[2]])
    way = centre - start
    spread = 0.12 * np.linalg.norm(way) + 2 * scale
    trunk = [start, *(start + part * way + rng.normal(0, spread, 3) for part in (0.33, 0.70)), centre]
    count = int(np.clip(diameter_px / scale / 3.2, 6, 90))
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    terminals = centre + direction * (diameter_px / 2 * np.sqrt(rng.uniform(0.2, 1, (count, 1))))
    width_px = float(np.clip(diameter_px / scale / 45, 0.9, 2.6)) * scale
    start_s = float(arrival[node])
    tree = grow(trunk, terminals, rng, root_radius_px=width_px, scale=scale, start_s=start_s, haste=1.5)
    return replace(tree, arrival_s=np.minimum(tree.arrival_s, start_s + FED_WITHIN_S))
