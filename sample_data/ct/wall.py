"""The body's wall: skin, fat, muscles, ribs, spine and the table below.

Places are (z, y, x) millimetres for average build, the middle of the liver's height at z = 0 and the spine at y = 54.
"""

import numpy as np

from sample_data.ct.blood import Blood
from sample_data.ct.canvas import Canvas, Shade, cover
from sample_data.ct.field import Image, draw_field
from sample_data.ct.patch import Patch, patch
from sample_data.ct.patient import BODY_BOX_MM, Patient, cavity
from sample_data.ct.space import Space, join, upright

AIR_HU, FAT_HU, SKIN_HU, CORTEX_HU, CARTILAGE_HU, MARROW_HU = -1000.0, -103.0, 20.0, 430.0, 110.0, 165.0


def paint_wall(space: Space, patient: Patient, blood: Blood, edge_mm: float, rng: np.random.Generator) -> Canvas:
    """Paint everything that lies around the abdominal cavity, and fat inside it."""
    canvas = _soft(space, patient, blood, edge_mm, rng)
    _ribs(canvas, space, patient)
    grain = draw_field(rng, (-130, -10, -80), (130, 140, 80), 3.0)
    back = patch(canvas, space, patient, (0, 74, 0), (400, 60, 60))
    if back is not None:
        _spine(back, back.sample(grain))
    return canvas


def _soft(space: Space, patient: Patient, blood: Blood, edge_mm: float, rng: np.random.Generator) -> Canvas:
    """Skin, fat and muscles: the same in every slice but for the fat's texture."""
    _, y, x = (along / np.float32(patient.build) for along in space.axes())
    axes = (np.zeros((1, 1, 1), np.float32), y, x)
    phases = len(blood.times_s)
    thin = Canvas(np.full((phases + 1, 1, *space.shape[1:]), AIR_HU, np.float32), edge_mm)
    thin.images[-1] = 0  # the last picture says how much of a voxel is fat
    window = (slice(0, 1), slice(0, space.shape[1]), slice(0, space.shape[2]))

    def put(depth: Image, hu: Image | float, *, fat: float = 0.0) -> None:
        shades: list[Shade] = [float(one) for one in np.broadcast_to(hu, phases)]
        thin.paint(window, depth * np.float32(patient.build), [*shades, fat])

    table = upright(axes, (-150, 0), (285, 320))
    put(np.minimum(table, y - 119), -180)
    put(np.minimum(table - 3, y - 121), -930)
    body = join(upright(axes, (4, 0), (112, 160)), upright(axes, (12, 0), (106, 150)), 0.2)
    body = join(body, upright(axes, (30, 0), (86, 120)), 0.2)
    muscle = blood.shade("muscle")
    put(body, SKIN_HU)
    put(body - 2.2, FAT_HU, fat=1)
    put(body - (15 - 4 * np.abs(x) / 160), muscle)
    put(cavity(axes, 1.0), FAT_HU, fat=1)
    for side in (-1, 1):
        put(upright(axes, (78, side * 34), (19, 27), turned=-0.2 * side), muscle)
        put(upright(axes, (50, side * 31), (14, 11)), muscle)
    coarse, fine = (draw_field(rng, *BODY_BOX_MM, length) for length in (20, 6))
    strands = 6 * coarse.sample(space.axes()) + 55 * np.clip(fine.sample(space.axes()) - 1.7, 0, 1)
    images = np.repeat(thin.images[:-1], space.shape[0], axis=1)
    images += thin.images[-1] * strands
    return Canvas(images, edge_mm)


def _ribs(canvas: Canvas, space: Space, patient: Patient) -> None:
    """Ribs descend on their way to the front and become cartilage; only voxels of the wall are visited."""
    z, y, x = (along / np.float32(patient.build) for along in space.axes())
    around = np.arctan2(np.abs(x), y + 2 + 0 * x)[0]  # 0 at the back, pi in front
    inner = upright((z[:1] * 0, y, x), (-1, 0), (89, 135))[0]
    near = (np.abs(inner) < 9) & (around > 0.25)
    down, across = np.nonzero(near)
    if not len(down):
        return
    cycle = np.mod(z[:, 0] + 58 * around[near] + 6, 29) - 14.5
    depth = (1 - np.sqrt((inner[near] / 4.2) ** 2 + (cycle / 5.5) ** 2)) * 4.2
    lowest = -105 + 20 * around[near] + 150 * np.clip(around[near] - 1.9, 0, None)  # the costal arch
    depth = np.where(z[:, 0] < lowest, -9, depth)
    soft = around[near] > 2.35
    layers = ((np.where(soft, CARTILAGE_HU, CORTEX_HU), 0.0), (np.where(soft, 95, 170), 1.6))
    for hu, inset in layers:
        part = cover(((depth - inset) * patient.build).astype(np.float32), canvas.edge_mm)
        for image in canvas.images:
            below = image[:, down, across]
            image[:, down, across] = below + part * (hu.astype(np.float32) - below)


def _spine(back: Patch, grain: Image) -> None:
    z, y, x = back.axes
    disc = np.abs(np.mod(z + 4, 36) - 18)  # from the middle of a disc
    in_disc = cover(4.2 - disc, 0.7)
    body = upright((z, y, x), (54, 0), (17, 22))
    back.paint(body, CORTEX_HU - 100 + in_disc * (185 - CORTEX_HU) + 0 * body)
    back.paint(body - 1.6, (MARROW_HU + 16 * grain) * (1 - in_disc) + 85 * in_disc)
    back.paint(upright((z, y, x), (79, 0), (11, 14)), 240)
    back.paint(upright((z, y, x), (77, 0), (8, 9.5)), 28)
    level = np.abs(np.mod(z + 10, 36) - 18)
    back.paint(np.minimum(upright((z, y, x), (94, 0), (10, 3)), 13 - level), 300)
    for side in (-1, 1):
        back.paint(upright((z, y, x), (80, side * 13), (8, 4.5), turned=-0.5 * side), 290)
        wing = upright((z, y, x), (72, side * 27), (3.4, 15), turned=-0.35 * side)
        back.paint(np.minimum(wing, 5 - disc), 290)
