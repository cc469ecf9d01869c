"""Copies of the weights, each from the epoch that answers a question best."""

import numpy as np
import pytest
import torch
from torch import nn

from hepatic.engine.checkpoints import FEWEST, Checkpoints

LABELS = ("lesion", "malignant")
QUESTIONS = {"lesion": ("lesion",), "malignant": ("malignant",)}
UNKNOWN = 2 * FEWEST


def target():
    """(N, 2, L): half have a lesion; of them half are malignant; malignancy does not apply to the others."""
    lesion = np.arange(4 * FEWEST) < UNKNOWN
    malignant = np.arange(4 * FEWEST) % 2 == 0
    told = np.stack([np.stack([lesion, malignant & lesion], 1), np.stack([~lesion, ~malignant & lesion], 1)], 1)
    return told.astype(np.float32)


def judged(checkpoints, epoch, lesion, malignant, *, mean=0.5, value=None):
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, epoch if value is None else value)
    truth = target()
    right = np.stack([np.where(truth[:, 0, place] == 1, 0.8, 0.2) for place in (0, 1)], 1)
    told = np.stack([right[:, 0] if lesion else 1 - right[:, 0], right[:, 1] if malignant else 1 - right[:, 1]], 1)
    checkpoints.judge(epoch, network, told, truth, mean=mean)


def test_each_question_keeps_the_weights_of_its_own_best_epoch():
    kept = Checkpoints(QUESTIONS, LABELS)
    judged(kept, 1, lesion=True, malignant=False)
    judged(kept, 2, lesion=False, malignant=True)
    judged(kept, 3, lesion=False, malignant=False)
    assert {name: best["epoch"] for name, best in kept.best.items()} == {"lesion": 1, "malignant": 2}
    assert kept.best["malignant"]["state"]["weight"].item() == 2


def test_of_equal_areas_the_surer_epoch_is_kept():
    kept = Checkpoints(QUESTIONS, LABELS)
    for epoch, mean in ((1, 0.6), (2, 0.7), (3, 0.65)):
        judged(kept, epoch, lesion=True, malignant=True, mean=mean)
    assert kept.best["lesion"]["epoch"] == 2


def test_a_question_that_too_few_can_decide_is_left_open():
    kept = Checkpoints(QUESTIONS, LABELS)
    truth = target()
    truth[:UNKNOWN, :, 1] = 0  # nobody knows whether they are malignant
    kept.judge(1, nn.Linear(1, 1), np.full((len(truth), 2), 0.5), truth, mean=0.5)
    assert set(kept.best) == {"lesion"}


def test_a_run_that_was_cut_off_keeps_what_it_had():
    kept, resumed = (Checkpoints(QUESTIONS, LABELS) for _ in range(2))
    judged(kept, 1, lesion=True, malignant=True)
    resumed.load_state_dict(kept.state_dict())
    judged(resumed, 2, lesion=True, malignant=False, mean=0.4)
    assert resumed.best["lesion"]["epoch"] == 1
    assert torch.equal(resumed.best["lesion"]["state"]["weight"], torch.ones(1, 1))
    assert kept.best["lesion"]["value"] == pytest.approx((1.0, 0.5))
