"""Networks that answer together."""

import importlib.util

import pytest
import torch
from torch import nn

from hepatic.engine.accelerate import AcceleratedNetwork
from hepatic.networks.ensemble import Ensemble, Member, told_attention, told_probabilities
from hepatic.networks.supervised_attention import (
    Attended,
    SupervisedAttention,
    attention_shares,
    finding_probabilities,
    small_features,
)
from tests.conftest import missing


class Says(nn.Module):
    """Says the same of every picture, and looks at one cell of a map of its own size, or nowhere in particular."""

    def __init__(self, probabilities, cells=(2, 2), cell=(0, 0)):
        super().__init__()
        self.logits = nn.Parameter(torch.logit(torch.tensor(probabilities)))
        self.cells, self.cell = cells, cell
        self.sizes = []

    def forward(self, image):
        self.sizes.append(tuple(image.shape[2:]))
        shares = torch.zeros(len(image), 1, *self.cells)
        if self.cell is None:
            shares = None
        else:
            shares[(slice(None), 0, *self.cell)] = 1
        return Attended(self.logits.expand(len(image), -1), torch.zeros(len(image), 1, *self.cells), shares)


def ensemble(*members):
    return Ensemble(members, labels=2, probabilities=finding_probabilities, attention=attention_shares)


def test_a_label_is_the_mean_of_those_who_answer_it():
    both = Member(Says([0.2, 0.6]), (0, 1))
    told = ensemble(both, Member(Says([0.4, 0.9]), (0,)))(torch.zeros(3, 3, 8, 8))
    assert told_probabilities(told).shape == (3, 2)
    torch.testing.assert_close(told.probabilities[0], torch.tensor([0.3, 0.6]))


def test_each_gets_the_picture_in_its_size():
    small, large = Says([0.5, 0.5]), Says([0.5, 0.5])
    picture = torch.linspace(0, 1, 16).expand(1, 3, 8, 16)
    ensemble(Member(small, (0, 1), (4, 8)), Member(large, (0, 1), (8, 16)))(picture)
    assert (small.sizes, large.sizes) == ([(4, 8)], [(8, 16)])


def test_the_attention_is_the_mean_on_the_finest_map_of_those_who_look_somewhere():
    coarse, fine = Says([0.5, 0.5], (2, 2), (1, 1)), Says([0.5, 0.5], (4, 6), (3, 5))
    pooled = Says([0.5, 0.5], (8, 8), None)
    told = ensemble(*(Member(one, (0, 1)) for one in (coarse, fine, pooled)))(torch.zeros(1, 3, 8, 8))
    shares = told_attention(told)[0, 0]
    assert shares.shape == (4, 6)
    assert shares.sum().item() == pytest.approx(1)
    assert divmod(int(shares.argmax()), 6) == (3, 5)
    assert shares[2:, 3:].sum().item() > 0.8, "each has one half, however fine its map"
    assert shares[0, 0] == 0


def test_weights_of_the_networks_are_those_of_the_ensemble_and_nothing_else():
    made = ensemble(Member(Says([0.5, 0.5], cell=None), (0, 1)))
    assert set(made.state_dict()) == {"networks.0.logits"}
    assert told_attention(made(torch.zeros(1, 3, 8, 8))) is None


def test_networks_that_answer_together_run_in_openvino_too(tmp_path, caplog):
    if importlib.util.find_spec("openvino") is None:
        missing("openvino", "Install it: pip install 'hepatic[openvino]'")
    torch.manual_seed(0)
    one, other = (
        SupervisedAttention(small_features(), channels=96, outputs=2, scales=s) for s in ((1.0,), (0.25, 1.0))
    )
    together = ensemble(Member(one, (0,)), Member(other, (0, 1))).eval().requires_grad_(False)
    accelerated = AcceleratedNetwork(together, "openvino", name="together", folder=tmp_path / "export")
    picture = torch.randn(1, 3, 48, 64)
    accelerated(picture)
    told, expected = accelerated(picture), together(picture)
    assert "stays in torch" not in caplog.text
    torch.testing.assert_close(told.probabilities, expected.probabilities, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(told.attention, expected.attention, atol=1e-5, rtol=1e-3)
