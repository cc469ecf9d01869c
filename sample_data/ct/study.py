"""A four-phase CT study with lesions and its ground truth."""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from sample_data.ct import scanner
from sample_data.ct.blood import Blood
from sample_data.ct.field import Image
from sample_data.ct.lesion import outline, paint_lesion, reach_mm
from sample_data.ct.motion import Motion, carry, draw_motion, moving, sources
from sample_data.ct.organs import paint_organs
from sample_data.ct.patient import Lesion, Numbers, Patient, Solid, draw_patient
from sample_data.ct.space import PRESETS, Size, Space, Window, space_for
from sample_data.ct.wall import paint_wall

Phase = Literal["nc", "arterial", "venous", "delayed"]
PHASES: Final[tuple[Phase, ...]] = ("nc", "arterial", "venous", "delayed")
REFERENCE: Final = PHASES.index("venous")
TIMES_S: Final = (0.0, 35.0, 70.0, 180.0)  # after the injection began; the first one before it
MISTIMING_S: Final = 8.0
FOLLOW_UP_SHARE: Final = 0.25
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Box:
    """Where one phase shows a lesion.

    Attributes:
        voxels: (i, j, k, i, j, k), first and last column, row and slice, the last included.
        lps_mm: (x, y, z, x, y, z), outer edges of these voxels.
        centre_lps_mm: (x, y, z) of the lesion's centre.
    """

    voxels: tuple[int, int, int, int, int, int]
    lps_mm: tuple[float, float, float, float, float, float]
    centre_lps_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class CTPhase:
    """One phase of K slices of (J, I) voxels.

    Attributes:
        phase: which.
        time_s: after the injection began; 0 before it.
        hu: (K, J, I) int16, feet first.
        liver: (K, J, I) bool, lesions are not cut out of it.
        labels: (K, J, I) uint8, 1 for the first of the study's lesions and so on, mimics too; 0 elsewhere.
        boxes: one per lesion.
        motion: against the venous phase.
    """

    phase: Phase
    time_s: float
    hu: NDArray[np.int16]
    liver: Mask
    labels: NDArray[np.uint8]
    boxes: tuple[Box, ...]
    motion: Motion


@dataclass(frozen=True, slots=True, eq=False)
class CTStudy:
    """A study.

    Attributes:
        patient: who.
        visit: 0 for the first study of the patient.
        size: preset.
        grid: of every phase, LPS.
        lesions: the primary first, then other solid ones, then mimics; as the ``labels`` count them.
        phases: four, in the order of ``PHASES``.
        noise_hu: standard deviation in the middle of the body.
        strength: enhancement over that of the table.
    """

    patient: Patient
    visit: int
    size: Size
    grid: Grid
    lesions: tuple[Lesion, ...]
    phases: tuple[CTPhase, ...]
    noise_hu: float
    strength: float

    def __getitem__(self, phase: Phase) -> CTPhase:
        return self.phases[PHASES.index(phase)]


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """How a patient is scanned on one day, drawn before any picture.

    Attributes:
        times_s: of the phases.
        strength: enhancement over that of the table.
        noise_hu: standard deviation in the middle of the body.
        grown_mm: by how much each lesion's diameter changed since the first study.
    """

    times_s: tuple[float, ...]
    strength: float
    noise_hu: float
    grown_mm: tuple[float, ...]


def visits_of(seed: int) -> int:
    """How many studies a patient has where follow-ups are asked for: 1 or 2."""
    return 1 + int(np.random.default_rng([seed, 7300]).random() < FOLLOW_UP_SHARE)


def draw_visit(patient: Patient, visit: int, size: Size) -> Visit:
    """Draw how a patient is scanned."""
    rng = np.random.default_rng([patient.seed, 7400, visit])
    late = rng.normal(0, MISTIMING_S, 3).clip(-12, 12)
    times = np.array(TIMES_S) + np.array([0, 0.7, 1, 2]) * np.array([0, *late])
    strength = float(rng.uniform(0.75, 1.15))
    noise_hu = float(rng.uniform(*PRESETS[size].noise_hu))
    grown = rng.normal(1, 2, len(patient.lesions)).clip(-2, 3.5) * (visit > 0)
    return Visit(
        times_s=tuple(round(float(time), 2) for time in times),
        strength=strength,
        noise_hu=noise_hu,
        grown_mm=tuple(float(mm) for mm in grown),
    )


