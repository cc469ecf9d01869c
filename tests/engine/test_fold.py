"""Folding changes how a network computes, not what."""

import pytest
import torch
from monai.networks.nets import BasicUNet
from torch import nn

from hepatic.engine.fold import fold_batch_norms


def _trained(network: nn.Module) -> nn.Module:
    """Give the batch norms something to fold."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    return network.eval()


def _norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) for module in network.modules())


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_folded_u_net_says_the_same_without_batch_norms(dimensions: int) -> None:
    torch.manual_seed(0)
    network = _trained(BasicUNet(dimensions, 1, 2, features=(4, 4, 8, 8, 8, 4), norm="batch", dropout=0.2))
    image = torch.randn(1, 1, *(16,) * dimensions)
    with torch.inference_mode():
        before = network(image)
        assert _norms(network) > 0
        after = fold_batch_norms(network)(image)
    assert _norms(network) == 0
    assert not any(isinstance(module, nn.Dropout) for module in network.modules())
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)


def test_norms_that_follow_no_convolution_stay() -> None:
    network = _trained(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3)))
    image = torch.randn(1, 3, 4, 4)
    with torch.inference_mode():
        before = network(image)
        torch.testing.assert_close(fold_batch_norms(network)(image), before)
    assert _norms(network) == 2


def test_a_norm_without_statistics_of_its_own_stays() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)).eval()
    fold_batch_norms(network)
    assert _norms(network) == 1
