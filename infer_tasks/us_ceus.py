"""HCC or another tumour, from a contrast-enhanced ultrasound cine (paper 002).

Trained on: simulated contrast cines (phantoms), not on patients; the presets but `small` on nothing yet.
Expects: a cine that begins before the contrast agent arrives and lasts some minutes, with one lesion, and the lesion's
box (`roi`). Frames may lie unevenly in time; what is missing at the end is filled with the last frame and said.
Known to fail: without a box; cines of less than a minute, which end before the washout; a lesion that leaves the
picture for long.
"""

from functools import partial

import torch
from monai.networks.nets import DenseNet, DenseNet121, ResNet

from hepatic.networks.plain_cnn import PlainCNN
from hepatic.tasks.option import Option
from hepatic.tasks.spec import ClassificationTask
from hepatic.transforms.contrast_clip import SAMPLED_S, ContrastClip
from infer_tasks.us_bmode import LABELS, ROI

SMALL, PAPER = 32, 64
FRAME_SECONDS = Option(
    name="frame_seconds",
    default=0.0,
    minimum=0.0,
    maximum=60.0,
    description="Seconds from frame to frame, for a cine that does not say; 0 takes what it says.",
)

ROI_FRAME = Option(
    name="roi_frame",
    default=-1,
    minimum=-1,
    description="Frame on which the box `roi` was drawn, the first being 0; -1 is the onset of echo.",
)

_WHOLE = {"pre": (ContrastClip(PAPER),)}
_RESNET = partial(ResNet, spatial_dims=3, n_input_channels=1, num_classes=len(LABELS))

TASK = ClassificationTask(
    name="us_ceus",
    description="HCC or another tumour, from a contrast cine",
    modality="US",
    dimension=3,
    labels=LABELS,
    network=partial(
        PlainCNN,
        3,
        (len(SAMPLED_S), SMALL, SMALL),
        2,
        channels=(8, 16, 32, 64),
        convolutions=1,
        pool=3,
        hidden=64,
        dropout=0.3,
    ),
    probabilities=partial(torch.softmax, dim=1),
    note="diagnosis",
    uses_boxes=True,
    needs_boxes=True,
    pre=(ContrastClip(SMALL),),
    options=(ROI, ROI_FRAME, FRAME_SECONDS),
    presets={
        "small_res3d": {"network": partial(_RESNET, "basic", [1, 1, 1, 1], [8, 16, 32, 64], conv1_t_size=3)},
        "small_dense3d": {
            "network": partial(DenseNet, 3, 1, 2, init_features=8, growth_rate=8, block_config=(2, 4, 4), bn_size=2)
        },
        "paper": {
            "network": partial(
                PlainCNN,
                3,
                (len(SAMPLED_S), PAPER, PAPER),
                2,
                channels=(32, 64, 128, 256),
                convolutions=1,
                pool=3,
                hidden=1024,
                norm=None,
            ),
            **_WHOLE,
        },
        "res3d": {"network": partial(_RESNET, "basic", [2, 2, 2, 2], [64, 128, 256, 512]), **_WHOLE},
        "dense3d": {"network": partial(DenseNet121, 3, 1, 2), **_WHOLE},
    },
)
