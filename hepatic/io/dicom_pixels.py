"""Put 8-bit pictures into a DICOM data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset


def put_pixels(dataset: Dataset, frames: NDArray[np.uint8]) -> None:
    """Set the pixels, uncompressed, and the elements that say what they are; NumberOfFrames is not one of them.

    Args:
        dataset: where to.
        frames: (F, H, W), MONOCHROME2, or (F, H, W, 3), RGB.
    """
    colour = frames.ndim == 4
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    data = frames.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = False
