"""Probes: what must not tell a malignant primary from a benign one, and how much may.

A probe is a simple classifier, cross-validated over patients, and its AUC. What needs pictures is probed on twins:
every patient once with a malignant and once with a benign primary lesion, all else drawn alike, so that a few dozen
patients say what hundreds would. What needs none is probed on patients as they come. A control shows that a probe finds
a leak where one is put.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from sample_data import ct
from sample_data.ct.ct_image import header
from sample_data.ct.motion import Motion
from sample_data.ct.patient import PATHOLOGY, SHARES, Solid
from sample_data.ct.space import space_for
from sample_data.ct.study import draw_visit
from tests.sample_data.probes import Twins, at_most, at_most_either_way, auc, numbers_of, probe

TWINS = 45
PATIENTS = range(1000, 1600)


@pytest.fixture(scope="module")
def twins() -> Twins:
    rng = np.random.default_rng(0)
    seen: dict[str, list[list[float]]] = {"volume": [], "box": [], "hu": [], "background": [], "noise": []}
    malignant, patient = [], []
    for seed in range(TWINS):
        for bad in (True, False):
            kinds: list[Solid] = [kind for kind in SHARES if (PATHOLOGY[kind] != "benign") == bad]
            shares = np.array([SHARES[kind] for kind in kinds])
            study = ct.simulate(seed, primary=kinds[rng.choice(len(kinds), p=shares / shares.sum())])
            venous = study["venous"]
            seen["volume"].append([float((venous.labels == 1).sum() * np.prod(study.grid.spacing))])
            low, high = np.reshape(venous.boxes[0].lps_mm, (2, 3))
            seen["box"].append(np.log(high - low).tolist())
            seen["hu"].append([float(phase.hu[phase.labels == 1].mean()) for phase in study.phases])
            free = [ndimage.maximum_filter(phase.labels, (3, 5, 5)) == 0 for phase in study.phases]
            seen["background"].append(background(study, free))
            seen["noise"].append(noise(study, free))
            malignant.append(study.lesions[0].malignant)
            patient.append(seed)
    assert malignant == [True, False] * TWINS
    return Twins({name: np.array(rows) for name, rows in seen.items()}, malignant, patient)


def background(study: ct.CTStudy, free: list[NDArray[np.bool_]]) -> list[float]:
    """Grey values of the liver and of the rest, away from lesions and mimics, in every phase."""
    features: list[float] = []
    for phase, here in zip(study.phases, free, strict=True):
        for values in (phase.hu[here & phase.liver], phase.hu[here & ~phase.liver]):
            features += [values.mean(), values.std(), *np.percentile(values, (2, 25, 75, 98))]
        features.append(float(phase.liver.mean()))
    return features


def noise(study: ct.CTStudy, free: list[NDArray[np.bool_]]) -> list[float]:
    """The finest detail in the liver away from lesions and mimics: how strong it is and how far it reaches."""
    features: list[float] = []
    for phase, here in zip(study.phases, free, strict=True):
        fine = phase.hu - ndimage.uniform_filter(phase.hu.astype(np.float32), (1, 3, 3))
        inside = here & (ndimage.minimum_filter(phase.liver.astype(np.uint8), (1, 5, 5)) > 0)
        along = (fine[:, :, 1:] * fine[:, :, :-1])[inside[:, :, 1:]].mean()
        down = (fine[:, 1:] * fine[:, :-1])[inside[:, 1:]].mean()
        features += [float(fine[inside].std()), float(along), float(down), float(np.abs(fine[inside]).mean())]
    return features


def unseen(seed: int) -> ct.CTStudy:
    """A study as its header needs it, without pictures."""
    patient = ct.draw_patient(seed)
    visit = draw_visit(patient, 0, "small")
    nothing = np.zeros((0, 0, 0))
    still = Motion((0, 0, 0), ())  # type: ignore[arg-type]
    phases = tuple(
        ct.CTPhase(phase, time_s, nothing.astype(np.int16), nothing > 0, nothing.astype(np.uint8), (), still)
        for phase, time_s in zip(ct.PHASES, visit.times_s, strict=True)
    )
    grid = space_for("small", patient.build).grid
    return ct.CTStudy(patient, 0, "small", grid, patient.lesions, phases, visit.noise_hu, visit.strength)


@pytest.fixture(scope="module")
def patients() -> list[ct.CTStudy]:
    return [unseen(seed) for seed in PATIENTS]


def primaries(patients: list[ct.CTStudy]) -> tuple[list[bool], list[bool]]:
    """Which primary lesions are malignant, and which are HCC."""
    first = [study.lesions[0] for study in patients]
    return [lesion.malignant for lesion in first], [lesion.pathology == "HCC" for lesion in first]


def test_size_does_not_tell(twins: Twins, patients: list[ct.CTStudy]) -> None:
    at_most_either_way(0.60, "volume", auc(twins.seen["volume"][:, 0], twins.positive))
    at_most(0.60, "box", twins.probe("box"))
    diameters = [study.lesions[0].diameter_mm for study in patients]
    for name, label in zip(("malignant", "HCC"), primaries(patients), strict=True):
        at_most_either_way(0.60, f"diameter, {name}", auc(diameters, label))


def test_size_tells_where_it_is_made_to() -> None:
    drawn = [ct.draw_patient(seed, size_informative=True).lesions[0] for seed in PATIENTS[:200]]
    assert auc([one.diameter_mm for one in drawn], [one.malignant for one in drawn]) > 0.75


def test_the_header_does_not_tell(patients: list[ct.CTStudy]) -> None:
    rows = []
    for study in patients:
        flaws = ct.draw_flaws(study.patient.seed, 0, ct.Odds(missing=0.3, swapped=0.3, misnamed=0.3))
        heads = {phase: numbers_of(header(study, phase, flaws.label(phase), 0)) for phase in ct.PHASES}
        row = {f"{phase} {name}": value for phase, head in heads.items() for name, value in head.items()}
        rows.append([*row.values(), float(len(flaws.phases))])
    features = np.array(rows)
    assert (features.std(0) > 0).sum() > 10
    for name, label in zip(("malignant", "HCC"), primaries(patients), strict=True):
        at_most(0.55, f"header, {name}", probe(features, label, PATIENTS))


def test_the_noise_does_not_tell(twins: Twins) -> None:
    at_most(0.55, "noise", twins.probe("noise"))


def test_what_surrounds_the_lesions_does_not_tell(twins: Twins) -> None:
    at_most(0.55, "background", twins.probe("background"))


def test_mean_hu_tells_something_but_not_everything(twins: Twins) -> None:
    assert 0.65 <= twins.probe("hu") <= 0.80


@pytest.mark.parametrize("name", ["background", "noise"])
def test_the_probe_would_find_a_leak(twins: Twins, name: str) -> None:
    """Half a standard deviation in one of the features is enough."""
    assert twins.probe_of_leak(name) > 0.55
