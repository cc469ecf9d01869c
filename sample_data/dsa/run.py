"""A DSA run with tumours and its ground truth."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.transforms.key_frame import select_key_frame
from sample_data.dsa import detector, kinetics
from sample_data.dsa.angiogram import Angiogram, Size, base
from sample_data.dsa.filling import fill, string
from sample_data.dsa.lesions import DEFECT, Footprint, Kind, Lesion, Role, draw_lesions, footprint
from sample_data.dsa.organs import coarse_shape, draw_organs
from sample_data.dsa.vessels import feeders
from sample_data.noise import Image, power_law
from sample_data.resample import cubic, translate

Mask = NDArray[np.bool_]

FRAMES_BEFORE = 9  # the temporal difference starts so long before the key frame (paper 000, section 2.2)
LABELLED_FRAMES = 3  # the key frame and the two after it
STAIN = 0.085  # line integral of the liver's stain where it is thickest, for a gain of 1
LIVER_GAIN = (0.25, 0.70)
CALIBRATED_GAIN = 1.15  # the difficulty was calibrated with every stain this much stronger


@dataclass(frozen=True, slots=True)
class Tumour:
    """One tumour as the key frame shows it.

    Attributes:
        kind: "hyper" (rich blood supply) or "hypo" (poor).
        box_px: (xmin, ymin, xmax, ymax), the last column and row included.
        centre_px: (x, y), centroid.
        size_px: diameter of the circle of the same area.
    """

    kind: Kind
    box_px: tuple[int, int, int, int]
    centre_px: tuple[float, float]
    size_px: float

    @property
    def blood_supply(self) -> str:
        """ "rich" or "poor"."""
        return "rich" if self.kind == "hyper" else "poor"


@dataclass(frozen=True)
class DSARun:
    """A run of F frames of (H, W) pixels with its truth.

    Attributes:
        seed, draw: what it was drawn from.
        frames: (F, H, W) uint8, subtracted picture, g = 150 + 460 D.
        frame_time_ms: between two frames.
        key_frame: what ``select_key_frame`` chooses in ``frames``.
        imager_spacing_mm, pixel_spacing_mm: pixel on the detector and at the isocentre.
        tumour: (3, H, W) bool, on the key frame and the two after it, where breathing has moved them.
        liver: (3, H, W) bool, likewise; tumours are not cut out of it.
        tumours: one by one, on the key frame.
        confounder_a, confounder_b: (H, W) bool, on the key frame.
        difference: (F, H, W) float32, D = ln(intensity) less that of the mask, before clipping.
        mask: (H, W) float32, ln(intensity) of the mask: the mean of the first two frames.
        closed: (H, W) float32, collimator, 1 where shut.
    """

    seed: int
    draw: int
    frames: NDArray[np.uint8]
    frame_time_ms: float
    key_frame: int
    imager_spacing_mm: float
    pixel_spacing_mm: float
    tumour: Mask
    liver: Mask
    tumours: tuple[Tumour, ...]
    confounder_a: Mask
    confounder_b: Mask
    difference: Image
    mask: Image
    closed: Image

    @property
    def frame_times_ms(self) -> NDArray[np.float64]:
        """(F,), from the first frame."""
        return np.arange(len(self.frames), dtype=np.float64) * self.frame_time_ms

    @cached_property
    def live(self) -> NDArray[np.uint16]:
        """(F, H, W), unsubtracted picture, 12 bit.

        g = 150 + (live - mean(live[:2])) / 2 gives the subtracted picture back inside the collimator.
        """
        return detector.display_live(self.mask + self.difference, self.closed)


def simulate(seed: int, *, size: Size = "small", confounder_a: bool = True, confounder_b: bool = True) -> DSARun:
    """Simulate one patient's run, the same bytes for the same arguments."""
    return draw(base(seed, size=size), confounder_a=confounder_a, confounder_b=confounder_b)


