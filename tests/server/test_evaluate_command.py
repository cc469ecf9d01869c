"""``hepatic evaluate`` at the size of a test."""

import csv
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.engine import trial, trial_images
from hepatic.engine.trial import Seen
from hepatic.engine.trial_images import prepare_images
from infer_tasks.us_bmode import TASK as BMODE
from infer_tasks.us_ceus import TASK as CEUS
from infer_tasks.us_fll import TASK as FLL
from sample_data.ceus import draw_patient
from sample_data.truth import read_truth
from sample_data.us import write_us
from server.cli import app
from server.commands.evaluate_phantoms import phantoms
from train_tasks.us_bmode import RECIPE
from train_tasks.us_ceus import RECIPE as CEUS_RECIPE

SIZES = {"us_bmode": (1, 64, 64), "us_ceus": (1, 30, 32, 32), "us_fll": (3, 32, 48)}


@pytest.fixture
def drawn(monkeypatch):
    """Noise in place of the simulator, brighter where it is HCC; how often it was asked for."""
    asked = []

    def noise(recipe, sources, *, cache=None, progress=lambda: None):
        asked.append(recipe.task.preset_name)
        draw = torch.Generator().manual_seed(0)
        seen = []
        for source in sources:
            image = torch.randn(SIZES[recipe.name], generator=draw) + (source.truth == "hcc")
            sample = {"image": image, "target": recipe.task.target(source.truth)}
            if recipe.task.findings:
                sample |= {"mask": torch.zeros(1, *image.shape[1:]), "mask_known": torch.tensor(1.0)}
            rare = source.truth == "non_hcc"
            seen.append(Seen(source.patient_id, source.truth, [sample] * (6 if rare else 1)))
            progress()
        return seen

    monkeypatch.setattr(trial_images, "prepare_images", noise)
    return asked


def run(model, out, *options):
    shown = CliRunner().invoke(
        app,
        ["evaluate", model, "--out", str(out), "--epochs", "1", "--phantoms", "40", *options],
        env={"COLUMNS": "200"},
    )
    assert shown.exit_code == 0, shown.output
    return shown.output


def table(file):
    with file.open() as stream:
        return {(row["row"], row["of"], row["measure"]): row for row in csv.DictReader(stream)}


def test_paper_002s_table_has_six_measures_both_aucs_and_2d_beside_3d(drawn, tmp_path):
    options = ("--rare", "0.4", "--repeats", "2", "--presets", "small")
    flat = run("us_bmode", tmp_path, *options)
    assert "phantoms" in flat
    both = run("us_ceus", tmp_path, *options)
    for told in ("auc hard", "specificity", "training", "off", "70.0 / 70.0", "85.0 / 85.0"):
        assert told in both
    assert "expansion over none, specificity" in both
    flat_cells = json.loads((tmp_path / "us_bmode.json").read_text())["cells"]
    cells = json.loads((tmp_path / "us_ceus.json").read_text())["cells"]
    assert set(cells) == {f"small/{how}/{seed}" for how in ("training", "off") for seed in (0, 1)}
    for cell in cells.values():
        assert len(cell["test"]) == len(cell["probabilities"]["best"]) == 8
    lines = table(tmp_path / "us_ceus.csv")
    assert {measure for _, _, measure in lines} >= {"accuracy", "ppv", "sensitivity", "specificity", "dsc", "auc"}
    values = [cells[f"small/training/{seed}"]["metrics"]["best"]["auc"] for seed in (0, 1)]
    assert float(lines["small", "training", "auc"]["mean"]) == pytest.approx(np.mean(values), abs=1e-4)
    flat_values = [flat_cells[f"small/training/{seed}"]["metrics"]["best"]["auc"] for seed in (0, 1)]
    first, second = (100 * (deep - plain) for deep, plain in zip(values, flat_values, strict=True))
    gain = f"{(first + second) / 2:+.1f} points, by split {first:+.1f} {second:+.1f}"
    assert f"3D on contrast cines (small) over 2D on B-mode (small), AUC: {gain}" in both, "in the unit of its table"
    for picture in ("us_ceus-roc.png", "us_ceus-confusion.png"):
        assert (tmp_path / picture).stat().st_size > 5000


