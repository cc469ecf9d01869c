"""What a lesion looks like in every phase."""

from collections.abc import Sequence

import numpy as np

from sample_data.ct.blood import Blood
from sample_data.ct.canvas import Canvas, cover
from sample_data.ct.field import Axes, Image, draw_field
from sample_data.ct.patient import LOBED, Lesion, Numbers, Patient
from sample_data.ct.space import Space, Window

NECROTIC_FROM_MM, NECROSIS_MM, SCARRED_FROM_MM = 35.0, 10.0, 20.0
FOCAL_HU, PERFUSION_HU = 9.0, 25.0
FATTY_SHARE = 0.4  # of the liver's own deviation in HU that a lesion does not share


class _Supply(Blood):
    """How blood reaches one lesion: kinds differ less than their means do."""

    def __init__(self, blood: Blood, lesion: Lesion) -> None:
        super().__init__(blood.times_s, blood.strength)
        self.own = lesion.vigour * (1 - lesion.washout * np.clip((self.times_s - 70) / 110, 0, 1.5))

    def rise(self, tissue: str) -> Numbers:
        return self.own * super().rise(tissue)


def outline(lesion: Lesion, patient: Patient, axes: Axes, liver: Image) -> tuple[Image, Image]:
    """Give the distance to a lesion's surface in mm, positive inside, and its radius as a share of that of the surface.

    Args:
        lesion: which.
        patient: who has it.
        axes: millimetres along z, y, x.
        liver: distance to the liver's surface there.
    """
    rng = np.random.default_rng([patient.seed, 7100, lesion.stream])
    centre, d = lesion.centre_mm, lesion.diameter_mm
    z, y, x = (
        (along - np.float32(c)) / np.float32(r) for along, c, r in zip(axes, centre, lesion.radii_mm, strict=True)
    )
    if lesion.kind == "perfusion":
        depth = np.minimum(_wedge(lesion, axes), liver)
        return depth, 1 - depth / np.float32(d / 2)
    reach = 0.5 * d * 1.5 + 16
    lobes = draw_field(rng, centre - reach, centre + reach, max(10.0, d / 2))
    radius = np.sqrt(z**2 + y**2 + x**2) * (1 + np.float32(LOBED.get(lesion.kind, 0.05)) * lobes.sample(axes))
    depth = (1 - radius) * np.float32(d / 2)
    if lesion.kind != "cyst":
        depth = np.minimum(depth, liver + np.float32(2.0 if d > 30 else 0.0))
    return depth, radius


def _wedge(lesion: Lesion, axes: Axes) -> Image:
    """A cone that opens away from the middle of the liver."""
    out = lesion.centre_mm - np.array([0.0, 0.0, -40.0])
    out = out / np.linalg.norm(out)
    tip = lesion.centre_mm - out * lesion.diameter_mm / 2
    parts = [along - np.float32(c) for along, c in zip(axes, tip, strict=True)]
    along_it = sum(np.float32(o) * part for o, part in zip(out, parts, strict=True))
    across = np.sqrt(np.clip(sum(part**2 for part in parts) - along_it**2, 0, None))
    cone = (along_it * np.float32(0.53) - across) * np.float32(0.88)
    return np.asarray(np.minimum(cone, np.float32(lesion.diameter_mm) - along_it), dtype=np.float32)


def paint_lesion(
    canvas: Canvas,
    space: Space,
    patient: Patient,
    lesion: Lesion,
    blood: Blood,
    window: Window,
    depth: Image,
    radius: Image,
) -> None:
    """Paint a lesion whose outline is known into every phase."""
    if lesion.kind == "focal":
        difference = FOCAL_HU * (1 if lesion.bright else -1) * cover(depth, 2.5)
        canvas.add(window, [difference] * len(canvas.images))
        return
    if lesion.kind == "perfusion":
        early = (blood.times_s > 20) & (blood.times_s < 50)
        difference = PERFUSION_HU * cover(depth, 3.0)
        canvas.add(window, [difference * soon for soon in early])
        return
    if lesion.kind == "cyst":
        canvas.paint(window, depth, [float(hu) for hu in blood.shade("cyst")], soft=1.0)
        return
    axes = space.axes(window)
    own = _shades(lesion, patient, axes, _Supply(blood, lesion), depth, radius, canvas.edge_mm)
    background = patient.liver_hu + blood.rise("liver")
    nominal = blood.shade("liver")
    unusual = patient.liver_hu - 57
    shades = [
        here + lesion.gain * (shade - usual - FATTY_SHARE * unusual)
        for here, shade, usual in zip(background, own, nominal, strict=True)
    ]
    canvas.paint(window, depth, shades, soft=1.7 if lesion.kind in ("icc", "metastasis") else 1.25)


