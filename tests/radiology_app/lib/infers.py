"""Inference by MONAI Label's basic task: transforms, a sliding window, its Writer."""

import os

from monai.inferers import SlidingWindowInferer
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    EnsureChannelFirstd,
    LoadImaged,
    ScaleIntensityRanged,
    SqueezeDimd,
)
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.tasks.infer.basic_infer import BasicInferTask

from lib.networks import liver_network


class SegmentLiver(BasicInferTask):
    """Liver on a small volume."""

    def __init__(self, model_dir, roi):
        super().__init__(
            path=[os.path.join(model_dir, "pretrained.pt"), os.path.join(model_dir, "liver.pt")],
            network=liver_network(),
            type=InferType.SEGMENTATION,
            labels={"liver": 1},
            dimension=3,
            description="Liver",
            roi_size=tuple(int(n) for n in roi.split(",")),
        )

    def is_valid(self):
        return True

    def pre_transforms(self, data=None):
        return [
            LoadImaged(keys="image"),
            EnsureChannelFirstd(keys="image"),
            ScaleIntensityRanged(keys="image", a_min=0, a_max=100, b_min=0, b_max=1, clip=True),
        ]

    def inferer(self, data=None):
        return SlidingWindowInferer(roi_size=self.roi_size, sw_batch_size=2, overlap=0.25)

    def post_transforms(self, data=None):
        return [
            Activationsd(keys="pred", softmax=True),
            AsDiscreted(keys="pred", argmax=True),
            SqueezeDimd(keys="pred", dim=0),
        ]
