"""Who is imaged: build, liver, vessels and what grows in the liver, drawn without a picture and for any grid."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from sample_data.ct.field import Axes, Field, Image, draw_field
from sample_data.ct.space import cut, ellipsoid, join, upright

Solid = Literal["hcc", "atypical_hcc", "icc", "metastasis", "haemangioma", "fnh", "adenoma"]
Kind = Literal[Solid, "cyst", "focal", "perfusion"]
Numbers = NDArray[np.float64]
DepthOf = Callable[[Axes], Image]

SHARES: Final[dict[Solid, float]] = {
    "hcc": 0.32, "atypical_hcc": 0.10, "icc": 0.14, "metastasis": 0.18, "haemangioma": 0.12, "fnh": 0.08,
    "adenoma": 0.06,
}  # fmt: skip
PATHOLOGY: Final[dict[Kind, str]] = {
    "hcc": "HCC", "atypical_hcc": "HCC", "icc": "ICC", "metastasis": "metastasis", "haemangioma": "benign",
    "fnh": "benign", "adenoma": "benign", "cyst": "cyst", "focal": "none", "perfusion": "none",
}  # fmt: skip
# Calibrated so that a small CenterNet learns to find most lesions from 40 patients and more of them from 240.
MEDIAN_MM, SPREAD, SMALLEST_MM, LARGEST_MM = 32.0, 0.42, 8.0, 90.0
TELLING_MM: Final[dict[str, float]] = {"HCC": 44.0, "ICC": 52.0, "metastasis": 30.0, "benign": 20.0}
EXTRA, EXTRA_METASTASES, CYSTS, FOCAL, PERFUSION_SHARE = 0.6, 1.6, 1.0, 0.8, 0.35
GAIN, VIGOUR, WASHOUT = (0.9, 1.3), 0.2, 0.26  # range; standard deviations, so that mean HU tells kinds badly
TEXTURE_MM: Final[dict[Kind, tuple[float, float]]] = {
    "hcc": (3.0, 5.0), "atypical_hcc": (3.0, 5.0), "fnh": (1.5, 2.0), "icc": (4.0, 6.0), "metastasis": (4.0, 6.0),
    "adenoma": (3.0, 5.0),
}  # fmt: skip
LOBED: Final[dict[Kind, float]] = {"icc": 0.12, "metastasis": 0.08}
BODY_BOX_MM = ((-130.0, -210.0, -210.0), (130.0, 210.0, 210.0))  # about the widest grid
LIVER_BOX_MM = ((-100.0, -110.0, -160.0), (100.0, 90.0, 90.0))
_SPACING_OUT_MM, _LATTICE_MM = 4.0, 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """Something in the liver: a lesion, or what can be mistaken for one.

    Attributes:
        kind: what it is.
        centre_mm: (z, y, x) in the venous phase.
        diameter_mm: before the outline is made irregular.
        radii_mm: along (z, y, x).
        gain: its contrast to the liver over that of the table.
        vigour: its enhancement over that of the table.
        washout: share of its enhancement that it loses from the venous to the delayed phase beyond the table's.
        texture_mm: length over which its enhancement varies; 0 for none.
        seeds: (n, 3), of a haemangioma: unit vectors to where it starts to fill.
        flash: a haemangioma that fills at once.
        bright: brighter than the liver, of a focal difference.
        stream: tells its random fields from those of the others.
    """

    kind: Kind
    centre_mm: Numbers
    diameter_mm: float
    radii_mm: Numbers
    gain: float
    vigour: float
    washout: float
    texture_mm: float
    seeds: Numbers
    flash: bool
    bright: bool
    stream: int

    @property
    def solid(self) -> bool:
        """Whether it is one of the seven kinds a detector is to find."""
        return self.kind in SHARES

    @property
    def pathology(self) -> str:
        """ "HCC", "ICC", "metastasis" or "benign" of a solid lesion; "cyst" or "none" of a mimic."""
        return PATHOLOGY[self.kind]

    @property
    def malignant(self) -> bool:
        """Whether it is a cancer."""
        return self.pathology in ("HCC", "ICC", "metastasis")


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """A patient.

    Attributes:
        seed: of everything.
        build: size over the average.
        warp: three fields that make organs irregular, and one for a nodular surface.
        nodular: millimetres of that surface, 0 for a smooth one.
        liver_hu: without contrast.
        texture_hu: of the liver.
        gallbladder: whether there is one.
        portal, hepatic: (n, 8) vessel segments from (z, y, x) to (z, y, x) and two radii, for average build.
        lesions: the primary first, then other solid ones, then mimics.
    """

    seed: int
    build: float
    warp: tuple[Field, Field, Field, Field]
    nodular: float
    liver_hu: float
    texture_hu: float
    gallbladder: bool
    portal: Numbers
    hepatic: Numbers
    lesions: tuple[Lesion, ...]

    def liver(self, axes: Axes) -> Image:
        """About the distance to the liver in mm, positive inside, on the grid that three axes (z, y, x) span."""
        return liver_depth(axes, self.build, self.warp, self.nodular, gallbladder=self.gallbladder)


GALLBLADDER: Final = ((-38.0, -26.0, -40.0), (24.0, 13.0, 11.0))


def check_seed(seed: int) -> None:
    """Refuse a negative seed.

    Raises:
        BadInputError: it is one.
    """
    if seed < 0:
        raise BadInputError("seed", expected="0 or more", came=str(seed), fix="Count seeds from 0.")


def draw_patient(seed: int, *, primary: Solid | None = None, size_informative: bool = False) -> Patient:
    """Draw a patient, the same for the same arguments.

    Args:
        seed: 0 or more.
        primary: what the primary lesion is; None draws it by ``SHARES``. The rest of the patient stays as it is.
        size_informative: let the size of a lesion tell what it is (a control for tests); otherwise it tells nothing.

    Raises:
        BadInputError: the seed is negative, or ``primary`` is no solid kind.
    """
    check_seed(seed)
    if primary is not None and primary not in SHARES:
        raise BadInputError("primary", expected=", ".join(SHARES), came=repr(primary), fix="Choose one of these.")
    body, blood = (np.random.default_rng([seed, 7000, stream]) for stream in range(2))
    build = float(body.uniform(0.85, 1.15))
    low, high = (np.array(corner) * build - 20 * sign for corner, sign in zip(LIVER_BOX_MM, (1, -1), strict=True))
    warp = tuple(draw_field(body, low, high, length) for length in (45, 45, 45, 9))
    nodular = 0.9 if body.random() < 0.4 else 0.0
    liver_hu = float(body.choice([57, 57, 57, 48, 38]) + body.normal(0, 3))
    texture_hu = float(body.uniform(1, 3))
    gallbladder = bool(body.random() < 0.8)
    fields = (warp[0], warp[1], warp[2], warp[3])

    def depth(axes: Axes) -> Image:
        return liver_depth(axes, build, fields, nodular, gallbladder=gallbladder)

    lesions = tuple(_draw_lesions(seed, depth, low, high, primary=primary, size_informative=size_informative))
    return Patient(
        seed=seed,
        build=build,
        warp=fields,
        nodular=nodular,
        liver_hu=liver_hu,
        texture_hu=texture_hu,
        gallbladder=gallbladder,
        portal=_portal(blood),
        hepatic=_hepatic(blood),
        lesions=lesions,
    )


def wavy(axes: Axes, build: float, warp: Sequence[Field]) -> list[Image]:
    """Coordinates (z, y, x) for average build, bent by a few millimetres: organs drawn in them are irregular."""
    return [
        np.asarray((along + 3 * field.sample(axes)) / np.float32(build), dtype=np.float32)
        for along, field in zip(axes, warp, strict=False)
    ]


def cavity(axes: Axes, build: float) -> Image:
    """About the distance to the inner side of the abdominal wall in mm, positive inside; the same at every height."""
    scaled = [np.asarray(along) / np.float32(build) for along in axes]
    return upright(scaled, (-2, 0), (81, 126)) * np.float32(build)


def liver_depth(axes: Axes, build: float, warp: Sequence[Field], nodular: float, *, gallbladder: bool) -> Image:
    """About the distance to the liver in mm, positive inside: two lobes less hilum, kidney and gallbladder."""
    bent = wavy(axes, build, warp[:3])
    depth = join(
        ellipsoid(bent, (0, -2, -66), (62, 66, 58)), ellipsoid(bent, (22, -36, -6), (34, 32, 70)), softness=0.16
    )
    depth = cut(depth, ellipsoid(bent, (-22, 8, -18), (26, 20, 22)), softness=0.25)
    depth = cut(depth, ellipsoid(bent, (-54, 50, -58), (42, 32, 36)), softness=0.4)
    depth = cut(depth, ellipsoid(bent, (12, 32, 12), (90, 26, 34)), softness=0.3)  # spine and aorta
    depth = np.minimum(depth, cavity(axes, build) / np.float32(build) - np.float32(2.5))
    if gallbladder:
        depth = cut(depth, ellipsoid(bent, *GALLBLADDER), softness=0.5)
    if nodular:
        depth = depth + np.float32(nodular) * warp[3].sample(axes)
    return depth * np.float32(build)


def _draw_lesions(
    seed: int, depth: DepthOf, low: Numbers, high: Numbers, *, primary: Solid | None, size_informative: bool
) -> Iterator[Lesion]:
    """Draw the primary, other solid lesions, mimics; what is drawn for one says nothing about another."""
    kinds, shares = list(SHARES), list(SHARES.values())
    first, others, mimics, places = (np.random.default_rng([seed, 7000, stream]) for stream in range(10, 14))
    drawn = kinds[first.choice(len(kinds), p=shares)]
    main = primary or drawn
    largest = _diameter(first, main, size_informative=size_informative)
    wanted: list[tuple[Kind, float, int]] = [(main, largest, 0)]
    for stream in range(1, 1 + min(5, others.poisson(EXTRA_METASTASES if main == "metastasis" else EXTRA))):
        another = kinds[others.choice(len(kinds), p=shares)]
        kind = main if others.random() < 0.75 else another
        wanted.append((kind, max(6.0, largest * others.uniform(0.3, 0.85)), stream))
    found: list[tuple[Kind, float]] = []
    for _ in range(mimics.poisson(CYSTS)):
        found.append(("cyst", float(np.clip(12 * np.exp(mimics.normal(0, 0.6)), 5, 45))))
    for _ in range(mimics.poisson(FOCAL)):
        found.append(("focal", float(mimics.uniform(8, 26))))
    if mimics.random() < PERFUSION_SHARE:
        found.append(("perfusion", float(mimics.uniform(20, 45))))
    wanted += [(kind, diameter, stream) for stream, (kind, diameter) in enumerate(found, 100)]
    sites = _Sites(depth, low, high)
    for one, diameter, stream in wanted:
        centre = sites.choose(diameter, places, must=stream == 0)
        if centre is not None:
            yield _lesion(np.random.default_rng([seed, 7050, stream]), one, centre, diameter, stream)


def _diameter(rng: np.random.Generator, kind: Solid, *, size_informative: bool) -> float:
    median = TELLING_MM[PATHOLOGY[kind]] if size_informative else MEDIAN_MM
    return float(np.clip(median * np.exp(rng.normal(0, SPREAD)), SMALLEST_MM, LARGEST_MM))


def _lesion(rng: np.random.Generator, kind: Kind, centre: Numbers, diameter: float, stream: int) -> Lesion:
    seeds = rng.standard_normal((rng.integers(4, 7), 3))
    return Lesion(
        kind=kind,
        centre_mm=centre,
        diameter_mm=diameter,
        radii_mm=diameter / 2 * np.exp(rng.normal(0, 0.10, 3)),
        gain=float(rng.uniform(*GAIN)),
        vigour=float(np.exp(rng.normal(-(VIGOUR**2) / 2, VIGOUR))),
        washout=float(rng.normal(0, WASHOUT)),
        texture_mm=float(rng.uniform(*TEXTURE_MM.get(kind, (0.0, 0.0)))),
        seeds=seeds / np.linalg.norm(seeds, axis=1, keepdims=True),
        flash=bool(rng.random() < 0.2),
        bright=bool(rng.random() < 0.5),
        stream=stream,
    )


class _Sites:
    """Where in the liver lesions may still be put."""

    def __init__(self, depth: DepthOf, low: Numbers, high: Numbers) -> None:
        axes = [np.arange(a, b, _LATTICE_MM, dtype=np.float32) for a, b in zip(low, high, strict=True)]
        z, y, x = (
            along.reshape(shape) for along, shape in zip(axes, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
        )
        deep = depth([z, y, x])
        origin = (float(low[0]), float(low[1]), float(low[2]))
        self.lattice = Field(deep, origin, (_LATTICE_MM,) * 3)
        self.places = np.stack([along[index] for along, index in zip(axes, np.nonzero(deep > 3), strict=True)], 1)
        self.depths = deep[deep > 3]
        self.taken: list[tuple[Numbers, float]] = []

    def choose(self, diameter: float, rng: np.random.Generator, *, must: bool) -> Numbers | None:
        needed = min(0.22 * diameter, 20.0)
        for index in rng.integers(0, len(self.places), 40):
            place = self.places[index] + rng.uniform(-_LATTICE_MM / 2, _LATTICE_MM / 2, 3)
            if self.lattice.at(place) < needed:
                continue
            gaps = (np.linalg.norm(place - other) - (diameter + d) / 2 for other, d in self.taken)
            if all(gap > _SPACING_OUT_MM for gap in gaps):
                return self._take(place, diameter)
        return self._take(self.places[np.argmax(self.depths)].astype(np.float64), diameter) if must else None

    def _take(self, place: Numbers, diameter: float) -> Numbers:
        self.taken.append((place, diameter))
        return place


def _portal(rng: np.random.Generator) -> Numbers:
    """Portal vein from the spleen's side into the liver."""
    hilum = np.array([-14.0, -2, -28])
    segments = [np.array([-34.0, 12, 12, *hilum, 6.5, 6.5])]
    for direction, radius, length in (
        ((0.1, 0.1, -1), 5.5, 26),
        ((0.8, -0.7, 0.5), 4.5, 26),
        ((-0.6, 0.2, -1), 4.5, 24),
    ):
        segments += _branch(rng, hilum, np.array(direction, float), radius, length, 5)
    return np.stack(segments)


def _hepatic(rng: np.random.Generator) -> Numbers:
    """Three hepatic veins."""
    junction = np.array([40.0, 16, -28])
    segments: list[Numbers] = []
    for direction in ((-0.55, -0.1, -1), (-0.7, -0.8, -0.3), (-0.5, -0.7, 0.7)):
        segments += _branch(rng, junction, np.array(direction, float), 4.5, 30, 5)
    return np.stack(segments)


def _branch(
    rng: np.random.Generator, start: Numbers, direction: Numbers, radius: float, length: float, depth: int
) -> list[Numbers]:
    if depth == 0 or radius < 0.9:
        return []
    direction = direction / np.linalg.norm(direction)
    end = start + direction * length
    middle = (start + end) / 2 + rng.normal(0, 2, 3)
    segments = [
        np.array([*start, *middle, radius, 0.9 * radius]),
        np.array([*middle, *end, 0.9 * radius, 0.8 * radius]),
    ]
    for _ in range(2):
        turned = direction + rng.normal(0, 0.55, 3)
        segments += _branch(
            rng, end, turned, radius * rng.uniform(0.62, 0.82), length * rng.uniform(0.7, 0.95), depth - 1
        )
    return segments
