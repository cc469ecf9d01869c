"""Networks that answer together."""

import importlib.util

import pytest
import torch
from torch import nn

from hepatic.engine.accelerate import AcceleratedNetwork
from hepatic.networks.ensemble import Ensemble, Member, Told, told_attention, told_probabilities
from hepatic.networks.supervised_attention import (
    Attended,
    SupervisedAttention,
    attention_logits,
    finding_probabilities,
    small_features,
)
from tests.conftest import missing


class Says(nn.Module):
    """Says the same of every picture, and looks at one cell of a map of its own size."""

    def __init__(self, probabilities, cells=(2, 2), cell=(0, 0)):
        super().__init__()
        self.logits = nn.Parameter(torch.logit(torch.tensor(probabilities)))
        z = torch.full((1, 1, *cells), -6.0)
        z[(0, 0, *cell)] = 6.0
        self.z = nn.Parameter(z)
        self.sizes = []

    def forward(self, image):
        self.sizes.append(tuple(image.shape[2:]))
        return Attended(self.logits.expand(len(image), -1), self.z.expand(len(image), -1, -1, -1))


def ensemble(*members):
    return Ensemble(members, labels=2, probabilities=finding_probabilities, attention=attention_logits)


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


def test_the_attention_is_the_mean_on_the_finest_map():
    coarse, fine = Says([0.5, 0.5], (2, 2), (1, 1)), Says([0.5, 0.5], (4, 6), (3, 5))
    told = ensemble(Member(coarse, (0, 1)), Member(fine, (0, 1)))(torch.zeros(1, 3, 8, 8))
    p = torch.sigmoid(told_attention(told))[0, 0]
    assert p.shape == (4, 6)
    assert divmod(int(p.argmax()), 6) == (3, 5)
    assert p[3, 5].item() == pytest.approx(0.9975, abs=1e-3)
    assert p[0, 0] < 0.01


def test_weights_of_the_networks_are_those_of_the_ensemble_and_nothing_else():
    made = ensemble(Member(Says([0.5, 0.5]), (0, 1)))
    assert set(made.state_dict()) == {"networks.0.logits", "networks.0.z"}
    with pytest.raises(TypeError, match="where it looks"):
        told_attention(Told(torch.zeros(1, 2), None))


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
    torch.testing.assert_close(told.attention, expected.attention, atol=1e-3, rtol=1e-3)
