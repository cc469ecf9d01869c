"""Liver lesions in one phase of a CT: CenterNet-3D of paper 001.

Trained on: simulated four-phase CT (phantoms), every phase a picture of its own, not on patients. With the `quarter`
and `paper` presets: nothing yet.
Expects: one phase of an abdominal CT in Hounsfield units with the whole liver on it, and the liver's mask, which
`ct_liver` draws where none is given. The study's other phases are further pictures.
Known to fail: lesions below about 8 mm, and lesions that in the phase at hand look like the liver; cysts, perfusion
differences and vessels cut across are taken for solid lesions now and then; it does not say what a lesion is.
"""

from functools import partial

from hepatic.networks.centernet import CenterNet, last_peaks
from hepatic.networks.hourglass import HOURGLASS_104, QUARTER, SMALL
from hepatic.tasks.spec import DetectionTask, detection_options
from hepatic.transforms.liver_crop import LiverCrop
from infer_tasks.ct_liver import TASK as LIVER

SMALL_STRIDE, PAPER_STRIDE = (2, 4, 4), (4, 4, 4)
PAPER_SIZE = (48, 176, 256)
PAPER = {"pre": (LiverCrop(PAPER_SIZE),), "decode": partial(last_peaks, stride=PAPER_STRIDE)}

TASK = DetectionTask(
    name="ct_centernet3d",
    description="Liver lesions on CT, one phase at a time (CenterNet-3D)",
    modality="CT",
    dimension=3,
    labels=("lesion",),
    network=partial(CenterNet, dimension=3, stride=SMALL_STRIDE, **SMALL),
    pre=(LiverCrop((24, 64, 80)),),
    decode=partial(last_peaks, stride=SMALL_STRIDE),
    liver=LIVER,
    options=detection_options(),
    presets={
        "quarter": {"network": partial(CenterNet, dimension=3, stride=PAPER_STRIDE, **QUARTER), **PAPER},
        "paper": {"network": partial(CenterNet, dimension=3, stride=PAPER_STRIDE, **HOURGLASS_104), **PAPER},
    },
)
