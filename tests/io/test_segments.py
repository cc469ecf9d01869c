"""Segmentations as 3D Slicer writes them."""

from pathlib import Path

import nrrd
import numpy as np
import pytest

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.labelmap import read_labelmap

LIVER, TUMOUR = (slice(1, 3), slice(1, 4), slice(2, 6)), (slice(2, 3), slice(2, 3), slice(3, 5))


def save(path: Path, layers: np.ndarray, grid: Grid, segments: list[tuple[str, int, int]]) -> Path:
    """Write (k, j, i) or (k, j, i, layers) with segments (name, value, layer), cropped as Slicer crops."""
    inside = np.argwhere(layers.reshape(*grid.shape, -1).any(axis=-1))
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    cropped = layers[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    rows = grid.affine[:3, :3].T
    fields = {
        "space": "left-posterior-superior",
        "space origin": grid.affine[:3] @ [*low[::-1], 1],
        "space directions": rows if layers.ndim == 3 else np.vstack([[np.nan] * 3, rows]),
        "kinds": ["domain"] * 3 if layers.ndim == 3 else ["list", *["domain"] * 3],
        "Segmentation_ReferenceImageExtentOffset": " ".join(str(n) for n in low[::-1]),
    }
    for n, (name, value, layer) in enumerate(segments):
        fields |= {f"Segment{n}_ID": f"s{n}", f"Segment{n}_Name": name}
        fields |= {f"Segment{n}_LabelValue": str(value), f"Segment{n}_Layer": str(layer)}
    data = cropped.transpose(2, 1, 0) if layers.ndim == 3 else cropped.transpose(3, 2, 1, 0)
    nrrd.write(str(path), np.asfortranarray(data), fields)
    return path


@pytest.fixture
def labels(oblique: Grid) -> np.ndarray:
    array = np.zeros(oblique.shape, np.uint8)
    array[LIVER], array[TUMOUR] = 1, 2
    return array


def test_a_segmentation_cropped_to_its_extent_is_padded_back_exactly(tmp_path: Path, labels, oblique: Grid) -> None:
    path = save(tmp_path / "a.seg.nrrd", labels, oblique, [("liver", 1, 0), ("HCC", 2, 0)])
    cropped = read_labelmap(path)
    assert cropped.grid.size == (4, 3, 2)
    found = read_labelmap(path, like=oblique)
    np.testing.assert_array_equal(found.array, labels)
    assert found.names == {"liver": 1, "HCC": 2}


def test_layers_that_do_not_overlap_become_one(tmp_path: Path, labels, oblique: Grid) -> None:
    layers = np.stack([labels == 1, labels == 2], axis=-1).astype(np.uint8)
    path = save(tmp_path / "a.seg.nrrd", layers, oblique, [("liver", 1, 0), ("HCC", 1, 1)])
    found = read_labelmap(path, like=oblique)
    np.testing.assert_array_equal(found.array, labels)
    assert found.names == {"liver": 1, "HCC": 2}


def test_layers_with_different_values_keep_them(tmp_path: Path, labels, oblique: Grid) -> None:
    layers = np.stack([(labels == 1) * 4, (labels == 2) * 7], axis=-1).astype(np.uint8)
    path = save(tmp_path / "a.seg.nrrd", layers, oblique, [("liver", 4, 0), ("HCC", 7, 1)])
    assert read_labelmap(path).names == {"liver": 4, "HCC": 7}


@pytest.mark.parametrize(
    ("segments", "word"),
    [
        ([("liver", 1, 0), ("HCC", 1, 1)], "overlapping"),
        ([("liver", 1, 0), ("liver", 1, 1)], "two of one name"),
        ([("liver", 1, 0), ("HCC", 2, 1)], "no segment has"),
        ([("liver", 1, 0), ("HCC", 1, 5)], "layers"),
        ([("liver", 0, 0), ("HCC", 1, 1)], "positive"),
        ([], "2 layers"),
    ],
)
def test_what_one_labelmap_cannot_hold_is_refused(tmp_path: Path, labels, oblique: Grid, segments, word: str) -> None:
    layers = np.stack([labels > 0, labels == 2], axis=-1).astype(np.uint8)
    with pytest.raises(BadInputError, match=word):
        read_labelmap(save(tmp_path / "a.seg.nrrd", layers, oblique, segments))


def test_a_value_without_a_segment_is_refused(tmp_path: Path, labels, oblique: Grid) -> None:
    with pytest.raises(BadInputError, match="no segment has"):
        read_labelmap(save(tmp_path / "a.seg.nrrd", labels, oblique, [("liver", 1, 0)]))
