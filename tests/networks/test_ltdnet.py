import pytest
import torch

from hepatic.losses import bce_dice, difference_loss, ltd_loss
from hepatic.networks.ltdnet import LTDNet, ltd_probabilities
from hepatic.networks.unet import TINY


def batch(height=32, width=48, seed=0):
    draw = torch.Generator().manual_seed(seed)
    image = torch.randn(2, 10, height, width, generator=draw)
    target = (torch.rand(2, 2, height, width, generator=draw) > 0.8).float()
    return {"image": image, "target": target, "known": torch.ones(2, 2)}


def network(**branches):
    torch.manual_seed(0)
    return LTDNet(fusion=TINY, branch=TINY, **branches)


def test_three_maps_come_out_on_the_grid_that_went_in():
    output = network()(batch()["image"])
    assert [tuple(m.shape) for m in output] == [(2, 1, 32, 48)] * 3
    assert ltd_probabilities(output).shape == (2, 2, 32, 48)


def test_a_picture_whose_sides_are_no_multiple_of_sixteen_keeps_its_size():
    assert network()(torch.randn(1, 10, 40, 50)).tumour.shape == (1, 1, 40, 50)


@pytest.mark.parametrize(
    ("branches", "cues"),
    [
        ({"learnt_difference": False, "liver": False}, 1),
        ({"learnt_difference": False, "liver": False, "frame_difference": True}, 2),
        ({"learnt_difference": False}, 2),
        ({"liver": False}, 2),
        ({}, 3),
    ],
)
def test_each_row_of_the_papers_tables_feeds_the_fusion_network_its_cues(branches, cues):
    model = network(**branches)
    first = next(model.ffs.parameters())
    assert first.shape[1] == cues
    output = model(batch()["image"])
    assert (output.difference is None) == (branches.get("learnt_difference") is False)
    assert (output.liver is None) == (branches.get("liver") is False)


def test_the_joint_loss_reaches_every_parameter_of_all_three_networks():
    model = network()
    ltd_loss(model(batch()["image"]), batch()).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert silent == []


def test_only_the_key_frame_and_the_learnt_difference_see_the_earlier_frames():
    model = network(learnt_difference=False).eval()
    image = batch()["image"]
    changed = image.clone()
    changed[:, :9] += 1
    assert torch.equal(model(image).tumour, model(changed).tumour)


def test_the_difference_loss_is_zero_for_the_signed_frame_difference_and_not_for_its_mirror():
    b = batch()
    difference = b["image"][:, -1:] - b["image"][:, :1]
    assert difference_loss(difference, b) == 0
    assert difference_loss(-difference, b) > 0.5


def test_equation_four_weighs_its_three_terms():
    b = batch()
    output = network()(b["image"])
    segmentation = bce_dice(output.tumour, b["target"][:, :1])
    liver = bce_dice(output.liver, b["target"][:, 1:])
    expected = segmentation + 0.1 * difference_loss(output.difference, b) + 1.0 * liver
    assert torch.allclose(ltd_loss(output, b), expected)


def test_a_sample_without_a_liver_label_does_not_teach_the_liver_branch():
    b = batch()
    b["known"] = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    model = network(learnt_difference=False)
    ltd_loss(model(b["image"]), b, l0=0).backward()
    with_liver = [p.grad.abs().sum() for p in model.lrs.parameters()]
    b["known"] = torch.ones(2, 2)
    model.zero_grad()
    ltd_loss(model(b["image"]), b, l0=0).backward()
    assert sum(with_liver) < sum(p.grad.abs().sum() for p in model.lrs.parameters())


def test_a_perfect_prediction_costs_next_to_nothing_and_its_opposite_a_lot():
    target = batch()["target"][:, :1]
    sure = 40 * (target - 0.5)
    assert bce_dice(sure, target) < 1e-3
    assert bce_dice(-sure, target) > 5
