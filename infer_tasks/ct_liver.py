"""The liver on CT in any contrast phase, lesions included: a small 3D U-Net over the whole volume.

Trained on: simulated four-phase CT studies (phantoms), not on patients.
Expects: one CT volume that shows the liver, with or without contrast medium, in HU.
Known to fail: scans much longer than the abdomen, whose slices it has to merge; livers after large resections; ascites;
whatever phantoms do not show.
"""

from functools import partial

import torch

from hepatic.networks.small3d import small_unet3d
from hepatic.tasks.spec import SegmentationTask
from hepatic.transforms.whole_ct import WholeCT, WholeCTLabelmap

WHOLE = WholeCT(size=(40, 80, 96), step_mm=(5.0, 4.0, 4.0))

TASK = SegmentationTask(
    name="ct_liver",
    description="Liver on CT, lesions included (3D U-Net)",
    modality="CT",
    dimension=3,
    labels=("liver",),
    network=partial(small_unet3d),
    probabilities=torch.sigmoid,
    pre=(WHOLE,),
    post=(WholeCTLabelmap(WHOLE),),
)
