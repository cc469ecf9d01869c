"""Networks in OpenVINO say what they say in torch, or torch says it."""

import logging
import os
import subprocess
import sys
import threading
from typing import NamedTuple

import pytest
import torch
from torch import nn

from hepatic.engine import accelerate
from hepatic.engine.accelerate import TOLERANCE, AcceleratedNetwork, check_accelerator
from hepatic.engine.fold import fold_batch_norms
from hepatic.engine.predict import EXPORTS, Predictor
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError
from tests.conftest import missing
from tests.engine.toys import DETECTOR, box_of, serve_detector, write_ct

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def installed():
    try:
        import openvino  # noqa: F401
    except ImportError:
        missing("openvino", "Install it: pip install 'hepatic[openvino]'")


class Found(NamedTuple):
    logits: torch.Tensor
    attention: torch.Tensor


class TwoHeads(nn.Module):
    """A network with the shape of ours: convolutions, a norm, a pool, two outputs."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.classify, self.attend = nn.Linear(8, 3), nn.Conv2d(8, 1, 1)

    def forward(self, image):
        features = self.body(image)
        return Found(self.classify(features.mean(dim=(-2, -1))), self.attend(features))


def network(seed=0, kind=TwoHeads):
    torch.manual_seed(seed)
    return fold_batch_norms(kind().eval().requires_grad_(False))


def accelerated(folder, net, accelerator="openvino"):
    return AcceleratedNetwork(net, accelerator, name="toy", folder=folder / "weights")


def run(net, image):
    with torch.inference_mode():
        return net(image)


IMAGE = torch.randn(1, 1, 16, 24, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def exports(monkeypatch):
    """How often something was exported."""
    counted = []
    export = AcceleratedNetwork._export

    def count(self, image, target):
        counted.append(tuple(image.shape))
        export(self, image, target)

    monkeypatch.setattr(AcceleratedNetwork, "_export", count)
    return counted


def test_every_output_comes_back_as_torch_gives_it(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    net = network()
    fast = accelerated(tmp_path, net)
    run(fast, IMAGE)
    other = torch.randn_like(IMAGE)
    found, expected = run(fast, other.contiguous(memory_format=torch.channels_last)), run(net, other)
    assert isinstance(found, Found)
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)
    assert found.attention.std() > 10 * TOLERANCE, "there is something to agree on"
    assert fast.differences[tuple(IMAGE.shape)] < TOLERANCE
    assert "runs in OpenVINO on 1x1x16x24 (f32)" in caplog.text


def test_a_network_is_exported_once_for_each_shape_and_found_again_by_the_next_process(tmp_path, exports):
    wide = torch.randn(1, 1, 16, 32)
    for _ in range(2):
        fast = accelerated(tmp_path, network())
        for image in (IMAGE, wide, IMAGE):
            run(fast, image)
    assert exports == [(1, 1, 16, 24), (1, 1, 16, 32)]


def test_new_weights_are_exported_anew_and_the_old_export_goes(tmp_path, exports):
    run(accelerated(tmp_path, network()), IMAGE)
    run(AcceleratedNetwork(network(1), "openvino", name="toy", folder=tmp_path / "others"), IMAGE)
    assert len(exports) == 2
    assert [folder.name for folder in tmp_path.iterdir()] == ["others"]


@pytest.mark.parametrize("accelerator", ["openvino", "openvino-bf16"])
@pytest.mark.parametrize("damage", ["another network", "no file at all", "half a file"])
def test_an_export_that_is_not_this_network_is_made_again(tmp_path, exports, damage, accelerator):
    run(accelerated(tmp_path, network(1)), IMAGE)
    (file,) = tmp_path.glob("weights/*/model.xml")
    if damage != "another network":
        file.write_text("" if damage == "no file at all" else file.read_text()[:300])
    net = network()
    fast = accelerated(tmp_path, net, accelerator)
    torch.testing.assert_close(run(fast, IMAGE), run(net, IMAGE), atol=0.05, rtol=0)
    assert len(exports) == 2


class Silent(TwoHeads):
    """Does not say where it looks."""

    def forward(self, image):
        return super().forward(image)._replace(attention=None)


def test_an_output_that_is_none_stays_none(tmp_path):
    net = network(kind=Silent)
    fast = accelerated(tmp_path, net)
    run(fast, IMAGE)
    found = run(fast, 2 * IMAGE)
    assert found.attention is None
    torch.testing.assert_close(found.logits, run(net, 2 * IMAGE).logits, atol=TOLERANCE, rtol=0)
    assert fast.differences[tuple(IMAGE.shape)] < TOLERANCE


class Frozen(nn.Module):
    """Works with a number that an export would keep for ever."""

    def forward(self, image):
        return image * float(image.abs().max())


def test_a_network_that_differs_stays_in_torch_with_a_warning(tmp_path, caplog):
    net = network(kind=Frozen)
    fast = accelerated(tmp_path, net)
    for image in (IMAGE, 3 * IMAGE):
        assert torch.equal(run(fast, image), run(net, image))
    assert caplog.text.count("toy stays in torch on 1x1x16x24: logits of OpenVINO differ by") == 1


class NotExportable(nn.Module):
    """Cannot be traced with an empty picture, nor compiled by torch (a generator)."""

    def forward(self, image):
        if not any(value for value in image.flatten().tolist()):
            raise ValueError("an empty picture")
        return image + 1


def test_a_network_that_cannot_be_exported_stays_in_torch_with_a_warning(tmp_path, caplog):
    net, level = network(kind=NotExportable), logging.getLogger().level
    fast = accelerated(tmp_path, net)
    for _ in range(2):
        assert torch.equal(run(fast, IMAGE), run(net, IMAGE))
    assert caplog.text.count("toy stays in torch on 1x1x16x24: OpenVINO cannot run it") == 1
    assert logging.getLogger().level == level, "other messages are not lost"


def test_more_shapes_than_may_be_run_in_torch(tmp_path, exports, monkeypatch):
    monkeypatch.setattr(accelerate, "MOST_SHAPES", 1)
    fast = accelerated(tmp_path, network())
    for width in (8, 10, 12, 8):
        assert run(fast, torch.randn(1, 1, 8, width)).attention.shape == (1, 1, 4, width // 2)
    assert exports == [(1, 1, 8, 8)]


def test_bfloat16_says_what_it_costs(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    fast = accelerated(tmp_path, network(), "openvino-bf16")
    run(fast, IMAGE)
    assert "(bf16): logits differ" in caplog.text
    assert 0 <= fast.differences[tuple(IMAGE.shape)] < 0.1


def test_several_threads_get_each_their_own_answer(tmp_path):
    net = network()
    fast = accelerated(tmp_path, net)
    images = [torch.full_like(IMAGE, float(level)) for level in range(8)]
    found = {}

    def ask(number):
        for _ in range(20):
            found[number] = run(fast, images[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, image in enumerate(images):
        torch.testing.assert_close(found[number], run(net, image), atol=TOLERANCE, rtol=0)


def test_a_predictor_with_it_finds_the_same_boxes(tmp_path):
    registry = Registry(tmp_path / "models")
    serve_detector(registry)
    image = write_ct(tmp_path / "ct.nrrd", (3, 5, 6))
    found = [
        Predictor(registry, device="cpu", accelerator=accelerator).predict(DETECTOR, image, params={"min_score": 0.5})
        for accelerator in ("none", "openvino")
    ]
    for answer in found:
        assert answer.boxes.tolist() == [pytest.approx(box_of((3, 5, 6)))]
    assert found[0].scores == pytest.approx(found[1].scores, abs=1e-4)
    assert list((registry.models / EXPORTS / DETECTOR.name).iterdir())
    assert registry.tasks() == [DETECTOR.name], "exports are no models"


def test_a_gpu_needs_none_and_a_cpu_needs_it_installed(monkeypatch):
    assert check_accelerator("openvino", torch.device("cuda")) == "none"
    assert check_accelerator("none", CPU) == "none"
    monkeypatch.setattr(accelerate.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadInputError, match=r"hepatic\[openvino\]"):
        check_accelerator("openvino", CPU)


def test_nothing_is_reported_to_anybody(tmp_path):
    code = (
        "from hepatic.engine import accelerate as a; a._openvino();"
        "from openvino.tools.ovc import telemetry_utils as t; print(t.tm.__name__)"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip().endswith("telemetry_stub")
    assert list(tmp_path.iterdir()) == [], "not even a number that stands for this machine is kept"
