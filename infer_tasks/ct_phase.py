"""The contrast phase of a CT series, from its picture alone.

Trained on: simulated four-phase CT studies (phantoms) with scans up to 12 seconds early or late, not on patients.
Expects: one CT volume of the upper abdomen in HU.
Known to fail: bolus tracking, early arterial phases before the aorta is bright, hepatobiliary contrast media, whatever
phantoms do not show.
"""

from functools import partial

import torch

from hepatic.networks.small3d import PooledClassifier
from hepatic.tasks.spec import ClassificationTask
from hepatic.transforms.whole_ct import WholeCT

PHASES = ("nc", "arterial", "venous", "delayed")

TASK = ClassificationTask(
    name="ct_phase",
    description="Contrast phase of a CT series",
    modality="CT",
    dimension=3,
    labels=PHASES,
    network=partial(PooledClassifier, len(PHASES)),
    probabilities=partial(torch.softmax, dim=1),
    note="phase",
    pre=(WholeCT(size=(20, 40, 48), step_mm=(10.0, 8.0, 8.0)),),
)
