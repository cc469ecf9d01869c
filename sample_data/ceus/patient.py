"""Who is examined with contrast: a malignant lesion, HCC or another, drawn before any picture."""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from hepatic.errors import BadInputError
from sample_data.ceus.kinetics import Curve, washing_out
from sample_data.us.lesion import Look
from sample_data.us.patient import Patient as Examined
from sample_data.us.patient import check_seed, first_lesion, healthy

Label = Literal["hcc", "non_hcc"]
LABELS: Final[tuple[Label, ...]] = ("non_hcc", "hcc")
HCC_SHARE: Final = 0.5
ONSET_S: Final[dict[Label, tuple[float, float]]] = {"hcc": (95.0, 0.65), "non_hcc": (38.0, 0.50)}
_EARLIEST_S, _LATEST_S = 22.0, 900.0


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient with one lesion, and how it takes up contrast.

    Attributes:
        seed: what all is drawn from.
        label: "hcc" or "non_hcc".
        pathology: "HCC", "ICC" or "HCC-ICC".
        examined: the same patient as B-mode shows them.
        arrival_s: of the arterial blood at the lesion, after the recording begins: the onset of its echo.
        washout_onset_s: after the arrival, when the lesion falls below the liver; beyond 300 s nobody sees it.
        body, core: curves of the lesion and of its middle.
        rim: share from 0 to 1 of the core that takes up as ``core`` and not as ``body`` does.
        gain_db: of the contrast picture.
    """

    seed: int
    label: Label
    pathology: str
    examined: Examined
    arrival_s: float
    washout_onset_s: float
    body: Curve
    core: Curve
    rim: float
    gain_db: float


def draw_patient(seed: int, *, label: Label | None = None) -> Patient:
    """Draw a patient.

    Args:
        seed: two patients of one seed differ in nothing but their lesion's look and contrast.
        label: None draws it.

    Raises:
        BadInputError: an argument is out of range.
    """
    check_seed(seed)
    drawn: Label = "hcc" if np.random.default_rng([seed, 8500]).random() < HCC_SHARE else "non_hcc"
    found = drawn if label is None else label
    if found not in LABELS:
        raise BadInputError("label", expected=", ".join(LABELS), came=repr(label), fix="Choose one of these.")
    rng = np.random.default_rng([seed, 8510, LABELS.index(found)])
    is_hcc = found == "hcc"
    pathology = "HCC" if is_hcc else str(rng.choice(["ICC", "HCC-ICC"], p=[0.7, 0.3]))
    lesion = replace(first_lesion(seed), kind=found, look=_look(rng, is_hcc))
    median_s, sigma = ONSET_S[found]
    onset_s = float(np.clip(median_s * np.exp(rng.normal(0, sigma)), _EARLIEST_S, _LATEST_S))
    peak_db = float(np.clip(rng.normal(6.5 if is_hcc else 5.5, 2.5), 1, 12))
    floor = float(np.clip((0.10 if is_hcc else 0.07) * np.exp(rng.normal(0, 0.5)), 0.02, 0.35))
    body = washing_out(onset_s, rise_s=float(rng.uniform(7, 11)), floor=floor, peak_db=peak_db)
    core = Curve(2, 12, min(body.washout_s, 22 * float(rng.uniform(0.7, 1.5))), floor, peak_db - 12)
    rimmed = rng.random() < (0.05 if is_hcc else 0.33)
    shared = np.random.default_rng([seed, 8520])
    return Patient(
        seed=seed,
        label=found,
        pathology=pathology,
        examined=replace(healthy(seed), kind=found, lesions=(lesion,)),
        arrival_s=float(shared.uniform(8, 16)),
        washout_onset_s=onset_s,
        body=body,
        core=core,
        rim=float(rng.uniform(0.5, 1)) if rimmed else 0.0,
        gain_db=float(shared.normal(0, 1.5)),
    )


def _look(rng: np.random.Generator, is_hcc: bool) -> Look:
    """Draw echoes that overlap: HCC has more of a mosaic and a thinner, darker halo, but not in every patient."""
    mosaic, halo, echo, margin = (3.2, -4.9, -3.6, 0.100) if is_hcc else (2.1, -3.1, -5.0, 0.110)
    return Look(
        float(rng.normal(echo, 2.2)),
        rim_db=float(np.clip(rng.normal(halo, 2.2), -10, 1)),
        rim_share=float(np.clip(rng.normal(margin, 0.03), 0.04, 0.22)),
        mosaic_db=float(np.clip(rng.normal(mosaic, 1.2), 0.3, 6.5)),
        grain_db=1.6,
        attenuation=0.58,
        scatterers=7,
        edge_shadow_db=1.0,
    )
