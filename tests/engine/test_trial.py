"""Splits and tables of an evaluation (papers 002 and 004)."""

import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from hepatic.engine import trial
from hepatic.engine.trial import Seen
from hepatic.engine.trial_pictures import draw_confusion, draw_roc
from hepatic.engine.trial_results import Results, Row, mean_sd, write_csv
from hepatic.engine.trial_split import Split, expansions_of, seven_one_two, thirds
from hepatic.errors import BadInputError
from train_tasks.us_bmode import RECIPE

TRUTH = ["hcc"] * 80 + ["non_hcc"] * 20
PATIENTS = [f"P{n // 2}" for n in range(100)]
VIEWS = [1] * 80 + [6] * 20


def patients_of(views):
    return {PATIENTS[n] for n, _ in views}


@pytest.mark.parametrize("expansion", ["off", "training"])
def test_no_patient_is_on_two_sides(expansion):
    split = seven_one_two(TRUTH, PATIENTS, VIEWS, seed=3, expansion=expansion)
    sides = [patients_of(part) for part in (split.train, split.tuning, split.test)]
    assert sum(map(len, sides)) == len(set(PATIENTS))
    assert [len(side) / len(set(PATIENTS)) for side in sides] == pytest.approx([0.7, 0.1, 0.2], abs=0.06)
    assert all(view == 0 for _, view in split.test), "each image judges once"


def test_only_the_rarer_class_of_who_trains_is_expanded_until_both_are_equal():
    counts = {
        expansion: Counter(
            TRUTH[n] for n, _ in seven_one_two(TRUTH, PATIENTS, VIEWS, seed=3, expansion=expansion).train
        )
        for expansion in ("off", "training")
    }
    assert counts["off"]["hcc"] > 3 * counts["off"]["non_hcc"]
    assert counts["training"]["hcc"] == counts["off"]["hcc"]
    assert counts["training"]["non_hcc"] == pytest.approx(counts["training"]["hcc"], rel=0.2)


def test_the_papers_expansion_leaks_views_of_one_patient_to_both_sides():
    split = seven_one_two(TRUTH, PATIENTS, VIEWS, seed=3, expansion="paper")
    assert {n for n, _ in split.train} & {n for n, _ in split.test}
    assert any(view > 0 for _, view in split.test)
    judged = Counter(TRUTH[n] for n, _ in split.test)
    assert judged["hcc"] == pytest.approx(judged["non_hcc"], abs=2), "as in the paper's table, 20 and 20"


def test_each_image_judges_once_in_a_shuffle_and_shuffles_differ():
    first, second = (thirds(TRUTH, PATIENTS, seed=seed) for seed in (0, 1))
    for splits in (first, second):
        assert sorted(n for split in splits for n, _ in split.test) == list(range(100))
        for split in splits:
            sides = [patients_of(part) for part in (split.train, split.tuning, split.test)]
            assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]
            assert 0.1 < len(split.tuning) / (len(split.tuning) + len(split.train)) < 0.3
    assert first != second
    assert first == thirds(TRUTH, PATIENTS, seed=0)


def test_as_in_the_paper_the_weights_are_chosen_on_those_who_judge():
    for split in thirds(TRUTH, PATIENTS, seed=0, paper=True):
        assert split.tuning == split.test
        assert len(split.train) == pytest.approx(67, abs=3)


def test_too_few_patients_are_refused_before_anything_is_trained():
    with pytest.raises(BadInputError, match=r"10 or more patients.*4 non_hcc, 2 hcc"):
        seven_one_two(TRUTH[78:84], PATIENTS[78:84], VIEWS[78:84], seed=0)
    with pytest.raises(BadInputError, match="two classes"):
        thirds(["hcc"] * 9, [str(n) for n in range(9)], seed=0)
    with pytest.raises(BadInputError, match="'both'"):
        expansions_of("off,both")


def cell(probabilities, value):
    return {"test": [0, 1], "probabilities": probabilities, "metrics": {who: {"auc": value} for who in probabilities}}


def kept(file, **changes):
    return Results(file, **{"settings": {"epochs": 1}, "patients": ["a", "b"], "truth": ["hcc", "non_hcc"], **changes})


