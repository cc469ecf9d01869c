"""The loss of supervised attention, and mixup beside it."""

import pytest
import torch
from torch.nn import functional

from hepatic.losses.attention import attended_loss
from hepatic.networks.supervised_attention import Attended
from hepatic.transforms.mixup import Mixup


def batch_of(truths, size=32):
    """Targets of rows of 1, 0 and None (does not apply), and masks with a lesion in the left upper corner."""
    true = torch.tensor([[float(value == 1) for value in row] for row in truths])
    false = torch.tensor([[float(value == 0) for value in row] for row in truths])
    mask = torch.zeros(len(truths), 1, size, size)
    mask[..., :9, :9] = 1
    image = torch.arange(len(truths), dtype=torch.float32)[:, None, None, None].expand(-1, 1, 4, 4)
    return {
        "image": image,
        "target": torch.stack([true, false], dim=1),
        "mask": mask,
        "mask_known": torch.ones(len(truths)),
    }


def test_only_what_applies_counts():
    logits = torch.randn(2, 3, requires_grad=True)
    batch = batch_of([(0, None, None), (1, 1, 0)])
    loss = attended_loss(Attended(logits, torch.zeros(2, 1, 4, 4)), batch, attention=0.0)
    known = torch.stack([logits[0, 0], *logits[1]])
    torch.testing.assert_close(loss, functional.binary_cross_entropy_with_logits(known, torch.tensor([0.0, 1, 1, 0])))
    loss.backward()
    assert logits.grad[0, 1:].tolist() == [0, 0]


def test_the_attention_is_taught_in_every_cell_that_a_lesion_touches_whatever_the_size_of_the_map():
    for cells, touched in ((4, 2), (8, 3), (5, 2)):
        z = torch.zeros(1, 1, cells, cells, requires_grad=True)
        attended_loss(Attended(torch.zeros(1, 3), z), batch_of([(1, 1, 1)])).backward()
        assert (z.grad < 0).sum() == touched**2
        assert (z.grad[..., :touched, :touched] < 0).all()


def test_a_lesion_that_nobody_has_drawn_teaches_the_findings_and_not_the_attention():
    batch = batch_of([(1, 1, 1), (1, 1, 1)])
    batch["mask"][1] = 0
    batch["mask_known"][1] = 0
    logits, z = torch.zeros(2, 3, requires_grad=True), torch.randn(2, 1, 4, 4, requires_grad=True)
    attended_loss(Attended(logits, z), batch).backward()
    assert (logits.grad < 0).all()
    assert (z.grad[0] != 0).all()
    assert z.grad[1].abs().max() < 1e-6 * z.grad[0].abs().max()


def test_a_mixture_teaches_the_attention_as_much_as_is_known_of_it():
    batch = batch_of([(1, 1, 1)])
    z = torch.randn(1, 1, 32, 32)  # a cell for each pixel

    def looked(mask, known):
        told = {**batch, "mask": mask, "mask_known": torch.full((1,), known)}
        return float(
            attended_loss(Attended(torch.zeros(1, 3), z), told)
            - attended_loss(Attended(torch.zeros(1, 3), z), batch, attention=0)
        )

    half = looked(batch["mask"] * 0.3, 0.3)
    assert half == pytest.approx(0.3 * looked(batch["mask"], 1.0), rel=1e-5)


def test_mixup_of_the_loss_is_the_mixture_of_the_losses():
    batch = batch_of([(0, None, None), (1, 1, 0), (1, 0, 1)])
    logits = torch.randn(3, 3)

    def mixed(seed):
        return Mixup(1.0)(batch, torch.Generator().manual_seed(seed))

    found = mixed(3)
    share = None
    for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
        moved = batch["image"][order, 0, 0, 0] - batch["image"][:, 0, 0, 0]
        shares = (found["image"][:, 0, 0, 0] - batch["image"][:, 0, 0, 0])[moved != 0] / moved[moved != 0]
        if len(shares) and torch.allclose(shares, shares[:1].expand_as(shares)) and 0 < shares[0] < 1:
            share, partner = float(shares[0]), order
    assert share is not None

    def total(targets):
        true, false = targets.unbind(dim=1)
        return -(true * functional.logsigmoid(logits) + false * functional.logsigmoid(-logits)).sum()

    expected = (1 - share) * total(batch["target"]) + share * total(batch["target"][partner])
    assert float(total(found["target"])) == pytest.approx(float(expected), rel=1e-5)
    assert torch.equal(mixed(3)["image"], mixed(3)["image"])
    assert Mixup(0.0)(batch, torch.Generator()) is batch