def simulate(
    seed: int,
    *,
    visit: int = 0,
    size: Size = "small",
    primary: Solid | None = None,
    contrast: float = 1.0,
    size_informative: bool = False,
) -> CTStudy:
    """Simulate a patient's study, the same bytes for the same arguments.

    Args:
        seed: of the patient.
        visit: 0 for the first study, 1 and more for follow-ups: the same anatomy, scanned again.
        size: "small" is 24 x 72 x 96 voxels of about 6 x 2.3 x 2.3 mm about the liver; "full" 40 x 512 x 512 of
            5 x 0.69 x 0.69 mm.
        primary: what the primary lesion is; None draws it.
        contrast: multiplies the contrast of solid lesions to the liver: the smaller, the harder they are to find.
        size_informative: let the size of a lesion tell what it is (a control for tests).

    Raises:
        BadInputError: an argument is out of range.
    """
    if size not in PRESETS:
        raise BadInputError("size", expected=", ".join(PRESETS), came=repr(size), fix="Choose one of these.")
    if visit < 0:
        raise BadInputError("visit", expected="0 or more", came=str(visit), fix="Count visits from 0.")
    patient = draw_patient(seed, primary=primary, size_informative=size_informative)
    today = draw_visit(patient, visit, size)
    if not contrast > 0:
        raise BadInputError("contrast", expected="more than 0", came=str(contrast), fix="1 is the table's.")
    preset, space = PRESETS[size], space_for(size, patient.build)
    blood = Blood(today.times_s, today.strength)
    liver = patient.liver(space.axes())
    around = _around(liver, space)
    canvas = paint_wall(space, patient, blood, preset.edge_mm, np.random.default_rng([seed, 7001]))
    paint_organs(canvas, space, patient, blood, liver, around)
    lesions = tuple(_today(lesion, mm, contrast) for lesion, mm in zip(patient.lesions, today.grown_mm, strict=True))
    outlines = []
    for lesion in lesions:
        window = space.around(lesion.centre_mm, reach_mm(lesion, preset.edge_mm))
        if window is None:
            raise BadInputError(f"seed {seed}", expected="lesions on the grid", came="one beyond it", fix="Report it.")
        depth, radius = outline(lesion, patient, space.axes(window), liver[window])
        paint_lesion(canvas, space, patient, lesion, blood, window, depth, radius)
        outlines.append((window, depth))
    window = moving(space, patient.build)
    phases = []
    for index, phase in enumerate(PHASES):
        rng = np.random.default_rng([seed, 7500, visit, index])
        motion = draw_motion(rng, space, patient.build, preset.shift_mm, still=index == REFERENCE)
        picture = canvas.images[index]
        inside = liver > 0
        if index != REFERENCE:
            source = sources(motion, space, window)
            picture[window] = carry(picture[window], source, window)
            inside = np.zeros(space.shape, bool)
            part = source[:, *(slice(a.start - b.start, a.stop - b.start) for a, b in zip(around, window, strict=True))]
            inside[around] = carry(liver[around], part, around, beyond=-30.0) > 0
        noisy = scanner.blur(picture, space) + scanner.noise(rng, space, patient.build, today.noise_hu)
        labels, boxes = _labels(space, motion, lesions, outlines)
        phases.append(
            CTPhase(
                phase=phase,
                time_s=today.times_s[index],
                hu=np.rint(np.clip(noisy, -1024, 3071)).astype(np.int16),
                liver=inside,
                labels=labels,
                boxes=boxes,
                motion=motion,
            )
        )
    return CTStudy(
        patient=patient,
        visit=visit,
        size=size,
        grid=space.grid,
        lesions=lesions,
        phases=tuple(phases),
        noise_hu=today.noise_hu,
        strength=today.strength,
    )


def _today(lesion: Lesion, mm: float, contrast: float) -> Lesion:
    diameter = max(5.0, lesion.diameter_mm + mm)
    radii = lesion.radii_mm * (diameter / lesion.diameter_mm)
    return replace(lesion, diameter_mm=diameter, radii_mm=radii, gain=lesion.gain * contrast)


def _around(liver: Image, space: Space) -> Window:
    """Voxels within 20 mm of the liver, further than it ever moves."""
    found = ndimage.find_objects((liver > 0).astype(np.uint8))[0]
    more = [int(np.ceil(20 / step)) for step in space.spacing_mm]
    z, y, x = (
        slice(max(0, part.start - wide), min(count, part.stop + wide))
        for part, wide, count in zip(found, more, space.shape, strict=True)
    )
    return z, y, x


def _labels(
    space: Space, motion: Motion, lesions: tuple[Lesion, ...], outlines: list[tuple[Window, NDArray[np.float32]]]
) -> tuple[NDArray[np.uint8], tuple[Box, ...]]:
    """Mark what a phase shows of every lesion: voxels whose middle is inside, and always the one at its centre."""
    labels = np.zeros(space.shape, np.uint8)
    boxes = []
    for number, (lesion, (window, depth)) in enumerate(zip(lesions, outlines, strict=True), 1):
        inside = carry(depth, sources(motion, space, window), window, beyond=-30.0) > 0
        centre = motion.from_venous(lesion.centre_mm)
        nearest = np.rint((centre - space.origin_mm) / space.spacing_mm).astype(int)
        nearest = np.clip(nearest, 0, np.array(space.shape) - 1)
        part = labels[window]
        part[inside & (part == 0)] = number
        labels[tuple(nearest)] = number
        boxes.append(_box(space, np.argwhere(labels == number), centre))
    return labels, tuple(boxes)


def _box(space: Space, voxels: NDArray[np.intp], centre: Numbers) -> Box:
    first, last = voxels.min(0)[::-1], voxels.max(0)[::-1]
    step, origin = np.array(space.spacing_mm[::-1]), np.array(space.origin_mm[::-1])
    edges = np.concatenate([origin + (first - 0.5) * step, origin + (last + 0.5) * step])
    return Box(
        voxels=tuple(int(n) for n in (*first, *last)),  # type: ignore[arg-type]
        lps_mm=tuple(round(float(mm), 3) for mm in edges),  # type: ignore[arg-type]
        centre_lps_mm=tuple(round(float(mm), 3) for mm in centre[::-1]),  # type: ignore[arg-type]
    )
