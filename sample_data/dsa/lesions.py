"""Tumours and what can be mistaken for them: where they lie, what they look like, how they fill.

Confounder a lies inside the liver and looks like a tumour on the key frame; time tells them apart: it has been there
since the mask, or it filled with the artery. Confounder b fills like a tumour but lies outside the liver.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sample_data.dsa import kinetics
from sample_data.dsa.angiogram import MASK_FRAMES, Angiogram
from sample_data.dsa.tree import Numbers
from sample_data.noise import Image
from sample_data.resample import cubic

Kind = Literal["hyper", "hypo"]
Role = Literal["tumour", "a", "b"]

# Calibrated so that a U-Net on one frame, the learned temporal difference and the liver branch come out in this order.
TUMOURS, CONFOUNDERS_A, CONFOUNDERS_B = 1.4, 0.8, 3.0  # Poisson means; one more tumour always
MEDIAN_PX, SPREAD, SMALLEST_PX, LARGEST_PX = 60.0, 0.6, 24.0, 180.0  # of the full picture
AMPLITUDE = (0.11, 0.22)
HYPO_SHARE, MIMIC_SHARE, BORDER_SHARE, STATIC_SHARE = 0.10, 0.10, 0.70, 0.50
BORDER, INSIDE, WITHIN, OUTSIDE = (0.04, 0.25), (0.15, 9.0), (0.12, 9.0), (-0.30, -0.05)  # liver depth
DEFECT: dict[Kind, float] = {"hyper": 0.50, "hypo": 0.85}
RIM = 0.035
NECROTIC_FROM_PX, NECROTIC_SHARE, NECROSIS = 70.0, 0.6, 0.5


@dataclass(frozen=True, slots=True)
class Lesion:
    """A tumour or a confounder, at rest (before breathing moves it).

    Attributes:
        role: "tumour", or "a" or "b" for a confounder.
        kind: "hyper" stains more than the liver, "hypo" less, with a thin rim.
        centre_px: (x, y).
        diameter_px: before the outline is made irregular.
        lobes: (3,), phases of the outline's harmonics.
        necrosis: (7, 7) between 0 and 1, share of the stain that is missing.
        amplitude: line integral of the stain at its centre.
        curve: (F,), stain over the frames, 1 where it is full.
        lasting: a static bright residual instead of a defect that follows the liver's stain.
    """

    role: Role
    kind: Kind
    centre_px: Numbers
    diameter_px: float
    lobes: Numbers
    necrosis: Image
    amplitude: float
    curve: Numbers
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Footprint:
    """Maps of one lesion over the part of the picture it touches.

    Attributes:
        window: rows and columns of the picture.
        inside: bool, within the outline.
        cover: 0 to 1, soft outline.
        stain: line integral at ``curve`` 1.
    """

    window: tuple[slice, slice]
    inside: NDArray[np.bool_]
    cover: Image
    stain: Image


class Sites:
    """Where lesions may still be put."""

    def __init__(self, base: Angiogram) -> None:
        self.base = base
        self.taken: list[tuple[float, float, float]] = []

    def choose(
        self,
        depth: tuple[float, float],
        diameter_px: float,
        rng: np.random.Generator,
        *,
        margin_px: float,
        below_px: float = 0,
    ) -> Numbers | None:
        """Find a free place (x, y) at a liver depth between two values, or None when none turns up."""
        scale = self.base.anatomy.scale
        step = max(1, round(6 * scale))
        height, width = self.base.shape
        y, x = np.mgrid[0:height:step, 0:width:step]
        values = self.base.anatomy.depth[::step, ::step]
        margin = margin_px * scale
        fits = (values > depth[0]) & (values < depth[1]) & (y > below_px)
        fits &= (x > margin) & (x < width - margin) & (y > margin) & (y < height - margin)
        places = np.stack([x[fits], y[fits]], 1)
        for at in places[rng.integers(0, len(places), 300)] if len(places) else ():
            centre = at + rng.uniform(-step / 2, step / 2, 2)
            gaps = (np.hypot(centre[0] - u, centre[1] - v) - 0.55 * (diameter_px + d) for u, v, d in self.taken)
            if all(gap > 13 * scale for gap in gaps):
                self.taken.append((*centre, diameter_px))
                return np.asarray(centre, dtype=np.float64)
        return None


def draw_lesions(base: Angiogram, draw: int, *, confounder_a: bool, confounder_b: bool) -> list[Lesion]:
    """Draw tumours, then confounders; leaving confounders out changes no tumour."""
    sites = Sites(base)
    streams = [np.random.default_rng([base.seed, 100 + draw, stream]) for stream in range(3)]
    lesions = [_tumour(base, sites, streams[0]) for _ in range(1 + streams[0].poisson(TUMOURS))]
    if confounder_a:
        lesions += [_confounder_a(base, sites, streams[1]) for _ in range(streams[1].poisson(CONFOUNDERS_A))]
    if confounder_b:
        lesions += [_confounder_b(base, sites, streams[2]) for _ in range(streams[2].poisson(CONFOUNDERS_B))]
    return [lesion for lesion in lesions if lesion is not None]


def footprint(lesion: Lesion, shape: tuple[int, int], scale: float, texture: Image) -> Footprint:
    """Compute a lesion's maps.

    Args:
        lesion: what to draw.
        shape: (H, W) of the picture.
        scale: width over 1021 px.
        texture: (H, W), multiplies every stain.
    """
    (x0, y0), d = lesion.centre_px, lesion.diameter_px
    soft = max(3.8 * scale, 0.07 * d)
    reach = 0.60 * d + 5 * soft
    rows = slice(max(0, int(y0 - reach)), min(shape[0], int(y0 + reach) + 2))
    columns = slice(max(0, int(x0 - reach)), min(shape[1], int(x0 + reach) + 2))
    v = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(y0)
    u = np.arange(columns.start, columns.stop, dtype=np.float32)[None] - np.float32(x0)
    angle, radius = np.arctan2(v, u), np.hypot(u, v)
    waves = ((0.07, 2), (0.06, 3), (0.04, 5))
    outline = 1 + sum(a * np.cos(n * angle + lobe) for (a, n), lobe in zip(waves, lesion.lobes, strict=True))
    outline = (d / 2 * outline).astype(np.float32)
    depth = outline - radius
    cover = 1 / (1 + np.exp(-np.clip(depth / soft, -30, 30)))
    if lesion.kind == "hyper":
        chord = np.sqrt(np.clip(1 - (radius / outline) ** 2, 0, 1))
        necrosis = cubic(lesion.necrosis, (depth.shape[0], depth.shape[1]))
        stain = (0.35 + 0.65 * chord) * texture[rows, columns] * cover * (1 - np.clip(necrosis, 0, 1))
    else:
        stain = np.exp(-(((depth + 3 * scale) / max(5 * scale, 0.05 * d)) ** 2))
    return Footprint((rows, columns), depth > 0, cover, np.asarray(lesion.amplitude * stain, dtype=np.float32))


def _tumour(base: Angiogram, sites: Sites, rng: np.random.Generator) -> Lesion | None:
    kind: Kind = "hypo" if rng.random() < HYPO_SHARE else "hyper"
    depth = BORDER if rng.random() < BORDER_SHARE else INSIDE
    return _place("tumour", kind, sites, depth, rng, curve=_stain(base, rng), margin_px=26)


def _confounder_a(base: Angiogram, sites: Sites, rng: np.random.Generator) -> Lesion | None:
    time_s = base.motion.times_s
    since_mask = (np.arange(len(time_s)) >= MASK_FRAMES).astype(np.float64)
    if rng.random() < MIMIC_SHARE:
        return _place("a", "hypo", sites, WITHIN, rng, curve=0.9 * since_mask, margin_px=38, lasting=True)
    level = float(np.interp(base.motion.still_s, time_s, _stain(base, rng)))
    if rng.random() < STATIC_SHARE:
        return _place("a", "hyper", sites, WITHIN, rng, curve=level * since_mask, margin_px=38)
    pool = kinetics.pool(
        time_s, delay_s=rng.uniform(0.2, 0.6), rise_s=rng.uniform(0.2, 0.5), decay_per_s=rng.uniform(0.02, 0.07)
    )
    curve = pool * (level / np.interp(base.motion.still_s, time_s, pool))
    return _place("a", "hyper", sites, WITHIN, rng, curve=curve, margin_px=38)


def _confounder_b(base: Angiogram, sites: Sites, rng: np.random.Generator) -> Lesion | None:
    below_px = 0.22 * base.shape[0]
    return _place("b", "hyper", sites, OUTSIDE, rng, curve=_stain(base, rng), margin_px=38, below_px=below_px)


def _stain(base: Angiogram, rng: np.random.Generator) -> Numbers:
    return kinetics.tumour(
        base.motion.times_s,
        delay_s=rng.uniform(1.2, 2.2),
        rise_s=rng.uniform(1.8, 3.2),
        washout_per_s=rng.uniform(0.03, 0.10),
    )


def _place(
    role: Role,
    kind: Kind,
    sites: Sites,
    depth: tuple[float, float],
    rng: np.random.Generator,
    *,
    curve: Numbers,
    margin_px: float,
    below_px: float = 0,
    lasting: bool = False,
) -> Lesion | None:
    full_px = float(np.clip(MEDIAN_PX * np.exp(rng.normal(0, SPREAD)), SMALLEST_PX, LARGEST_PX))
    diameter_px = full_px * sites.base.anatomy.scale
    centre = sites.choose(depth, diameter_px, rng, margin_px=margin_px, below_px=below_px)
    if centre is None:
        return None
    necrotic = full_px > NECROTIC_FROM_PX and rng.random() < NECROTIC_SHARE
    necrosis = NECROSIS * np.clip(rng.standard_normal((7, 7)), 0, 1) * necrotic
    return Lesion(
        role=role,
        kind=kind,
        centre_px=centre,
        diameter_px=diameter_px,
        lobes=rng.uniform(0, 2 * np.pi, 3),
        necrosis=necrosis.astype(np.float32),
        amplitude=rng.uniform(*AMPLITUDE) if kind == "hyper" else RIM,
        curve=curve,
        lasting=lasting,
    )
