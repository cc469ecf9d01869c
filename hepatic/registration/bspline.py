"""SimpleITK: an affine map, then B-splines on it."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from hepatic.registration.displacement import Displacement
from hepatic.registration.pair import Pair
from hepatic.registration.sitk_image import to_sitk

KNOTS_MM = 60.0
BINS = 32
SHARE = 0.25
"""Of the voxels of the region, drawn once with a fixed seed, on which mutual information is computed."""


def bspline(pair: Pair) -> Displacement:
    """Register by mutual information (Mattes) in the region.

    Raises:
        RuntimeError: SimpleITK gave up; its message says why.
    """
    fixed, moving = to_sitk(pair.fixed, pair.grid), to_sitk(pair.moving, pair.grid)
    region = to_sitk(pair.region.astype(np.uint8), pair.grid)
    middle = [float(mm) for mm in (pair.grid.affine @ [*(np.array(pair.grid.size) / 2), 1.0])[:3]]
    affine = sitk.AffineTransform(3)
    affine.SetCenter(middle)
    method = _method(region)
    method.SetOptimizerAsRegularStepGradientDescent(learningRate=1.0, minStep=1e-3, numberOfIterations=60)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1, 0])
    method.SetInitialTransform(affine, inPlace=True)
    method.Execute(fixed, moving)

    spans = np.array(pair.grid.size) * np.array(pair.grid.spacing)
    mesh = [max(2, round(float(span) / KNOTS_MM)) for span in spans]
    spline = sitk.BSplineTransformInitializer(fixed, mesh, order=3)
    method = _method(region)
    method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-5, numberOfIterations=30)
    method.SetMovingInitialTransform(affine)
    method.SetInitialTransform(spline, inPlace=True)
    method.Execute(fixed, moving)

    both = sitk.CompositeTransform([affine, spline])  # SimpleITK applies the last one first
    field = sitk.TransformToDisplacementField(
        both, sitk.sitkVectorFloat64, fixed.GetSize(), fixed.GetOrigin(), fixed.GetSpacing(), fixed.GetDirection()
    )
    return pair.widened(np.asarray(sitk.GetArrayFromImage(field), np.float32))


def _method(region: sitk.Image) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(region)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(SHARE, seed=1)
    method.SetInterpolator(sitk.sitkLinear)
    return method