def draw(base: Angiogram, draw: int = 0, *, confounder_a: bool = True, confounder_b: bool = True) -> DSARun:
    """Add tumours, confounders and the stain of liver and neighbours to an angiogram.

    Args:
        base: from ``base``; it is not changed and serves any number of draws.
        draw: which set of lesions, 0 or more.
        confounder_a: add tumour-like blobs inside the liver that only time tells from tumours.
        confounder_b: add tumour-like blushes outside the liver that only place tells from tumours.

    Raises:
        BadInputError: ``draw`` is negative, or the run has no usable key frame (none of the 340 seeds tried did).
    """
    if draw < 0:
        raise BadInputError("draw", expected="0 or more", came=str(draw), fix="Count draws from 0.")
    lesions = draw_lesions(base, draw, confounder_a=confounder_a, confounder_b=confounder_b)
    rng = np.random.default_rng([base.seed, 100 + draw, 3])
    texture = cubic(power_law(coarse_shape(base.shape), 2.6, rng, high=0.35), base.shape)
    texture = np.clip(1 + 0.45 * texture, 0.1, 2.2)
    prints = [footprint(lesion, base.shape, base.anatomy.scale, texture) for lesion in lesions]
    difference = base.difference - _contrast(base, lesions, prints, rng)
    frames = detector.display(difference, base.closed)
    key = select_key_frame(frames)
    if not FRAMES_BEFORE <= key <= len(frames) - LABELLED_FRAMES:
        raise BadInputError(
            f"seed {base.seed}, draw {draw}",
            expected=f"a key frame with {FRAMES_BEFORE} frames before and {LABELLED_FRAMES - 1} after it",
            came=f"frame {key} of {len(frames)}",
            fix="Choose another seed.",
        )

    def moved(rest: Mask, frame: int) -> Mask:
        down, right = float(base.motion.down_px[frame]), float(base.motion.right_px[frame])
        return translate(rest.astype(np.float32), down, right) > 0.5

    def merged(role: Role) -> Mask:
        rest = np.zeros(base.shape, dtype=bool)
        for lesion, part in zip(lesions, prints, strict=True):
            if lesion.role == role:
                rest[part.window] |= part.inside
        return rest

    labelled = range(key, key + LABELLED_FRAMES)
    tumour = merged("tumour")
    shapes = [(lesion.kind, part) for lesion, part in zip(lesions, prints, strict=True) if lesion.role == "tumour"]
    return DSARun(
        seed=base.seed,
        draw=draw,
        frames=frames,
        frame_time_ms=base.motion.frame_time_ms,
        key_frame=key,
        imager_spacing_mm=base.imager_spacing_mm,
        pixel_spacing_mm=base.pixel_spacing_mm,
        tumour=np.stack([moved(tumour, frame) for frame in labelled]),
        liver=np.stack([moved(base.anatomy.liver, frame) for frame in labelled]),
        tumours=tuple(_describe(kind, moved(_whole(part, base.shape), key)) for kind, part in shapes),
        confounder_a=moved(merged("a"), key),
        confounder_b=moved(merged("b"), key),
        difference=difference,
        mask=base.mask,
        closed=base.closed,
    )


def _contrast(base: Angiogram, lesions: list[Lesion], prints: list[Footprint], rng: np.random.Generator) -> Image:
    """Line integrals (F, H, W) of all stains and feeders, as the detector and the vendor's processing show them."""
    anatomy, motion = base.anatomy, base.motion
    gain = rng.uniform(*LIVER_GAIN) * STAIN
    under = [(lesion.centre_px, lesion.diameter_px) for lesion in lesions if lesion.role == "b"]
    tissue = gain * (base.texture + draw_organs(anatomy, under, rng))
    at_rest = float(kinetics.parenchyma(motion.still_s))
    parts = []
    for lesion, part in zip(lesions, prints, strict=True):
        if lesion.lasting:
            bright = -DEFECT[lesion.kind] * part.cover * tissue[part.window] * np.float32(at_rest / 0.9)
            parts.append((part.window, part.stain + bright, lesion.curve))
        else:
            tissue[part.window] *= 1 - DEFECT[lesion.kind] * part.cover
            parts.append((part.window, part.stain, lesion.curve))
    strung = [
        string(
            feeders((base.hepatic, base.gastric), lesion.centre_px, lesion.diameter_px, anatomy.scale, rng),
            rng,
            curl_px=8 * anatomy.scale,
        )
        for lesion in lesions
        if lesion.kind == "hyper"
    ]
    fed = fill(strung, base.shape, anatomy.scale) if strung else None
    shown = np.empty_like(base.difference)
    for frame, time_s in enumerate(motion.times_s):
        contrast = tissue * np.float32(kinetics.parenchyma(time_s))
        for window, stain, curve in parts:
            contrast[window] += stain * np.float32(curve[frame])
        contrast *= np.float32(CALIBRATED_GAIN)
        if fed is not None:
            contrast += fed.contrast(float(time_s), base.injection_s)
        moved = translate(contrast, float(motion.down_px[frame]), float(motion.right_px[frame]))
        shown[frame] = detector.sharpen(detector.blur(moved, anatomy.scale), anatomy.scale)
    return shown


def _whole(part: Footprint, shape: tuple[int, int]) -> Mask:
    rest = np.zeros(shape, dtype=bool)
    rest[part.window] = part.inside
    return rest


def _describe(kind: Kind, where: Mask) -> Tumour:
    y, x = np.nonzero(where)
    return Tumour(
        kind=kind,
        box_px=(int(x.min()), int(y.min()), int(x.max()), int(y.max())),
        centre_px=(round(float(x.mean()), 2), round(float(y.mean()), 2)),
        size_px=round(2 * float(np.sqrt(len(x) / np.pi)), 2),
    )
