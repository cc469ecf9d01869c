"""From tissue to grey values: speckle, attenuation, noise, logarithmic compression."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sample_data.us.probe import FOCUS_MM, FREQUENCY_MHZ, RADIUS_MM, Image, Probe
from sample_data.us.tissue import LIVER_ATTENUATION, Tissue

AXIAL_MM: Final = 0.30
LATERAL_MM, WIDENING = 0.62, 0.010
_LOOKS: Final = 2
_NOISE_DB, _NOISE_DB_PER_MM = -39.0, 0.16
_CLUTTER: Final = 0.035


@dataclass(frozen=True, slots=True)
class Knobs:
    """How the scanner is set.

    Attributes:
        gain_db: overall gain.
        range_db: dynamic range, from black to white.
    """

    gain_db: float = 0.0
    range_db: float = 58.0


def speckle(amplitude: NDArray[np.floating], probe: Probe, rng: np.random.Generator, *, looks: int = 1) -> Image:
    """Envelope (S, B) of scatterers of these amplitudes: mean power 1 where the amplitude is 1 all around.

    Circular complex Gaussian scatterers under the probe's point spread, whose width grows away from the focus;
    compounding averages so many looks.
    """
    lateral_mm = np.hypot(LATERAL_MM, WIDENING * np.abs(probe.depths - FOCUS_MM))
    beams = lateral_mm / ((RADIUS_MM + probe.depths) * probe.step_rad)
    kernels = (float(beams.min()), float(np.median(beams)), float(beams.max()))
    power = np.zeros(probe.shape, np.float32)
    for look in range(looks):
        axial = AXIAL_MM / probe.step_mm * (1 + 0.12 * look)
        field = rng.standard_normal((2, *probe.shape), dtype=np.float32)
        field *= np.float32(np.sqrt(0.5)) * amplitude.astype(np.float32)
        field = ndimage.gaussian_filter1d(field, axial, axis=1) / np.float32(_norm(axial))
        wide = [ndimage.gaussian_filter1d(field, k, axis=2) / np.float32(_norm(k)) for k in kernels]
        near = np.clip((beams - kernels[0]) / (kernels[1] - kernels[0] + 1e-6), 0, 1)[:, None]
        far = np.clip((beams - kernels[1]) / (kernels[2] - kernels[1] + 1e-6), 0, 1)[:, None]
        mixed = wide[0] + near.astype(np.float32) * (wide[1] - wide[0]) + far.astype(np.float32) * (wide[2] - wide[1])
        power += (mixed**2).sum(0)
    return np.sqrt(power / looks)


def bmode(tissue: Tissue, probe: Probe, seed: int, knobs: Knobs) -> Image:
    """Return grey values (S, B) from 0 to 1 along the beams."""
    rng = np.random.default_rng([seed, 8400])
    amplitude = np.power(10, tissue.echo_db / 20, dtype=np.float32)
    amplitude *= np.sqrt(rng.gamma(tissue.scatterers) / tissue.scatterers).astype(np.float32)
    diffuse = speckle(amplitude, probe, rng, looks=_LOOKS)
    smooth = speckle(tissue.specular, probe, rng) + tissue.specular
    envelope = np.hypot(diffuse, smooth) * np.power(10, (focal_db(probe) - loss_db(tissue, probe)) / 20)
    noise_db = _NOISE_DB + _NOISE_DB_PER_MM * probe.depths[:, None]
    noise = np.power(10, noise_db / 20) * rng.standard_exponential(probe.shape, dtype=np.float32)
    envelope = np.hypot(envelope, noise)
    around = ndimage.gaussian_filter1d(envelope, 2.3 / (RADIUS_MM + FOCUS_MM) / probe.step_rad * 2, axis=1)
    around = ndimage.uniform_filter1d(around, max(1, round(6 / probe.step_mm)), axis=0)
    clutter = _CLUTTER * around * rng.rayleigh(1, probe.shape)
    return grey(np.hypot(envelope, clutter), knobs)


def grey(envelope: Image, knobs: Knobs) -> Image:
    """Compress an envelope logarithmically; liver, of power 1, comes out at one half."""
    db = 20 * np.log10(envelope + 1e-6) + knobs.gain_db
    return np.asarray(np.clip(0.5 + db / knobs.range_db, 0, 1) ** 1.05, dtype=np.float32)


def loss_db(tissue: Tissue, probe: Probe) -> Image:
    """What is lost on the way to a place and back beyond what the gain makes up for, (S, B)."""
    per_sample = 2 * FREQUENCY_MHZ * (tissue.attenuation - LIVER_ATTENUATION) * probe.step_mm / 10
    return np.asarray(np.cumsum(per_sample, axis=0) + tissue.shadow_db, dtype=np.float32)


def focal_db(probe: Probe) -> Image:
    """The banding of the focal zone, (S, 1)."""
    return np.asarray(1.6 * np.exp(-(((probe.depths - 78) / 38) ** 2))[:, None], dtype=np.float32)


def _norm(sigma: float) -> float:
    """Root of the power of a normalised Gaussian kernel."""
    taps = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    kernel = np.exp(-0.5 * (taps / sigma) ** 2)
    return float(np.sqrt(((kernel / kernel.sum()) ** 2).sum()))