def _shades(
    lesion: Lesion, patient: Patient, axes: Axes, blood: _Supply, depth: Image, radius: Image, edge_mm: float
) -> Sequence[Image]:
    """HU in every phase in a liver of 57 HU, by the table."""
    rng = np.random.default_rng([patient.seed, 7200, lesion.stream])
    d, centre = lesion.diameter_mm, lesion.centre_mm
    low, high = centre - 0.75 * d - 16, centre + 0.75 * d + 16
    grain = draw_field(rng, low, high, lesion.texture_mm).sample(axes) if lesion.texture_mm else np.float32(0)
    match lesion.kind:
        case "hcc" | "atypical_hcc":
            necrosis = draw_field(rng, low, high, NECROSIS_MM).sample(axes)
            dead = np.clip((necrosis - 0.9) * 1.6, 0, 1) * (d > NECROTIC_FROM_MM)
            capsule = 0.5 * np.exp(-(((depth - 1) / (1.0 + 0.65 * edge_mm)) ** 2))
            shades = []
            for own, rim in zip(blood.rise(lesion.kind), blood.shade("hcc_capsule"), strict=True):
                inside = 47 + own * (1 + 0.22 * grain) - 25 * dead
                shades.append(inside + capsule * (rim - inside))
            return shades
        case "icc":
            rim = np.exp(-(((radius - 0.88) / 0.16) ** 2))
            scar = 10 * np.clip((0.3 - radius) / 0.2, 0, 1)
            return [
                41 + core * (1 + 0.2 * grain) * (1 - rim) + edge * rim - scar
                for core, edge in zip(blood.rise("icc"), blood.rise("icc_rim"), strict=True)
            ]
        case "metastasis":
            rim = np.exp(-(((radius - 0.85) / 0.16) ** 2))
            dead = 8 * np.clip((0.55 - radius) / 0.25, 0, 1)
            return [
                38 + core * (1 - rim) + edge * rim + 4 * grain - dead
                for core, edge in zip(blood.rise("metastasis"), blood.rise("metastasis_rim"), strict=True)
            ]
        case "haemangioma":
            return _haemangioma(lesion, axes, blood)
        case "fnh":
            scar = np.exp(-((radius / 0.2) ** 2)) * (d > SCARRED_FROM_MM)
            return [
                (51 + own * (1 + 0.05 * grain)) * (1 - scar) + late * scar
                for own, late in zip(blood.rise("fnh"), blood.shade("fnh_scar"), strict=True)
            ]
        case _:
            fat = 20 * np.clip(grain - 1.1, 0, 1)
            return [53 + own * (1 + 0.18 * grain) - fat for own in blood.rise("adenoma")]


def _haemangioma(lesion: Lesion, axes: Axes, blood: _Supply) -> list[Image]:
    d = lesion.diameter_mm
    places = lesion.centre_mm + 0.43 * d * lesion.seeds
    gaps = [np.sqrt(sum((a - np.float32(c)) ** 2 for a, c in zip(axes, p, strict=True))) for p in places]
    nearest = np.minimum.reduce(gaps)
    shades = []
    for time, rise in zip(blood.times_s, blood.rise("haemangioma"), strict=True):
        front = 0.11 * d + 0.0016 * d * (time - 22)
        filled = np.float32(1) if lesion.flash else cover(np.asarray(front - nearest, np.float32), 1.5)
        shades.append(np.asarray(38 + rise * filled * np.ones_like(nearest), dtype=np.float32))
    return shades


def reach_mm(lesion: Lesion, edge_mm: float) -> Numbers:
    """How far from its centre a lesion changes the picture, along z, y, x."""
    wide = 1.35 if lesion.kind == "perfusion" else 0.68
    return np.full(3, wide * lesion.diameter_mm + 8 * edge_mm + 4)
