"""Liver lesions in one phase of a CT, slice by slice: CenterNet-2D, the baseline of paper 001.

Trained on: simulated four-phase CT (phantoms), every phase a picture of its own, not on patients. With the `paper`
preset: nothing yet; the paper starts from weights of MS-COCO, which are not ours to give.
Expects: one phase of an abdominal CT in Hounsfield units with the whole liver on it, and the liver's mask, which
`ct_liver` draws where none is given.
Known to fail: what `ct_centernet3d` fails on; besides, a vessel along the axis of the body looks like a lesion on every
slice, and where a lesion is missed on one slice its box is cut in two.
"""

from functools import partial

from hepatic.networks.centernet_slices import CenterNetSlices, last_linked_peaks
from hepatic.networks.hourglass import HOURGLASS_104, SMALL
from hepatic.tasks.spec import DetectionTask, detection_options
from hepatic.transforms.liver_crop import LiverCrop
from infer_tasks.ct_liver import TASK as LIVER

STRIDE = (4, 4)

TASK = DetectionTask(
    name="ct_centernet2d",
    description="Liver lesions on CT, slice by slice, one phase at a time (CenterNet-2D, baseline)",
    modality="CT",
    dimension=3,
    labels=("lesion",),
    network=partial(CenterNetSlices, stride=STRIDE, **SMALL),
    pre=(LiverCrop((24, 64, 80)),),
    decode=partial(last_linked_peaks, stride=STRIDE),
    liver=LIVER,
    options=detection_options(),
    presets={
        "paper": {
            "network": partial(CenterNetSlices, stride=STRIDE, **HOURGLASS_104),
            "pre": (LiverCrop((96, 512, 512)),),
        }
    },
)