def test_paper_004s_table_has_rows_of_weights_models_and_the_ensemble(drawn, tmp_path):
    told = run("us_fll", tmp_path, "--repeats", "1", "--presets", "small,small_mean,small_scales,small_densenet")
    for row in (
        "small_ensemble",
        "checkpoints",
        "mean",
        "score",
        "small over small_mean (attention over mean pooling, best), score",
        "0.935 0.942",
    ):
        assert row in told
    results = json.loads((tmp_path / "us_fll.json").read_text())
    assert len(results["cells"]) == 3 * 4
    assert set(results["truth"]) <= set(FLL.classes)
    rows = table(tmp_path / "us_fll.csv")
    best = results["cells"]["small/inner/0.0"]["metrics"]["best"]
    types = [best[f"auc_{name}"] for name in ("angioma", "metastasis", "hcc", "fnh", "cyst") if f"auc_{name}" in best]
    assert best["auc_type"] == pytest.approx(np.mean(types), abs=1e-4)
    expected = 0.5 * best["auc_lesion"] + 0.3 * best["auc_malignant"] + 0.2 * best["auc_type"]
    assert best["score"] == pytest.approx(expected, abs=1e-4), "equation 4"
    assert rows["small_ensemble", "best", "score"]["splits"] == "3"


@pytest.fixture
def guessed(drawn, monkeypatch):
    """Guesses in place of trainings, which take hours of networks as large as the papers'."""

    def guess(recipe, images, split, *, seed, **_):
        told = np.random.default_rng(seed).dirichlet(np.ones(len(recipe.task.labels)), len(split.test))
        truth = [images[n].truth for n, _ in split.test]
        whose = ["best", "checkpoints"] if recipe.checkpoints else ["best"]
        return {
            "test": [n for n, _ in split.test],
            "probabilities": dict.fromkeys(whose, told.tolist()),
            "metrics": dict.fromkeys(whose, trial.measures(recipe, truth, told)),
        }

    monkeypatch.setattr(trial, "run_cell", guess)


def lines_of(told, name, *, column=0):
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.splitlines() if line.startswith("│")]
    return [row for row in rows if row[column] == name]


def test_the_papers_own_networks_stand_beside_the_papers_figures_and_are_compared(guessed, tmp_path):
    options = ("--rare", "0.4", "--repeats", "1")
    run("us_bmode", tmp_path, *options, "--presets", "paper,resnet,densenet")
    told = run("us_ceus", tmp_path, *options, "--presets", "paper,res3d,dense3d")
    for preset, printed in {
        "paper": ["70.0 / 70.0", "", "85.0 / 85.0", ""],
        "resnet": ["67.5 / 67.5"],
        "densenet": ["62.5 / 62.5"],
        "res3d": ["85.0 / 85.0"],
        "dense3d": ["82.5 / 82.5"],
    }.items():
        assert [row[-1] for row in lines_of(told, preset, column=1)] == printed
    for said in (
        "us_bmode (paper), expansion over none, specificity: ",
        "us_ceus (paper), expansion over none, auc: ",
        "3D on contrast cines (paper) over 2D on B-mode (paper), AUC: ",
        "3D on contrast cines (dense3d) over 2D on B-mode (densenet), AUC: ",
    ):
        assert said in told
    presets = "paper,resnet50_mean,resnet50_480,densenet121"
    told = run("us_fll", tmp_path, "--repeats", "1", "--presets", presets)
    for preset, printed in {
        "paper": "0.913 0.930 0.895",
        "resnet50_480": "0.906 0.910 0.910",
        "densenet121": "0.912 0.917 0.900",
        "paper_ensemble": "0.935 0.942 0.916",
    }.items():
        assert [row[-1] for row in lines_of(told, preset) if row[1] == "checkpoints"] == [printed]
    assert "paper over resnet50_mean (attention over mean pooling, best), score: " in told


