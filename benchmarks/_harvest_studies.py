"""Simulated four-phase studies as the detectors of ``ct_harvest`` see them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from hepatic import boxes
from hepatic.boxes import Boxes
from hepatic.geometry import Grid
from hepatic.io.image import Volume
from hepatic.transforms.liver_crop import LiverCrop
from sample_data.ct import learning_set

VENOUS = 2
PREPARED = 1
"""Raised when ``prepare`` changes what it makes."""
CHUNK = 50
"""Studies simulated at once."""


@dataclass(frozen=True, eq=False)
class Study:
    """One study, prepared once for all trainings.

    Attributes:
        patient: its seed, as a name.
        images: (phases, k, j, i) float16, liver crops of every phase in the venous frame; one phase of a public study.
        grid: of the images.
        lesions: all solid lesions in the venous frame, the primary first.
        known: those that training is told of.
        negatives: candidates that a reader rejected.
        complete: whether ``known`` is believed to be all there is.
    """

    patient: str
    images: torch.Tensor
    grid: Grid
    lesions: Boxes
    known: Boxes
    negatives: Boxes
    complete: bool = True


def load(seeds: Sequence[int], *, contrast: float, crop: LiverCrop, cache: Path) -> list[Study]:
    """Simulate and prepare studies, or take them from the cache, which knows generator and crop by their sources."""
    import hepatic.transforms.liver_crop
    import sample_data.ct

    folder = Path(str(sample_data.ct.__file__)).parent
    sources = [*sorted(folder.glob("*.py")), Path(str(hepatic.transforms.liver_crop.__file__))]
    source = b"".join(file.read_bytes() for file in sources)
    found = []
    for first in range(0, len(seeds), CHUNK):
        some = list(seeds[first : first + CHUNK])
        key = hashlib.sha256(source + f"{some} {contrast} {crop} {PREPARED}".encode()).hexdigest()[:16]
        file = cache / f"ct-{key}.pt"
        if not file.is_file():
            cache.mkdir(parents=True, exist_ok=True)
            made = [_plain(study) for study in _simulate(some, contrast, crop)]
            torch.save(made, file.with_suffix(".new"))
            file.with_suffix(".new").replace(file)
        found += [_study(plain) for plain in torch.load(file, weights_only=True)]
    return found


def _simulate(seeds: list[int], contrast: float, crop: LiverCrop) -> list[Study]:
    data = learning_set(seeds, contrast=contrast)
    return [
        prepare(str(seed), data.hu[n], data.liver[n], data.boxes[n], data.spacing_mm[n], crop)
        for n, seed in enumerate(seeds)
    ]


def prepare(
    patient: str,
    hu: NDArray[np.int16],
    liver: NDArray[np.bool_],
    corners: NDArray[np.float32],
    spacing_mm: NDArray[np.float64],
    crop: LiverCrop,
) -> Study:
    """Carry every phase into the venous frame by the offset of its liver's centre, and crop the venous liver.

    Args:
        patient: name.
        hu, liver: (4, K, J, I).
        corners: (4, L, 6) voxels, as ``LearningSet``.
        spacing_mm: along (k, j, i).
        crop: of the task.
    """
    affine = np.diag([*spacing_mm[::-1], 1.0])
    grid = Grid((hu.shape[3], hu.shape[2], hu.shape[1]), affine)
    middle = [np.array(ndimage.center_of_mass(mask)) for mask in liver]
    images = []
    for phase, picture in enumerate(hu):
        move = middle[VENOUS] - middle[phase]
        if phase != VENOUS:
            picture = ndimage.shift(picture.astype(np.float32), move, order=1, mode="nearest")
        sample = crop({"source": Volume(picture, grid, "CT"), "liver": liver[VENOUS]})
        images.append(sample["image"][0].half())
    lesions = boxes.from_voxels(corners[VENOUS], grid)
    return Study(patient, torch.stack(images), sample["grid"], lesions, lesions, np.zeros((0, 6)))


def _plain(study: Study) -> dict[str, object]:
    return {
        "patient": study.patient,
        "images": study.images,
        "affine": torch.from_numpy(study.grid.affine),
        "lesions": torch.from_numpy(np.ascontiguousarray(study.lesions)),
    }


def _study(plain: dict[str, torch.Tensor]) -> Study:
    images, lesions = plain["images"], plain["lesions"].numpy()
    size = (images.shape[3], images.shape[2], images.shape[1])
    return Study(str(plain["patient"]), images, Grid(size, plain["affine"].numpy()), lesions, lesions, np.zeros((0, 6)))
