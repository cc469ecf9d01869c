"""U-Net on the key frame of a DSA run: the baseline of paper 000.

Trained on: simulated hepatic angiographies (phantoms), not on patients. With the `paper` preset: nothing yet.
Expects: one XA multi-frame run after injection into the hepatic artery, subtracted or with mask frames, at 2 frames/s.
Known to fail: takes bowel-wall blush, motion residue and stagnant contrast medium for tumours, since it sees neither
time nor the liver's outline; misses tumours with poor blood supply.
"""

from functools import partial

import torch

from hepatic.networks.unet import CLASSIC, SMALL, unet
from hepatic.tasks.spec import Option, SegmentationTask
from hepatic.transforms.describe_lesions import DescribeLesions
from hepatic.transforms.key_frame_labelmap import KeyFrameLabelmap
from hepatic.transforms.key_frame_window import KeyFrameWindow
from hepatic.transforms.label_target import KeyFrameTarget
from hepatic.transforms.normalise_dsa import NormaliseDSA
from hepatic.transforms.resize import ResizeTo

LABELS = ("tumour",)
BEFORE = (NormaliseDSA(), KeyFrameWindow(before=0), KeyFrameTarget(LABELS))

TASK = SegmentationTask(
    name="dsa_unet",
    description="Tumours on the key frame of a DSA run (U-Net, baseline)",
    modality="XA",
    dimension=3,
    labels=LABELS,
    network=partial(unet, 1, 1, features=SMALL, foreground_logit=-2.5),
    probabilities=torch.sigmoid,
    pre=(*BEFORE, ResizeTo(96, 128)),
    post=(KeyFrameLabelmap(), DescribeLesions()),
    options=(
        Option(
            name="key_frame", default=-1, minimum=-1, description="Key frame, counted from 0; -1 lets the model choose."
        ),
    ),
    presets={"paper": {"network": partial(unet, 1, 1, features=CLASSIC), "pre": (*BEFORE, ResizeTo(256, 256))}},
)