def test_a_run_goes_on_from_results_of_the_same_images_only(tmp_path):
    file = tmp_path / "results.json"
    kept(file).keep("small/training/0", cell({"best": [[0.9, 0.1], [0.2, 0.8]]}, 1.0))
    assert set(kept(file).cells) == set(json.loads(file.read_text())["cells"]) == {"small/training/0"}
    assert kept(file, patients=["a", "c"]).cells == {}
    assert kept(file, settings={"epochs": 2}).cells == {}


def test_an_ensemble_is_the_mean_of_presets_that_judged_the_same_split(tmp_path):
    results = kept(tmp_path / "results.json")
    both = {"checkpoints": [[0.9, 0.1], [0.2, 0.8]], "best": [[0.5, 0.5], [0.5, 0.5]]}
    results.keep("a/inner/0.0", cell(both, 0.8))
    results.keep("b/inner/0.0", cell({**both, "checkpoints": [[0.3, 0.7], [0.4, 0.6]]}, 0.6))
    results.keep("a/inner/0.1", cell(both, 0.7))

    def measure(truth, probabilities):
        assert truth == ["hcc", "non_hcc"]
        return {"auc": float(probabilities[0, 0])}

    rows = {(row.name, row.whose): row for row in results.rows({"ab": ("a", "b")}, measure=measure)}
    together, alone = rows["ab", "checkpoints"], rows["a", "checkpoints"]
    assert together.values("auc") == pytest.approx([0.6])
    assert alone.values("auc") == [0.8, 0.7]
    assert together.gain(alone, "auc") == pytest.approx([-0.2]), "paired by split"
    write_csv(tmp_path / "table.csv", list(rows.values()))
    assert "a,checkpoints,auc,0.7500,0.0707,2" in (tmp_path / "table.csv").read_text()


def test_weights_that_who_judges_chose_have_lines_of_their_own(tmp_path):
    results = kept(tmp_path / "results.json")
    both = {"checkpoints": [[0.9, 0.1], [0.2, 0.8]], "best": [[0.5, 0.5], [0.5, 0.5]]}
    results.keep("a/inner/0.0", cell(both, 0.7))
    results.keep("a/paper/0.0", cell(both, 0.8))
    rows = {(row.name, row.whose): row for row in results.rows({}, measure=lambda *_: {})}
    honest, flattered = rows["a", "checkpoints"], rows["a", "checkpoints (paper)"]
    assert (honest.values("auc"), flattered.values("auc")) == ([0.7], [0.8])
    assert flattered.gain(honest, "auc") == pytest.approx([0.1]), "paired by split"


def test_one_split_has_no_spread():
    assert mean_sd([0.5])[0] == 0.5
    assert np.isnan(mean_sd([0.5])[1])
    assert np.isnan(mean_sd([])[0])


def test_what_is_kept_of_an_image_is_what_was_judged(monkeypatch):
    hcc = np.array([0.5, 0.50001, 0.50002, 0.50003])
    truth = ["non_hcc", "non_hcc", "hcc", "hcc"]
    images = [Seen(f"P{n}", name, [{}]) for n, name in enumerate(truth)]
    trained = SimpleNamespace(network=None, checkpoints={}, best_epoch=1)
    monkeypatch.setattr(trial, "train_network", lambda *_, **__: trained)
    monkeypatch.setattr(trial, "probabilities_of", lambda *_, **__: np.stack([hcc, 1 - hcc], axis=1))
    split = Split(train=(), tuning=(), test=tuple((n, 0) for n in range(4)))
    told = trial.run_cell(RECIPE, images, split, seed=0, device=torch.device("cpu"))
    kept = np.array(told["probabilities"]["best"])
    assert trial.measures(RECIPE, truth, kept) == told["metrics"]["best"]
    assert told["metrics"]["best"]["auc"] == 1


def test_kinds_are_written_in_one_way_on_all_pictures(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    row = Row("small", "best", told={"0": (["hcc", "fnh"], np.array([[0.8, 0.3], [0.4, 0.9]]))})
    questions = {label: (place, lambda name, label=label: name == label) for place, label in enumerate(("hcc", "fnh"))}
    draw_roc({"small": row}, questions, tmp_path / "roc.png", title="t")
    draw_confusion({"small": row}, ("hcc", "fnh"), lambda told: "hcc", tmp_path / "confusion.png", title="t")
    roc_figure, confusion_figure = drawn
    assert [axis.get_title() for axis in roc_figure.axes] == ["HCC", "FNH"]
    assert [tick.get_text() for tick in confusion_figure.axes[0].get_xticklabels()] == ["HCC", "FNH"]
