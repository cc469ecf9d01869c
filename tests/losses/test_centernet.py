import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from hepatic.losses import centernet_loss, penalty_reduced_focal
from hepatic.networks.centernet import CenterMaps, CenterNet
from hepatic.networks.hourglass import SMALL
from hepatic.transforms.centernet_target import CenterNetTarget

BOX = [4, 8, 12, 8, 24, 20]


def batch(**sample):
    made = CenterNetTarget(stride=(2, 4, 4))
    image = torch.zeros(1, 12, 32, 32)
    return default_collate([made({"image": image, "boxes": np.array([BOX]), **sample}) for _ in range(2)])


def perfect(told):
    logits = torch.where(told["at_centre"] > 0, 12.0, -12.0)
    return CenterMaps(logits, told["offset"].clone(), told["size"].clone())


def test_a_perfect_prediction_costs_nothing_and_an_empty_one_a_lot():
    told = batch()
    assert centernet_loss((perfect(told),), told) < 1e-3
    nothing = perfect(told)._replace(heatmap=torch.full_like(told["heatmap"], -12.0))
    assert centernet_loss((nothing,), told) > 5


def test_a_wrong_size_costs_a_tenth_of_a_wrong_offset():
    told = batch()
    right = perfect(told)
    zero = centernet_loss((right,), told)
    offset = centernet_loss((right._replace(offset=right.offset + 1),), told) - zero
    size = centernet_loss((right._replace(size=right.size + 1),), told) - zero
    assert (offset.item(), size.item()) == pytest.approx((3, 0.3), rel=1e-4)


def test_firing_beside_a_centre_costs_less_than_far_from_it():
    told = batch()
    k, j, i = (int(n) for n in told["at_centre"][0, 0].nonzero()[0])
    beside, far = perfect(told).heatmap, perfect(told).heatmap
    beside[:, :, k, j + 1, i], far[:, :, 0, 0, 0] = 2.0, 2.0
    maps = {"heatmap": told["heatmap"], "at_centre": told["at_centre"], "weight": told["weight"]}
    assert penalty_reduced_focal(beside, **maps) < 0.5 * penalty_reduced_focal(far, **maps)


def test_firing_on_a_rejected_candidate_costs_more_and_outside_known_boxes_nothing():
    far = (slice(None), slice(None), 0, 0, 0)
    plain, rejected = batch(), batch(negatives=np.array([[0, 0, 0, 2, 4, 4]]))
    unknown = batch(complete=False)
    costs = []
    for told in (plain, rejected, unknown):
        fires = perfect(told)
        fires.heatmap[far] = 3.0
        costs.append(float(centernet_loss((fires,), told) - centernet_loss((perfect(told),), told)))
    assert costs[1] == pytest.approx(4 * costs[0], rel=1e-3)
    assert costs[2] == 0


def test_a_sample_without_a_lesion_can_be_learnt_from():
    told = batch(boxes=np.zeros((0, 6)))
    loss = centernet_loss(CenterNet(dimension=3, stride=(2, 4, 4), **SMALL)(torch.zeros(2, 1, 12, 32, 32)), told)
    assert torch.isfinite(loss)


def test_a_few_steps_on_one_bright_ball_put_the_peak_onto_it():
    torch.manual_seed(0)
    image = torch.zeros(1, 4, 16, 16)
    image[:, 0:4, 8:16, 4:12] = 2.0
    target = CenterNetTarget(stride=(2, 4, 4))
    told = default_collate([target({"image": image, "boxes": np.array([[0, 8, 4, 4, 16, 12]])})] * 2)
    network = CenterNet(dimension=3, stride=(2, 4, 4), stem=4, channels=(8, 8), modules=(1, 1), light=True)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    first = None
    for _ in range(60):
        loss = centernet_loss(network(told["image"]), told)
        first = first or loss.item()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.2 * first
    assert int(network(told["image"])[-1].heatmap[0].argmax()) == int(told["at_centre"][0].argmax())
