"""Focal liver lesions on B-mode pictures: whether there are any, malignant or not, and which (paper 004).

Trained on: simulated B-mode pictures (phantoms), not on patients; the presets but `small` on nothing yet.
Expects: a B-mode still of the liver, or a cine and which frame of it.
Known to fail: vessels cut across and the gallbladder are taken for cysts now and then; kinds of lesions other than the
five; malignancy and type mean nothing where there is no lesion. HCC and metastasis are not told by ultrasound alone.
"""

from functools import partial
from typing import Any

from hepatic.networks.supervised_attention import (
    attention_shares,
    densenet121_features,
    finding_probabilities,
    resnet50_features,
    small_densenet_features,
    small_features,
    supervised_attention,
)
from hepatic.tasks.classification import PresentThenType
from hepatic.tasks.spec import ClassificationTask
from hepatic.transforms.us_frame import UltrasoundFrame
from hepatic.transforms.us_picture import UltrasoundPicture
from infer_tasks.us_bmode import FRAME

TYPES = ("angioma", "metastasis", "hcc", "fnh", "cyst")
MALIGNANT = ("metastasis", "hcc")
LABELS = ("lesion", "malignant", *TYPES)
NONE = "homogeneous"
_UNKNOWN = float("nan")


def _preset(features: Any, channels: int, *, scales: tuple[float, ...], size: tuple[int, int]) -> dict[str, Any]:
    network = partial(supervised_attention, features, channels=channels, outputs=len(LABELS), scales=scales)
    return {"network": network, "pre": (UltrasoundFrame(), UltrasoundPicture(*size))}


def _ensemble(features: Any, channels: int, **members: tuple[int, int]) -> dict[str, Any]:
    """The mean of presets; the picture is made in the largest size of theirs."""
    return {**_preset(features, channels, scales=(1.0,), size=max(members.values())), "members": members}


_SMALL = partial(_preset, small_features, 96, size=(120, 172))
_RESNET50 = partial(_preset, resnet50_features, 2048, size=(240, 345))

TASK = ClassificationTask(
    name="us_fll",
    description="Focal liver lesions on a B-mode picture, with where the model looks",
    modality="US",
    dimension=2,
    labels=LABELS,
    findings={
        NONE: (0.0, *[_UNKNOWN] * (len(LABELS) - 1)),
        **{name: (1.0, float(name in MALIGNANT), *(float(name == other) for other in TYPES)) for name in TYPES},
    },
    coarse={
        "benign": (1.0, 0.0, *[_UNKNOWN] * len(TYPES)),
        "malignant": (1.0, 1.0, *[_UNKNOWN] * len(TYPES)),
    },
    probabilities=finding_probabilities,
    conclude=PresentThenType("lesion", absent=NONE, types=TYPES),
    attention=attention_shares,
    note="lesion_type",
    uses_boxes=True,
    options=(FRAME,),
    **_SMALL(scales=(1.0,)),
    presets={
        "small_mean": _SMALL(scales=(0.0,)),
        "small_diffuse": _SMALL(scales=(0.25,)),
        "small_scales": _SMALL(scales=(0.25, 1.0)),
        "small_densenet": _preset(small_densenet_features, 56, scales=(0.25, 1.0), size=(120, 172)),
        "paper": _RESNET50(scales=(1.0,)),
        "resnet50_mean": _RESNET50(scales=(0.0,)),
        "resnet50_diffuse": _RESNET50(scales=(0.25,)),
        "resnet50_scales": _RESNET50(scales=(0.25, 1.0)),
        "resnet50_480": _RESNET50(scales=(1.0,), size=(480, 690)),
        "densenet121": _preset(densenet121_features, 1024, scales=(0.25, 1.0), size=(240, 345)),
        "small_copies": _ensemble(small_features, 96, small=(120, 172)),
        "small_copies_mean": _ensemble(small_features, 96, small=(120, 172)),
        "small_ensemble": _ensemble(
            small_features, 96, small=(120, 172), small_scales=(120, 172), small_densenet=(120, 172)
        ),
        "paper_ensemble": _ensemble(
            resnet50_features, 2048, paper=(240, 345), resnet50_480=(480, 690), densenet121=(240, 345)
        ),
    },
)
