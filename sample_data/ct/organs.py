"""What lies in the abdominal cavity and above it, in every phase, but for lesions.

Places are (z, y, x) millimetres for average build, the middle of the liver's height at z = 0 and the spine at y = 54.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from sample_data.ct.blood import Blood
from sample_data.ct.canvas import Canvas, capsules
from sample_data.ct.field import Field, Image, draw_field
from sample_data.ct.patch import Patch, patch
from sample_data.ct.patient import BODY_BOX_MM, GALLBLADDER, Patient
from sample_data.ct.space import Space, Window, ellipsoid, join, upright
from sample_data.ct.wall import FAT_HU

LUNG_HU: Final = -850.0
SPLEEN: Final = (((-6, 26, 99), (46, 40, 17)), ((8, 38, 90), (36, 20, 24)))
STOMACH: Final = ((4, -30, 56), (44, 28, 38))
KIDNEYS: Final = ((-60, 46, -58), (-46, 46, 62))
BOWEL: Final = (  # z, y, x and size; every third holds air
    (-64, 10, 34, 14), (-80, -30, 40, 18), (-70, -44, -4, 16), (-88, -36, -52, 20), (-50, -6, 78, 15), (-92, 8, 6, 15),
    (-86, -8, 84, 17), (-96, 0, -92, 19), (-100, -58, 20, 16),
)  # fmt: skip
HEPATIC_ARTERY: Final = np.array(
    [
        [-8.0, 22, 10, -10, 10, 2, 2.2, 2.0],
        [-10, 10, 2, -16, 3, -8, 2.0, 1.7],
        [-16, 3, -8, -12, -3, -20, 1.7, 1.3],
    ]
)
CAVA: Final = np.array([[-100.0, 22, -28, 90, 16, -28, 10, 10]])

Part = Callable[[ArrayLike, ArrayLike], Patch | None]


def paint_organs(
    canvas: Canvas, space: Space, patient: Patient, blood: Blood, liver: Image, liver_window: Window
) -> None:
    """Paint the organs of one patient.

    Args:
        canvas: with the body's wall.
        space: where the voxels are.
        patient: whose organs.
        blood: when the phases are.
        liver: distance to the liver's surface on the whole grid, positive inside.
        liver_window: voxels that its edge reaches.
    """
    rng = np.random.default_rng([patient.seed, 7002])
    lumps, tubes = (draw_field(rng, *BODY_BOX_MM, length) for length in (9.0, 7.0))

    def part(centre: ArrayLike, reach: ArrayLike) -> Patch | None:
        return patch(canvas, space, patient, centre, reach)

    chest = part((60, -2, 0), (110, 90, 136))
    if chest is not None:
        _lungs(chest, chest.sample(tubes), liver[chest.window] / np.float32(patient.build))
    _heart(part, blood)
    for centre in KIDNEYS:
        _kidney(part, blood, centre)
    _spleen(part, blood, lumps)
    _stomach(part, blood, lumps)
    _pancreas(part, blood, lumps)
    _bowel(part, blood, lumps)
    whole = Patch(canvas, space, patient, liver_window)
    _liver(whole, blood, liver[liver_window], rng)
    if patient.gallbladder:
        _gallbladder(part, blood)
    _great_vessels(part, blood)
    _liver_vessels(whole, blood, liver[liver_window])


def _lungs(chest: Patch, tubes: Image, liver: Image) -> None:
    """Above two domes of the diaphragm, hugging liver, spleen and stomach."""
    z, y, x = chest.axes
    domes = [
        top - fall * (((x - side) / 70) ** 2 + ((y - 2) / 78) ** 2) for side, top, fall in ((-62, 52, 72), (62, 44, 70))
    ]
    free = np.minimum(upright((z, y, x), (-3, 0), (84, 129)), 0.6 * (z - np.maximum(*domes)))
    middle = 12 + 16 * np.exp(-(((y - 44) / 34) ** 2)) + 12 * np.exp(-(((y + 78) / 30) ** 2))
    free = np.minimum(free, np.abs(x - 2) - middle)
    free = np.minimum(free, z - (12 - 38 * np.clip((y + 40) / 110, 0, 1)))
    free = np.minimum(free, -liver - 3)
    for body in (*SPLEEN, STOMACH):
        free = np.minimum(free, -ellipsoid((z, y, x), *body) - 3.5)
    chest.paint(free, LUNG_HU + 30 * y / 80 + 500 * np.clip(tubes - 1.5, 0, 1))


def _heart(part: Part, blood: Blood) -> None:
    here = part((112, -30, 22), (66, 62, 74))
    if here is not None:
        bent = here.bent
        here.paint(ellipsoid(bent, (112, -30, 22), (48, 47, 60), turned=0.5), list(45 + 0.55 * (blood.aorta - 40)))
        here.paint(ellipsoid(bent, (116, -28, 26), (36, 24, 34), turned=0.5), list(0.95 * blood.aorta))


def _kidney(part: Part, blood: Blood, centre: tuple[float, float, float]) -> None:
    here = part(centre, (64, 42, 46))
    if here is None:
        return
    z, y, x = axes = here.axes
    turned = -0.5 * float(np.sign(centre[2]))
    lobes = 0.5 + 0.5 * np.sin(7 * np.arctan2(y - centre[1], x - centre[2])) * np.cos((z - centre[0]) / 5)
    filled = np.interp(blood.times_s, [0, 35, 70, 180], [1.0, 0.25, 0.75, 1.05])
    sinus = (centre[0], centre[1] - 1, centre[2] * 0.93)
    here.paint(ellipsoid(axes, centre, (56, 28, 36), turned=turned), FAT_HU)
    here.paint(ellipsoid(axes, centre, (50, 22, 30), turned=turned), list(blood.shade("kidney_cortex")))
    medulla = ellipsoid(axes, centre, (40, 15, 22), turned=turned) - 4 * lobes
    here.paint(medulla, list(35 + filled * blood.rise("kidney_cortex")))
    here.paint(ellipsoid(axes, sinus, (26, 6, 10), turned=turned), -80)
    urine = [260.0 if time >= 150 else 8.0 for time in blood.times_s]
    here.paint(ellipsoid(axes, sinus, (12, 3.5, 6), turned=turned), urine)


def _spleen(part: Part, blood: Blood, lumps: Field) -> None:
    here = part((0, 30, 94), (66, 66, 60))
    if here is None:
        return
    z, y, x = bent = here.bent
    body = join(ellipsoid(bent, *SPLEEN[0], turned=0.25), ellipsoid(bent, *SPLEEN[1], turned=0.4), 0.12)
    bands = np.sin((0.55 * x + 0.33 * y + 0.3 * z + 6 * here.sample(lumps)) / 5.5)
    shades = [hu + 16 * early * bands for hu, early in zip(blood.shade("spleen"), blood.early, strict=True)]
    here.paint(np.minimum(body, here.cavity - 3), shades)


def _stomach(part: Part, blood: Blood, lumps: Field) -> None:
    here = part(STOMACH[0], (56, 44, 54))
    if here is not None:
        body = np.minimum(ellipsoid(here.bent, *STOMACH, turned=-0.35), here.cavity - 2)
        here.paint(body, list(45 + 1.8 * blood.rise("muscle")))
        here.paint(body - 4, np.where(here.axes[1] < -44, -950, 22 + 7 * here.sample(lumps)), soft=1.4)


def _pancreas(part: Part, blood: Blood, lumps: Field) -> None:
    here = part((-20, 4, 24), (40, 36, 60))
    if here is not None:
        tail = ellipsoid(here.bent, (-16, 6, 32), (13, 8, 32), turned=0.25)
        gland = join(tail, ellipsoid(here.bent, (-30, 10, 0), (18, 10, 13)), 0.4) + 1.6 * here.sample(lumps)
        here.paint(gland, list(40 + 0.209 * (blood.aorta - 40) + 0.33 * (blood.portal - 40)))


def _bowel(part: Part, blood: Blood, lumps: Field) -> None:
    for number, (z, y, x, size) in enumerate(BOWEL):
        here = part((z, y, x), (30, 28, 34))
        if here is None:
            continue
        rough = here.sample(lumps)
        loop = ellipsoid(here.bent, (z, y, x), (size, 0.8 * size, 1.1 * size)) + 1.6 * rough
        loop = np.minimum(loop, here.cavity - 2)
        here.paint(loop, list(50 + 1.5 * blood.rise("muscle")))
        air = (here.axes[1] < y - 0.25 * size) & (number % 3 == 0)
        here.paint(loop - 2.6, np.where(air, -900, 14 + 16 * rough), soft=1.4)


def _liver(whole: Patch, blood: Blood, liver: Image, rng: np.random.Generator) -> None:
    box = ((-110, -120, -170), (110, 100, 100))
    coarse, middle, fine = (whole.sample(draw_field(rng, *box, length)) for length in (25, 8, 2.5))
    grain = whole.patient.texture_hu * (middle + 0.7 * coarse) + 1.2 * fine
    shades = [whole.patient.liver_hu + rise + grain for rise in blood.rise("liver")]
    whole.canvas.paint(whole.window, liver, shades)


def _gallbladder(part: Part, blood: Blood) -> None:
    here = part(GALLBLADDER[0], np.array(GALLBLADDER[1]) + 14)
    if here is not None:
        sac = ellipsoid(here.bent, *GALLBLADDER) - 1.2
        here.paint(sac, list(38 + 1.2 * blood.rise("muscle")))
        here.paint(sac - 1.8, 11)


def _great_vessels(part: Part, blood: Blood) -> None:
    here = part((0, 20, 0), (400, 40, 50))
    if here is not None:
        here.paint(upright(here.axes, (30, 10), (10.5, 10.5)), list(blood.aorta))
        here.paint(capsules(here.axes, CAVA), list(blood.cava))
        here.paint(capsules(here.axes, HEPATIC_ARTERY), list(blood.aorta))


def _liver_vessels(whole: Patch, blood: Blood, liver: Image) -> None:
    inside = liver / np.float32(whole.patient.build) - np.float32(1.5)
    portal = np.minimum(capsules(whole.axes, whole.patient.portal), inside)
    trunk = capsules(whole.axes, whole.patient.portal[:1])
    whole.paint(np.maximum(trunk, portal), list(blood.portal))
    whole.paint(np.minimum(capsules(whole.axes, whole.patient.hepatic), inside), list(blood.hepatic))
