"""Where a classifier looked, as a labelmap for viewers that show no classes."""

from pathlib import Path

import numpy as np
import pytest
import torch

import infer_tasks
from hepatic.adapters.infer import HepaticInferTask
from hepatic.adapters.read_classes import class_named
from hepatic.adapters.region_mask import attention_on, class_names
from hepatic.engine.answer import Classification
from hepatic.engine.card import ModelCard
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.engine.whole_image import outline, without_outline
from hepatic.geometry import Grid
from hepatic.io.grid import grid_of
from hepatic.io.labelmap import read_labelmap
from hepatic.tasks.discover import discover_tasks
from sample_data.us import write_us

TASKS = discover_tasks(infer_tasks)
SHIPPED = Path(__file__).parents[2] / "apps" / "hepatic" / "models"


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    return write_us(tmp_path_factory.mktemp("us"), 1, seed=3, size="tiny", kind="hcc")[0]


@pytest.fixture(scope="module")
def ask(tmp_path_factory, still):
    folder = tmp_path_factory.mktemp("results")
    predictor = Predictor(Registry(folder / "models", shipped=SHIPPED), device="cpu")

    def ask_(name, *, as_segmentation=True, drawn=None, **options):
        model = HepaticInferTask(TASKS[name], predictor, results=folder, as_segmentation=as_segmentation, drawn=drawn)
        return model, *model({"image": str(still), "result_extension": ".nrrd", **options})

    return ask_


def test_the_box_that_was_looked_at_comes_back_named_by_class_and_probability(ask, still):
    model, file, told = ask("us_bmode", roi="40,50,70,90")
    assert model.info()["type"] == "segmentation"
    labelmap = read_labelmap(Path(file), like=grid_of(still))
    expected = np.zeros(labelmap.array.shape, np.uint8)
    expected[0, 50:90, 40:70] = 1
    assert np.array_equal(labelmap.array, expected)
    first, second = told["label_names"]
    share = told["probabilities"][told["result"]]
    assert first == f"{told['result']} p{'>0.99' if share > 0.995 else f'={share:.2f}'}"
    assert second.split()[0] in {"hcc", "non_hcc"} - {told["result"]}
    assert list(told["label_names"].values()) == [1, 2]


def test_the_name_says_where_nobody_drew_a_box(ask):
    _, _, told = ask("us_bmode", image_id="a")
    first, second = told["label_names"]
    assert first.endswith(" (whole image)")
    assert "(" not in second
    _, file, told = ask("us_bmode", image_id="a", drawn=lambda image_id, source: [(0, 0, 9, 9), (50, 40, 90, 70)])
    assert "(" not in "".join(told["label_names"])
    assert read_labelmap(Path(file)).array[0].nonzero()[0].min() == 50


@pytest.mark.parametrize(
    ("hcc", "names"),
    [
        (0.88, ["hcc p=0.88 (whole image, no onset)", "non_hcc p=0.12"]),
        (0.994, ["hcc p=0.99 (whole image, no onset)", "non_hcc p=0.01"]),
        (0.9999, ["hcc p>0.99 (whole image, no onset)", "non_hcc p<0.01"]),
    ],
)
def test_the_name_says_where_no_echo_begins_and_nothing_of_certainty(hcc, names):
    told = {"hcc": hcc, "non_hcc": 1 - hcc}
    facts = {"onset": "none", "roi_from": "whole image"}
    grid = Grid((4, 4, 2), np.eye(4))
    about = {"grid": grid, "version": "v1", "model_sha256": "0" * 64, "timings_ms": {}}
    answer = Classification(probabilities=told, label="hcc", facts=facts, **about)
    assert class_names(answer, TASKS["us_ceus"]) == {name: value for value, name in enumerate(names, start=1)}
    assert [class_named(name, TASKS["us_ceus"].classes) for name in names] == ["hcc", "non_hcc"]


def test_attention_comes_back_where_it_is_at_least_half_of_its_highest(ask, still):
    _, file, told = ask("us_fll")
    top, left, bottom, right = told["region"]
    found = read_labelmap(Path(file), like=grid_of(still)).array[0]
    assert max(len(str(share)) for row in told["attention"] for share in row) <= len("0.001")
    cells = np.array(told["attention"])
    assert found.sum() == found[top:bottom, left:right].sum() > 0
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    cell = (bottom - top) / cells.shape[0], (right - left) / cells.shape[1]
    assert found[round(top + (row + 0.5) * cell[0]), round(left + (column + 0.5) * cell[1])] == 1
    on_pixels = attention_on(cells, (bottom - top, right - left))
    assert (found[top:bottom, left:right] != (on_pixels >= 0.5)).mean() < 0.01, "but for the rounding of what is told"
    assert next(iter(told["label_names"])).startswith(told["result"])
    assert {name.split()[0] for name in told["label_names"]} == set(TASKS["us_fll"].classes)


@pytest.mark.parametrize(("preset", "tells"), [("small_mean", False), ("small_diffuse", True)])
def test_of_a_model_that_looks_everywhere_the_edges_come_back(tmp_path, still, preset, tells):
    torch.manual_seed(0)
    task = TASKS["us_fll"].preset(preset)
    card = ModelCard(task=task.name, preset=preset, seed=0, key_metric="true_class_probability")
    registry = Registry(tmp_path)
    registry.promote(task.name, registry.publish(task.network().state_dict(), card).card.version)
    model = HepaticInferTask(task, Predictor(registry, device="cpu"), results=tmp_path, as_segmentation=True)
    file, told = model({"image": str(still), "result_extension": ".nrrd"})
    assert ("attention" in told) == tells
    assert np.min(told.get("attention", 1)) > 0.5
    labelmap = read_labelmap(Path(file), like=grid_of(still)).array
    top, left, bottom, right = told["region"]
    assert np.array_equal(labelmap[0, top:bottom, left:right], outline((bottom - top, right - left)))
    assert not without_outline(labelmap).any(), "submitted as it came it says no box"


def test_each_cell_of_attention_covers_an_equal_part():
    cells = np.zeros((2, 4))
    cells[1, 3] = 1
    on_pixels = attention_on(cells, (20, 80))
    assert on_pixels[15:, 70:].min() > 0.99
    assert on_pixels[:5].max() == 0


def test_the_classifier_itself_is_still_one_and_has_no_file(ask):
    model, file, told = ask("us_fll", as_segmentation=False)
    assert (model.info()["type"], file) == ("classification", None)
    assert list(told["label_names"]) == list(TASKS["us_fll"].labels)
    assert model.info()["classes"] == list(TASKS["us_fll"].classes)
    assert model.info()["absent"] == "homogeneous"
