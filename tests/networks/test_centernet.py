import pytest
import torch

from hepatic.engine.fold import fold_batch_norms
from hepatic.errors import BadInputError
from hepatic.networks.centernet import CenterMaps, CenterNet, peaks
from hepatic.networks.centernet_slices import CenterNetSlices, link, linked_peaks
from hepatic.networks.hourglass import HOURGLASS_104, QUARTER, SMALL

TINY = {"channels": (4, 6, 8), "modules": (1, 1, 1), "stem": 4, "stacks": 1, "light": False}


def maps(cells=(6, 8, 10), axes=3):
    return CenterMaps(torch.full((1, 1, *cells), -9.0), torch.zeros(1, axes, *cells), torch.ones(1, axes, *cells))


@pytest.mark.parametrize(("preset", "millions"), [(SMALL, 0.844), (QUARTER, 35.6), (HOURGLASS_104, 569.3)])
def test_the_presets_have_the_sizes_the_documents_say(preset, millions):
    with torch.device("meta"):
        network = CenterNet(dimension=3, stride=(4, 4, 4), **preset)
        output = network(torch.zeros(2, 1, 48, 176, 256))
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.002)
    assert len(output) == preset["stacks"]
    assert output[-1].size.shape == (2, 3, 12, 44, 64)


@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize("stride", [(1, 2, 4), (2, 4, 4), (4, 4, 4)])
def test_each_axis_is_divided_by_its_own_stride(stride, light):
    network = CenterNet(dimension=3, stride=stride, **{**TINY, "light": light})
    shape = network(torch.zeros(2, 1, 8, 24, 16))[-1].heatmap.shape
    assert shape == (2, 1, *(size // step for size, step in zip((8, 24, 16), stride, strict=True)))


def test_a_stride_the_stem_cannot_make_is_refused():
    with pytest.raises(BadInputError, match="each 1, 2 or 4"):
        CenterNet(dimension=3, stride=(3, 4, 4), **TINY)


def test_every_stack_is_trained_and_only_the_last_is_served():
    network = CenterNet(dimension=2, stride=(4, 4), in_channels=3, **{**TINY, "stacks": 2})
    image = torch.randn(2, 3, 20, 28)
    sum(m.sum() for stack in network(image) for m in stack).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    assert len(network.eval()(image)) == 1


def test_folding_its_batch_norms_changes_nothing():
    network = CenterNet(dimension=3, stride=(2, 4, 4), **{**TINY, "stacks": 2, "light": True})
    image = torch.randn(2, 1, 8, 16, 16)
    network(image)
    network.eval()
    with torch.inference_mode():
        before = network(image)[-1]
        after = fold_batch_norms(network)(image)[-1]
    assert not [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm3d)]
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_a_peak_becomes_the_box_its_offset_and_size_say():
    told = maps()
    told.heatmap[0, 0, 2, 3, 4] = 3.0
    told.offset[0, :, 2, 3, 4] = torch.tensor([0.5, 0.25, 0.0])
    told.size[0, :, 2, 3, 4] = torch.tensor([2.0, 1.0, 3.0])
    boxes, scores = peaks(told, stride=(2, 4, 4), most=3)
    assert boxes[0, 0].tolist() == [3, 11, 10, 7, 15, 22]
    assert scores[0, 0] == pytest.approx(torch.sigmoid(torch.tensor(3.0)).item())


def test_the_slope_of_a_peak_is_no_second_peak():
    told = maps()
    told.heatmap[0, 0, 2, 3, 4:7] = torch.tensor([2.9, 3.0, 2.9])
    told.heatmap[0, 0, 5, 0, 0] = 1.0
    _, scores = peaks(told, stride=(2, 4, 4), most=3)
    assert (scores[0] > 0.5).tolist() == [True, True, False]


def test_every_slice_sees_itself_and_its_neighbours():
    network = CenterNetSlices(stride=(4, 4), **TINY).eval()
    image = torch.randn(2, 1, 5, 16, 24)
    changed = image.clone()
    changed[0, 0, 4] += 1
    a, b = network(image)[-1], network(changed)[-1]
    assert a.heatmap.shape == (2, 1, 5, 4, 6)
    assert a.offset.shape == (2, 2, 5, 4, 6)
    differs = (a.heatmap != b.heatmap).flatten(3).any(-1)[:, 0]
    assert differs[0].tolist() == [False, False, False, True, True]
    assert not differs[1].any()


def test_boxes_on_neighbouring_slices_are_one_lesion_and_a_gap_parts_them():
    boxes = torch.zeros(6, 2, 4)
    boxes[:] = torch.tensor([10.0, 10, 20, 20])
    boxes[:, 1] = torch.tensor([40.0, 40, 50, 50])
    scores = torch.tensor([[0.5, 0], [0.9, 0], [0.4, 0], [0, 0], [0.3, 0], [0, 0.8]])
    solid, score = link(boxes.numpy(), scores.numpy())
    assert solid.round().tolist() == [[0, 10, 10, 3, 20, 20], [5, 40, 40, 6, 50, 50], [4, 10, 10, 5, 20, 20]]
    assert score.tolist() == pytest.approx([0.9, 0.8, 0.3])


def test_linked_boxes_keep_the_contract_of_peaks():
    told = maps(cells=(4, 8, 10), axes=2)
    told.heatmap[0, 0, 1:3, 3, 4] = 3.0
    told.size[:] = 2
    boxes, scores = linked_peaks(told, stride=(4, 4), most=3)
    assert boxes[0, 0].tolist() == pytest.approx([1, 8, 12, 3, 16, 20])
    assert boxes.shape == (1, 3, 6)
    assert scores[0, 1:].tolist() == [0, 0]
