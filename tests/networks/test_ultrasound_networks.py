"""The classifiers of papers 002 and 004."""

import pytest
import torch
from torch import nn

from hepatic.errors import BadInputError
from hepatic.networks.supervised_attention import (
    SupervisedAttention,
    attention_shares,
    densenet121_features,
    resnet50_features,
    small_features,
    weighted_mean,
)
from infer_tasks.us_bmode import TASK as BMODE
from infer_tasks.us_ceus import TASK as CEUS


class Given(nn.Module):
    """Features that are the picture itself."""

    def forward(self, image):
        return image


def attention(scales, channels=3):
    return SupervisedAttention(Given(), channels=channels, outputs=7, scales=scales).eval()


def test_features_are_averaged_by_equation_3():
    features, p = torch.randn(2, 5, 4, 3), torch.rand(2, 1, 4, 3)
    expected = torch.stack([(features[:, k] * p[:, 0]).sum((1, 2)) / p[:, 0].sum((1, 2)) for k in range(5)], dim=1)
    torch.testing.assert_close(weighted_mean(features, p), expected)


def test_lambda_zero_is_mean_pooling():
    network, image = attention((0.0,)), torch.randn(2, 3, 6, 5)
    torch.testing.assert_close(network(image).logits, network.classify(image.mean(dim=(2, 3))))


def test_an_attention_that_is_zero_to_the_last_bit_is_still_a_mean():
    features = torch.randn(1, 4, 3, 3)
    pooled = weighted_mean(features, torch.sigmoid(torch.full((1, 1, 3, 3), -1000.0)))
    torch.testing.assert_close(pooled, features.mean(dim=(2, 3)))


def test_a_larger_lambda_looks_at_less():
    z = torch.zeros(1, 1, 5, 5)
    z[..., 2, 2] = 3.0
    z[..., 0, 0] = -3.0
    shares = []
    for scale in (0.0, 0.25, 1.0, 4.0):
        p = torch.sigmoid(scale * z)
        shares.append(float((p / p.sum()).max()))
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(1 / 25)


def test_several_lambdas_at_once_are_concatenated_and_teach_the_attention():
    network = attention((0.25, 1.0))
    assert network.classify.in_features == 6
    network.train()(torch.randn(2, 3, 6, 5)).logits.sum().backward()
    assert network.attend.weight.grad.abs().sum() > 0
    with pytest.raises(BadInputError, match="lambda"):
        attention(())


@pytest.mark.parametrize(
    ("features", "channels", "size", "cells"),
    [
        (resnet50_features, 2048, (240, 345), (8, 11)),
        (resnet50_features, 2048, (480, 690), (15, 22)),
        (resnet50_features, 2048, (96, 130), (3, 5)),
        (densenet121_features, 1024, (240, 345), (7, 10)),
        (densenet121_features, 1024, (480, 690), (15, 21)),
        (small_features, 96, (120, 172), (8, 11)),
    ],
)
def test_the_attention_has_the_size_of_the_feature_map_whichever_that_is(features, channels, size, cells):
    network = SupervisedAttention(features(), channels=channels, outputs=7).eval()
    with torch.inference_mode():
        logits, attended, shares = network(torch.zeros(1, 3, *size))
    assert logits.shape == (1, 7)
    assert attended.shape == shares.shape == (1, 1, *cells)


def test_weights_of_resnet50_have_torchvisions_names():
    names = set(resnet50_features().state_dict())
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.downsample.0.weight", "layer4.2.bn3.bias"} <= names


@pytest.mark.parametrize("scale", [0.25, 1.0, 4.0])
def test_where_it_is_said_to_look_is_what_it_weighs(scale):
    network, image = attention((scale,)), torch.randn(2, 3, 6, 5)
    told = network(image)
    torch.testing.assert_close(told.shares.sum(dim=(2, 3)), torch.ones(2, 1))
    torch.testing.assert_close(told.logits, network.classify((told.shares * image).sum(dim=(2, 3))))


def test_where_several_lambdas_look_is_the_mean():
    network, image = attention((0.0, 1.0)), torch.randn(1, 3, 6, 5)
    p = torch.sigmoid(network(image).attention)
    torch.testing.assert_close(network(image).shares, (1 / 30 + p / p.sum()) / 2)


def test_mean_pooling_looks_nowhere_in_particular():
    assert attention_shares(attention((0.0,))(torch.randn(1, 3, 6, 5))) is None


def test_the_plain_networks_are_the_paper_s():
    """Without normalisation, which paper 002 names nowhere."""
    vgg, cnn = (task.preset("paper").network() for task in (BMODE, CEUS))
    assert sum(p.numel() for p in vgg.parameters()) == pytest.approx(5e6, rel=0.15)
    assert sum(p.numel() for p in cnn.parameters()) == pytest.approx(9.6e6, rel=0.05)
    for network, kind, count in ((vgg, nn.Conv2d, 8), (cnn, nn.Conv3d, 4)):
        assert sum(isinstance(layer, kind) for layer in network.modules()) == count
        assert not list(network.buffers()), "means and deviations of batches"
    with torch.inference_mode():
        assert vgg.eval()(torch.zeros(1, 1, 112, 112)).shape == (1, 2)
        assert cnn.eval()(torch.zeros(2, 1, 30, 64, 64)).shape == (2, 2)