def test_a_run_that_was_stopped_goes_on_and_other_patients_begin_anew(drawn, tmp_path):
    options = ("--rare", "0.4", "--presets", "small", "--expansion", "off")
    run("us_bmode", tmp_path, *options, "--repeats", "1")
    file = tmp_path / "us_bmode.json"
    results = json.loads(file.read_text())
    results["cells"]["small/off/0"]["seconds"] = 12345
    file.write_text(json.dumps(results))
    run("us_bmode", tmp_path, *options, "--repeats", "2")
    cells = json.loads(file.read_text())["cells"]
    assert cells["small/off/0"]["seconds"] == 12345
    assert set(cells) == {"small/off/0", "small/off/1"}
    run("us_bmode", tmp_path, *options, "--repeats", "1", "--rare", "0.3")
    assert json.loads(file.read_text())["cells"]["small/off/0"]["seconds"] != 12345


def test_the_papers_ways_warn_wherever_they_are_used(drawn, tmp_path, caplog):
    options = ("--repeats", "1", "--presets", "small")
    told = run("us_bmode", tmp_path, *options, "--rare", "0.4", "--expansion", "paper")
    assert "too good" in told + caplog.text
    assert "leak" in told
    caplog.clear()
    assert "too good" in run("us_fll", tmp_path, *options, "--paper") + caplog.text


def test_studies_that_people_labelled_are_evaluated_too(tmp_path):
    for seed, kind in ((3, "cyst"), (20, "homogeneous")):
        write_us(tmp_path, 8, seed=seed, kind=kind, size="tiny")
    datastore = HepaticDatastore(tmp_path / "studies", auto_rescan_seconds=None)
    truths = read_truth(tmp_path)["images"]
    for image in datastore.list_images():
        datastore.update_image_info(image, {"lesion_type": truths[image]["kind"]})
    options = ("--studies", str(tmp_path / "studies"), "--presets", "small", "--repeats", "1")
    assert "phantoms" not in run("us_fll", tmp_path / "out", *options)
    results = json.loads((tmp_path / "out/us_fll.json").read_text())
    patients = {truth["patient"]: truth["kind"] for truth in truths.values()}
    assert dict(zip(results["patients"], results["truth"], strict=True)) == patients
    assert len(results["cells"]) == 3
    assert not (tmp_path / "out/prepared").exists(), "pictures of patients stay where they are"


def test_what_does_not_suit_is_said_before_anything_takes_long(tmp_path):
    refused = {
        ("us_liver",): "us_bmode",
        ("us_bmode", "--expansion", "all"): "off, training, paper",
        ("us_bmode", "--presets", "huge"): "huge",
        ("us_fll", "--presets", "small_ensemble"): "one network",
        ("us_fll", "--imagenet", "gone.pth"): "gone.pth",
    }
    for words, said in refused.items():
        shown = CliRunner().invoke(app, ["evaluate", *words, "--out", str(tmp_path)])
        assert shown.exit_code
        assert said in str(shown.exception)
    shown = CliRunner().invoke(app, ["evaluate", "--help"], env={"COLUMNS": "200"})
    assert "hepatic evaluate us_fll" in shown.output


def test_pictures_and_cines_are_of_the_same_patients_as_many_of_each_class_as_asked_for():
    stills, cines = (phantoms(task, 58, rare=16 / 116) for task in (BMODE, CEUS))
    assert [(one.patient_id, one.truth) for one in stills] == [(one.patient_id, one.truth) for one in cines]
    assert sum(one.truth == "non_hcc" for one in stills) == 8
    assert all(draw_patient(int(one.patient_id)).label == one.truth for one in stills)
    assert len({one.key for one in phantoms(FLL, 30)}) == 30


def test_a_simulated_patient_is_prepared_once_with_views_of_the_rarer_class(tmp_path):
    sources = phantoms(BMODE, 58, rare=16 / 116)
    few = [next(one for one in sources if one.truth == truth) for truth in ("hcc", "non_hcc")]
    few.insert(0, next(one for one in sources if one.truth == "hcc" and one not in few))
    first = prepare_images(RECIPE, few, cache=tmp_path)
    assert [len(one.views) for one in first] == [1, 1, 6]
    again = prepare_images(RECIPE, [*few], cache=tmp_path)
    assert all(torch.equal(a.views[-1]["image"], b.views[-1]["image"]) for a, b in zip(first, again, strict=True))
    assert len(list(tmp_path.glob("us_bmode-*.pt"))) == 3
    assert CEUS_RECIPE.expand != RECIPE.expand
