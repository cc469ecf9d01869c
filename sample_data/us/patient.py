"""Who is examined and what is found, drawn before any picture."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from hepatic.errors import BadInputError
from sample_data.us.echo import Knobs
from sample_data.us.lesion import Lesion, Look, draw_lobes

Kind = Literal["homogeneous", "angioma", "metastasis", "hcc", "fnh", "cyst"]
KINDS: Final[tuple[Kind, ...]] = ("homogeneous", "angioma", "metastasis", "hcc", "fnh", "cyst")
SHARES: Final[dict[Kind, float]] = {
    "homogeneous": 0.40, "angioma": 0.12, "metastasis": 0.12, "hcc": 0.12, "fnh": 0.12, "cyst": 0.12,
}  # fmt: skip
MALIGNANT: Final = ("metastasis", "hcc")
SIZE_MM: Final = (28.0, 0.42, 10.0, 75.0)  # of every kind alike: median, sigma of its logarithm, least, most
_MORE: Final[dict[Kind, float]] = {"metastasis": 0.9, "angioma": 0.25, "cyst": 0.3}
_DEPTHS_MM: Final = (135.0, 150.0, 165.0)
_LEFT, _RIGHT = -0.34, 0.34


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient and how the scanner is set for them.

    Attributes:
        seed: what all is drawn from.
        kind: what the examination finds.
        lesions: the largest first; none in a homogeneous liver.
        depth_mm: of the picture.
        knobs: gain and dynamic range.
    """

    seed: int
    kind: str
    lesions: tuple[Lesion, ...]
    depth_mm: float
    knobs: Knobs

    @property
    def around(self) -> tuple[tuple[float, float, float], ...]:
        """Places of the lesions, as ``draw_tissue`` takes them."""
        return tuple(lesion.place for lesion in self.lesions)


def check_seed(seed: int) -> None:
    """Raise BadInputError for a seed below 0."""
    if seed < 0:
        raise BadInputError("seed", expected="0 or more", came=str(seed), fix="Choose another seed.")


def draw_patient(seed: int, *, kind: Kind | None = None) -> Patient:
    """Draw a patient.

    Args:
        seed: two patients of one seed differ in nothing but their lesions.
        kind: what is found; None draws it by ``SHARES``.

    Raises:
        BadInputError: an argument is out of range.
    """
    check_seed(seed)
    drawn = KINDS[int(np.random.default_rng([seed, 8000]).choice(len(KINDS), p=list(SHARES.values())))]
    found = drawn if kind is None else kind
    if found not in KINDS:
        raise BadInputError("kind", expected=", ".join(KINDS), came=repr(kind), fix="Choose one of these.")
    if found == "homogeneous":
        return healthy(seed)
    rng = np.random.default_rng([seed, 8020, KINDS.index(found)])
    look = LOOKS[found](rng)
    first = replace(first_lesion(seed), kind=found, look=look)
    lesions = [first]
    for number in range(min(3, int(rng.poisson(_MORE.get(found, 0))))):
        size = float(first.size_mm * rng.uniform(0.35, 0.85))
        place = _place(rng, max(8.0, size), [one.place for one in lesions])
        if place is not None:
            seeded = 1_000_003 * (number + 1) + seed
            lesions.append(Lesion(found, *place, max(8.0, size), draw_lobes(rng), look, seeded))
    return replace(healthy(seed), kind=found, lesions=tuple(lesions))


def healthy(seed: int) -> Patient:
    """Draw a patient without a lesion."""
    rng = np.random.default_rng([seed, 8010])
    depth = float(rng.choice(_DEPTHS_MM))
    knobs = Knobs(gain_db=_some(rng, -1, 3, -8, 6), range_db=float(rng.uniform(52, 66)))
    return Patient(seed, "homogeneous", (), depth, knobs)


def first_lesion(seed: int) -> Lesion:
    """Draw where a lesion is and how large, whatever it is."""
    rng = np.random.default_rng([seed, 8030])
    median, sigma, least, most = SIZE_MM
    size = float(np.clip(median * np.exp(rng.normal(0, sigma)), least, most))
    place = _place(rng, size, [])
    while place is None:
        size *= 0.8
        place = _place(rng, size, [])
    return Lesion("", *place, size, draw_lobes(rng), Look(0.0), seed)


def _place(
    rng: np.random.Generator, size_mm: float, taken: list[tuple[float, float, float]]
) -> tuple[float, float] | None:
    """Draw a place in the liver that is free; None where 60 draws find none."""
    for _ in range(60):
        angle, radius = rng.uniform(_LEFT, _RIGHT), size_mm / 2
        z = rng.uniform(30, 120)
        x = float(np.tan(angle) * (z + 60))
        if z - radius < 31 or np.hypot(x + 8, z + 30) + radius > 152:
            continue
        if all(np.hypot(x - at_x, z - at_z) > radius + other / 2 + 4 for at_x, at_z, other in taken):
            return x, float(z)
    return None


def _some(rng: np.random.Generator, mean: float, deviation: float, least: float = -60.0, most: float = 60.0) -> float:
    return float(np.clip(rng.normal(mean, deviation), least, most))


def _cyst(rng: np.random.Generator) -> Look:
    return Look(
        _some(rng, -40, 7, -46, -22),
        wall=_some(rng, 2.2, 1, 0.4, 4),
        attenuation=0.03,
        grain_db=0.5,
        edge_shadow_db=_some(rng, 2.5, 1, 0, 5),
    )


def _angioma(rng: np.random.Generator) -> Look:
    if rng.random() < 0.15:  # in a fatty liver, or large: darker than its bright rim
        return Look(_some(rng, -3, 1.5), rim_db=_some(rng, 8, 2), rim_share=0.14, scatterers=20, attenuation=0.40)
    return Look(_some(rng, 6.5, 2.4, 1.5, 12), grain_db=0.8, scatterers=25, attenuation=0.35)


def _metastasis(rng: np.random.Generator) -> Look:
    if rng.random() < 0.2:  # bright, as of the bowel
        return Look(_some(rng, 4, 1.5), rim_db=_some(rng, -9, 2), rim_share=0.22, attenuation=0.75, grain_db=1.8)
    return Look(
        _some(rng, -2, 1.8),
        rim_db=_some(rng, -6, 2, -11, -1),
        rim_share=float(rng.uniform(0.16, 0.32)),
        core_db=_some(rng, -1.5, 1.5),
        grain_db=1.6,
        attenuation=0.75,
    )


def _hcc(rng: np.random.Generator) -> Look:
    return Look(
        _some(rng, -4, 2.4),
        rim_db=_some(rng, -4, 2, -9, 0),
        rim_share=float(rng.uniform(0.05, 0.10)),
        mosaic_db=_some(rng, 2.8, 1, 0.6, 5.5),
        grain_db=1.6,
        attenuation=0.52,
        scatterers=5,
        edge_shadow_db=_some(rng, 1.2, 1, 0, 4),
    )


def _fnh(rng: np.random.Generator) -> Look:
    return Look(
        _some(rng, -2, 1.6),
        scar_db=_some(rng, 5.5, 2, 1, 10),
        mosaic_db=_some(rng, 0.8, 0.4, 0, 2),
        attenuation=0.55,
        scatterers=12,
    )


LOOKS: Final[dict[Kind, Callable[[np.random.Generator], Look]]] = {
    "angioma": _angioma,
    "metastasis": _metastasis,
    "hcc": _hcc,
    "fnh": _fnh,
    "cyst": _cyst,
}
