"""HCC or another tumour, from one B-mode picture of a lesion (paper 002).

Trained on: simulated B-mode pictures (phantoms), not on patients; the presets but `small` on nothing yet.
Expects: a B-mode still, or a cine and which frame of it, with one lesion, and the lesion's box (`roi`).
Known to fail: without a box, since the whole picture is mostly liver; lesions below 10 mm. On B-mode alone HCC and
other tumours look much alike: `us_ceus` tells them apart better.
"""

from functools import partial

import torch
from monai.networks.nets import DenseNet, DenseNet121, ResNet

from hepatic.networks.plain_cnn import PlainCNN
from hepatic.tasks.option import Option
from hepatic.tasks.spec import ClassificationTask
from hepatic.transforms.us_frame import UltrasoundFrame
from hepatic.transforms.us_lesion import UltrasoundLesion

LABELS = ("hcc", "non_hcc")
SMALL, PAPER = 64, 112
FRAME = Option(name="frame", default=0, minimum=0, description="Frame of a cine that is looked at, the first being 0.")
ROI = Option(
    name="roi",
    default="",
    description="Lesion on the image, 'left,top,right,bottom' in pixels; else the largest box of its label.",
)

_WHOLE = {"pre": (UltrasoundFrame(), UltrasoundLesion(PAPER))}
_RESNET = partial(ResNet, spatial_dims=2, n_input_channels=1, num_classes=len(LABELS))

TASK = ClassificationTask(
    name="us_bmode",
    description="HCC or another tumour, from a B-mode picture",
    modality="US",
    dimension=2,
    labels=LABELS,
    network=partial(
        PlainCNN, 2, (SMALL, SMALL), 2, channels=(8, 16, 32, 64), convolutions=2, pool=2, hidden=64, dropout=0.3
    ),
    probabilities=partial(torch.softmax, dim=1),
    note="diagnosis",
    uses_boxes=True,
    needs_boxes=True,
    pre=(UltrasoundFrame(), UltrasoundLesion(SMALL)),
    options=(ROI, FRAME),
    presets={
        "small_resnet": {"network": partial(_RESNET, "basic", [1, 1, 1, 1], [16, 32, 64, 96], conv1_t_size=3)},
        "small_densenet": {
            "network": partial(DenseNet, 2, 1, 2, init_features=16, growth_rate=8, block_config=(2, 4, 4), bn_size=2)
        },
        "paper": {
            "network": partial(
                PlainCNN,
                2,
                (PAPER, PAPER),
                2,
                channels=(32, 64, 128, 256),
                convolutions=2,
                pool=2,
                hidden=256,
                norm=None,
            ),
            **_WHOLE,
        },
        "resnet": {
            "network": partial(_RESNET, "bottleneck", [3, 4, 6, 3], [64, 128, 256, 512], bias_downsample=False),
            **_WHOLE,
        },
        "densenet": {"network": partial(DenseNet121, 2, 1, 2), **_WHOLE},
    },
)
