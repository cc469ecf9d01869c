"""ImageNet weights of a user's file; torchvision cannot be installed, so its layout is made here."""

import re
from collections import OrderedDict

import pytest
import torch
from monai.networks.nets import DenseNet121
from safetensors.torch import save_file

from hepatic.errors import BadInputError
from hepatic.networks.imagenet import load_imagenet
from hepatic.networks.supervised_attention import SupervisedAttention, densenet121_features, resnet50_features
from infer_tasks.us_bmode import TASK as BMODE
from infer_tasks.us_ceus import TASK as CEUS

RESNET50 = {1: (3, 64), 2: (4, 128), 3: (6, 256), 4: (3, 512)}


def norm(name, channels):
    shapes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (channels,))
    return {f"{name}.{part}": shape for part, shape in shapes.items()} | {f"{name}.num_batches_tracked": ()}


def torchvision_resnet50():
    """Names and shapes as torchvision's documentation of resnet50 has them, with numbers."""
    shapes = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64), "fc.weight": (1000, 2048), "fc.bias": (1000,)}
    before = 64
    for stage, (blocks, width) in RESNET50.items():
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            for number, (into, edge, out) in enumerate(
                ((before, 1, width), (width, 3, width), (width, 1, 4 * width)), 1
            ):
                shapes[f"{name}.conv{number}.weight"] = (out, into, edge, edge)
                shapes |= norm(f"{name}.bn{number}", out)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, before, 1, 1)
                shapes |= norm(f"{name}.downsample.1", 4 * width)
            before = 4 * width
    return numbered(shapes)


def torchvision_densenet121(*, old=False):
    """Likewise; files of the first years have a dot before the number of a layer's norm and convolution."""
    dot = "." if old else ""
    shapes = {"features.conv0.weight": (64, 3, 7, 7), **norm("features.norm0", 64)}
    channels = 64
    for block, layers in enumerate((6, 12, 24, 16), 1):
        for layer in range(1, layers + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            shapes |= norm(f"{name}.norm{dot}1", channels) | norm(f"{name}.norm{dot}2", 128)
            shapes[f"{name}.conv{dot}1.weight"] = (128, channels, 1, 1)
            shapes[f"{name}.conv{dot}2.weight"] = (32, 128, 3, 3)
            channels += 32
        if block < 4:
            shapes |= norm(f"features.transition{block}.norm", channels)
            shapes[f"features.transition{block}.conv.weight"] = (channels // 2, channels, 1, 1)
            channels //= 2
    shapes |= norm("features.norm5", channels)
    return numbered({**shapes, "classifier.weight": (1000, channels), "classifier.bias": (1000,)})


def numbered(shapes):
    draw = torch.Generator().manual_seed(0)
    made = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            made[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            made[name] = torch.rand(shape, generator=draw) + 0.5
        else:
            made[name] = 0.05 * torch.randn(shape, generator=draw)
    return made


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "resnet50-0676ba61.pth"
    torch.save(torchvision_resnet50(), file)
    return file


def attention(features, channels):
    return SupervisedAttention(features(), channels=channels, outputs=7).eval()


def test_a_resnet_gets_every_tensor_of_the_backbone_and_keeps_its_own_head(resnet50):
    network, given = attention(resnet50_features, 2048), torchvision_resnet50()
    head = network.classify.weight.clone()
    assert load_imagenet(network, resnet50) == len(given) - 2
    state = network.state_dict()
    for name, tensor in given.items():
        if not name.startswith("fc."):
            assert torch.equal(state[f"features.{name}"], tensor), name
    assert torch.equal(network.classify.weight, head)


@pytest.mark.parametrize("old", [False, True])
def test_a_densenet_is_renamed(tmp_path, old):
    file, given = tmp_path / "densenet121.safetensors", torchvision_densenet121(old=old)
    save_file(given, file)
    network = attention(densenet121_features, 1024)
    load_imagenet(network, file)
    state = network.state_dict()
    for name, tensor in given.items():
        if name.startswith("features."):
            ours = re.sub(r"(norm|conv)\.(\d)", r"\1\2", name) if "denselayer" in name else name
            ours = re.sub(r"(denselayer\d+)\.", r"\1.layers.", ours).replace("features.", "features.0.", 1)
            assert torch.equal(state[ours], tensor), name


def test_a_grey_picture_gives_what_it_gave_as_three_equal_channels(resnet50):
    colour, grey = resnet50_features(), BMODE.preset("resnet").network()
    load_imagenet(colour, resnet50)
    load_imagenet(grey, resnet50)
    picture = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(
        torch.nn.functional.conv2d(picture, grey.conv1.weight),
        torch.nn.functional.conv2d(picture.expand(-1, 3, -1, -1), colour.conv1.weight),
        atol=1e-5,
        rtol=1e-4,
    )


def test_a_file_saved_on_several_gpus_with_its_epoch_is_read(tmp_path):
    file = tmp_path / "densenet121.pth"
    given = {f"module.{name}": tensor for name, tensor in torchvision_densenet121().items()}
    torch.save({"epoch": 90, "state_dict": given}, file)
    network = DenseNet121(2, 3, 7)
    load_imagenet(network, file)
    assert torch.equal(network.state_dict()["features.norm5.bias"], given["module.features.norm5.bias"])


@pytest.mark.parametrize(
    ("network", "named"),
    [
        (lambda: attention(densenet121_features, 1024), "without conv0"),
        (lambda: CEUS.preset("res3d").network(), "layer1"),
        (lambda: BMODE.network(), "conv1 or conv0"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_changed(resnet50, network, named):
    made = network()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    with pytest.raises(BadInputError, match=named):
        load_imagenet(made, resnet50)
    assert all(torch.equal(before[name], tensor) for name, tensor in made.state_dict().items())


def test_a_file_that_is_none_is_refused(tmp_path):
    network = torch.nn.Sequential(OrderedDict(conv1=torch.nn.Conv2d(3, 4, 7, bias=False)))
    for name, content in {"a.pth": b"nothing", "b.safetensors": b"nothing"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInputError, match=name):
            load_imagenet(network, tmp_path / name)
    torch.save({"weights": [1, 2]}, tmp_path / "c.pth")
    with pytest.raises(BadInputError, match="weights by name"):
        load_imagenet(network, tmp_path / "c.pth")


def test_a_wrong_shape_is_named(tmp_path):
    given = torchvision_resnet50()
    given["layer4.2.conv3.weight"] = given["layer4.2.conv3.weight"][:1024]
    torch.save(given, tmp_path / "resnet50.pth")
    with pytest.raises(BadInputError, match=r"layer4\.2\.conv3\.weight.*2048"):
        load_imagenet(resnet50_features(), tmp_path / "resnet50.pth")
