"""DSA-LTDNet: tumours and liver on the key frame of a DSA run, from ten frames (paper 000).

Trained on: simulated hepatic angiographies (phantoms), not on patients. With the `paper` preset: nothing yet.
Expects: one XA multi-frame run after injection into the hepatic artery, subtracted or with mask frames, at 2 frames/s,
that begins before the contrast medium arrives and has nine frames before the key frame.
Known to fail: strong breathing between the ninth frame before the key frame and the key frame; runs of a part of the
liver; tumours with poor blood supply.
"""

from functools import partial

from hepatic.networks.ltdnet import LTDNet, ltd_probabilities
from hepatic.networks.unet import CLASSIC, SMALL, TINY
from hepatic.tasks.spec import Option, SegmentationTask
from hepatic.transforms.describe_lesions import DescribeLesions
from hepatic.transforms.key_frame_labelmap import KeyFrameLabelmap
from hepatic.transforms.key_frame_window import KeyFrameWindow
from hepatic.transforms.label_target import KeyFrameTarget
from hepatic.transforms.normalise_dsa import NormaliseDSA
from hepatic.transforms.resize import ResizeTo

LABELS = ("tumour", "liver")
BEFORE = (NormaliseDSA(), KeyFrameWindow(before=9), KeyFrameTarget(LABELS, includes=((1, 0),)))

TASK = SegmentationTask(
    name="dsa_ltdnet",
    description="Tumours and liver on the key frame of a DSA run (DSA-LTDNet)",
    modality="XA",
    dimension=3,
    labels=LABELS,
    network=partial(LTDNet, fusion=SMALL, branch=TINY, foreground_logit=-2.5),
    probabilities=ltd_probabilities,
    pre=(*BEFORE, ResizeTo(96, 128)),
    post=(KeyFrameLabelmap(), DescribeLesions()),
    options=(
        Option(
            name="key_frame", default=-1, minimum=-1, description="Key frame, counted from 0; -1 lets the model choose."
        ),
    ),
    presets={
        "paper": {
            "network": partial(LTDNet, fusion=CLASSIC, branch=CLASSIC),
            "pre": (*BEFORE, ResizeTo(256, 256)),
        }
    },
)
