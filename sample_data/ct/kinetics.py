"""How contrast medium passes through tissues after an injection into a vein: CT numbers against time.

Blood gives rise to tissue curves by a model of two inlets: dHU = vb Ca + (ka Ca + kp Cp) * exp(-k2 t), where * is a
convolution in time, Ca the aorta's curve and Cp the portal vein's.
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

STEP_S: Final = 0.5
LAST_S: Final = 420.0
INJECTION_S: Final = 30.0
HEPATIC_VEIN_DELAY_S: Final = 9.0
_AORTA_HU, _RECIRCULATION_HU, _AORTA_MEAN_S, _RECIRCULATION_DECAY_S = 313.58, 135.94, 21.677, 357.41
_PORTAL_SHARE, _PORTAL_MEAN_S = 0.35014, 12.428


class Tissue(NamedTuple):
    """HU without contrast; inflow from artery and portal vein and outflow, 1/min; share of blood."""

    native_hu: float
    ka: float
    kp: float
    k2: float
    vb: float


# Fitted to published enhancement at 35, 70 and 180 s, which stands beside each.
TISSUES: Final[dict[str, Tissue]] = {
    "liver": Tissue(57, 0.1618, 0.9866, 2.4449, 0.001),  # 20 60 42
    "spleen": Tissue(47, 0.4864, 0.0076, 1.5028, 0.2292),  # 102 78 50
    "hcc": Tissue(47, 0.5233, 0.0013, 1.7968, 0.0841),  # 58 58 34
    "atypical_hcc": Tissue(47, 0.0591, 0.7339, 2.4939, 0.0446),  # 25 45 32
    "hcc_capsule": Tissue(47, 0.0, 0.5451, 0.8701, 0.0362),  # 18 45 58
    "icc": Tissue(41, 0.0, 0.2213, 0.3692, 0.0229),  # 10 22 40
    "icc_rim": Tissue(41, 0.0026, 0.6013, 1.4233, 0.112),  # 42 52 48
    "metastasis": Tissue(38, 0.0765, 0.0363, 0.6639, 0.0067),  # 8 15 16
    "metastasis_rim": Tissue(38, 0.245, 0.0449, 0.8679, 0.0467),  # 32 42 36
    "fnh": Tissue(51, 0.1627, 0.4857, 1.9447, 0.1671),  # 67 61 44
    "fnh_scar": Tissue(45, 0.0027, 0.3844, 0.6368, 0.032),  # 15 35 52
    "adenoma": Tissue(56, 0.2813, 0.4554, 1.7086, 0.0045),  # 24 54 40
    "haemangioma": Tissue(38, 0.5904, 0.0241, 1.3263, 0.3592),  # 150 110 74, where it has filled
    "muscle": Tissue(57, 0.0878, 0.0, 0.6043, 0.0054),  # 8 14 14
    "kidney_cortex": Tissue(35, 0.6551, 0.7893, 1.9357, 0.3287),  # 150 140 95
    "cyst": Tissue(5, 0.0, 0.0, 0.0, 0.0),
}
BLOOD_HU: Final = 40.0


def aorta(time_s: Curve) -> Curve:
    """Enhancement of the aorta in HU, ``time_s`` after the injection began; 0 before."""
    times, arterial, _ = _inputs()
    return np.interp(time_s, times, arterial, left=0.0)


def portal_vein(time_s: Curve) -> Curve:
    """Enhancement of the portal vein in HU."""
    times, _, portal = _inputs()
    return np.interp(time_s, times, portal, left=0.0)


def enhancement(tissue: str, time_s: Curve) -> Curve:
    """Enhancement of one of ``TISSUES`` in HU, ``time_s`` after the injection began; 0 before."""
    return np.interp(time_s, _inputs()[0], _curve(tissue), left=0.0)


@lru_cache(maxsize=1)
def _inputs() -> tuple[Curve, Curve, Curve]:
    """Times, aorta and portal vein."""
    time_s = np.arange(0, LAST_S, STEP_S)
    box = (time_s < INJECTION_S).astype(np.float64)
    first_pass = np.convolve(box, _gamma(_AORTA_MEAN_S, 5, time_s))[: len(time_s)]
    mixed = np.convolve(np.cumsum(first_pass) * STEP_S / INJECTION_S, _gamma(10, 3, time_s))[: len(time_s)]
    recirculation = _RECIRCULATION_HU * mixed * np.exp(-time_s / _RECIRCULATION_DECAY_S)
    arterial = _AORTA_HU * first_pass + recirculation
    delayed = np.convolve(_PORTAL_SHARE * _AORTA_HU * first_pass, _gamma(_PORTAL_MEAN_S, 3, time_s))[: len(time_s)]
    return time_s, arterial, delayed + recirculation


@lru_cache(maxsize=len(TISSUES))
def _curve(tissue: str) -> Curve:
    time_s, arterial, portal = _inputs()
    _, ka, kp, k2, vb = TISSUES[tissue]
    inflow = (ka * arterial + kp * portal) / 60
    kept = np.exp(-k2 / 60 * time_s)
    return np.asarray(vb * arterial + np.convolve(inflow, kept)[: len(time_s)] * STEP_S, dtype=np.float64)


def _gamma(mean_s: float, order: int, time_s: Curve) -> Curve:
    """Gamma distribution over ``time_s``, of sum 1."""
    density = np.where(time_s > 0, time_s ** (order - 1) * np.exp(-time_s * order / mean_s), 0.0)
    return np.asarray(density / density.sum(), dtype=np.float64)
