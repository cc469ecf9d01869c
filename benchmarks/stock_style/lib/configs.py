"""Which inference task stands for which model of hepatic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lib.ct import VolumeSegmentation
from lib.dsa import KeyFrameSegmentation, LTDLogits
from monailabel.interfaces.tasks.infer_v2 import InferTask

from benchmarks.our_ct.task import LABELS as CT_LABELS
from benchmarks.our_ct.task import network as ct_network
from hepatic.networks.unet import SMALL, TINY, unet

CONFIGS: dict[str, Callable[[str], InferTask]] = {
    "dsa_unet": partial(KeyFrameSegmentation, network=unet(1, 1, features=SMALL), frames=1, labels={"tumour": 1}),
    "dsa_ltdnet": partial(
        KeyFrameSegmentation,
        network=LTDLogits(fusion=SMALL, branch=TINY),
        frames=10,
        labels={"tumour": 1, "liver": 2},
    ),
    "ct_unet": partial(
        VolumeSegmentation, network=ct_network(), labels={name: 1 + place for place, name in enumerate(CT_LABELS)}
    ),
}
