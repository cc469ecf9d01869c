"""``write_itk`` of MONAI Label's Writer without the itk package: the same steps with SimpleITK, which is the same ITK.

hepatic does not install itk (1.5 GB). Without this, the stock Writer could not write at all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from monailabel.transform import writer


def write_itk(image: Any, output_file: str, affine: Any, dtype: Any, compress: bool) -> None:
    """Write an array on (i, j, k) with a RAS affine."""
    array = image.numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    array = array.transpose().copy()
    if dtype:
        array = array.astype(dtype)
    result = sitk.GetImageFromArray(array)
    if affine is not None:
        matrix = np.diag([-1, -1, 1, 1]) @ np.asarray(affine)
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        result.SetDirection((matrix[:3, :3] @ np.diag(1 / spacing)).ravel().tolist())
        result.SetSpacing(spacing.tolist())
        result.SetOrigin(matrix[:3, 3].tolist())
    sitk.WriteImage(result, output_file, bool(compress))


def install() -> None:
    """Put it in the place of MONAI Label's."""
    writer.write_itk = write_itk
