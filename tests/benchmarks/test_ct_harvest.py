import json

import numpy as np
import pytest
import torch

from benchmarks import ct_harvest
from benchmarks._harvest_studies import Study, prepare
from benchmarks._harvest_training import agreed_score, mean_box, read
from hepatic import boxes
from hepatic.geometry import Grid
from hepatic.harvest.study import Phase, Proposal
from hepatic.transforms.liver_crop import LiverCrop
from sample_data.ct import learning_set

PRIMARY, SECOND, NOTHING = (0, 0, 0, 20, 20, 20), (50, 0, 0, 60, 10, 10), (0, 80, 0, 20, 99, 20)


def study(*lesions):
    given = np.array(lesions, float).reshape(-1, 6)
    return Study("p", torch.zeros(1, 4, 4, 4), Grid((4, 4, 4), np.eye(4)), given, given, np.zeros((0, 6)))


def card(box, score=0.9, phase=Phase.VENOUS):
    return (Proposal(phase, tuple(float(mm) for mm in box), score),)


def judged(cards, lesions=(PRIMARY, SECOND), **settings):
    return read([study(*lesions)], [cards], **{"shown_from": 0.1, "slips": 0.0, "seed": 0, **settings})


def test_a_reader_without_slips_accepts_the_lesions_and_rejects_the_rest():
    reading = judged([card(NOTHING), card(PRIMARY)])
    assert reading.studies[0].known.tolist() == [list(PRIMARY)]
    assert reading.studies[0].negatives.tolist() == [list(NOTHING)]
    assert (reading.cards, reading.m, reading.minutes, reading.wrong, reading.left) == (2, 0, 1, 0, 1)


@pytest.mark.parametrize("cards", [[], [card(SECOND)], [card(PRIMARY, score=0.05)]])
def test_a_study_whose_primary_is_not_among_the_accepted_is_boxed_by_hand(cards):
    reading = judged(cards)
    assert reading.studies[0].known.tolist() == [list(PRIMARY), list(SECOND)]
    assert (reading.m, reading.minutes) == (1, 16)


def test_a_reader_who_always_slips_says_the_opposite():
    reading = judged([card(PRIMARY), card(NOTHING)], slips=1.0)
    assert reading.m == 1
    assert len(reading.studies[0].negatives) == 0


def test_phases_are_averaged_and_asked_whether_they_agree():
    moved = tuple(mm + 4 for mm in PRIMARY)
    both = (*card(PRIMARY, 0.8), *card(moved, 0.4, Phase.NC), *card(NOTHING, 0.3, Phase.DELAYED))
    assert mean_box(both).tolist() == pytest.approx([4 / 3] * 3 + [20 + 4 / 3] * 3)
    assert agreed_score(both) == pytest.approx((0.8 + 0.4 + 0.3) / 4)


def test_the_lesion_lies_where_its_box_says_in_every_phase_once_livers_are_brought_together():
    data = learning_set([4])
    made = prepare("4", data.hu[0], data.liver[0], data.boxes[0], data.spacing_mm[0], LiverCrop((24, 64, 80)))
    assert made.images.shape == (4, 24, 64, 80)
    voxels = boxes.to_voxels(made.lesions, made.grid)
    assert (voxels[:, :3] > -1).all()
    assert (voxels[:, 3:] < np.array([25, 65, 81])).all()
    assert (made.images.float().abs() < 1).float().mean(dim=(1, 2, 3)).min() > 0.2  # the liver is about zero


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("harvest")
    arguments = ["--quick", "--seeds", "1", "--cache", str(folder), "--out", str(folder / "out.json")]
    ct_harvest.main(arguments)
    return folder / "out.json", arguments


def test_the_whole_experiment_runs_and_reports_every_cell(quick, capsys):
    results = json.loads(quick[0].read_text())
    assert set(results["cells"]) == {f"{m}/{s}/0" for m in ("2d", "3d", "retina") for s in "ABC"}
    for cell in results["cells"].values():
        assert len(cell["p1td_1"]) == len(cell["p1td_10"]) == ct_harvest.QUICK.test
    reading = results["readings"]["0"]
    assert reading["minutes"] == pytest.approx(1 + 15 * reading["m"])


def test_a_run_that_was_stopped_goes_on_where_it_was(quick, capsys):
    file, arguments = quick
    results = json.loads(file.read_text())
    kept = results["cells"]["3d/A/0"] = {**results["cells"]["3d/A/0"], "minutes": 12345}
    del results["cells"]["2d/A/0"]
    file.write_text(json.dumps(results))
    ct_harvest.main([*arguments, "--models", "3d,2d", "--sets", "A"])
    again = json.loads(file.read_text())["cells"]
    assert again["3d/A/0"] == kept
    assert "2d/A/0" in again
    assert "CenterNet-3D" in capsys.readouterr().out


def test_gains_are_paired_by_seed_and_patient():
    cells = {
        "3d/A/0": {"p1td_1": [0, 0, 1, 0], "p1td_10": [1, 0, 1, 0]},
        "3d/A/1": {"p1td_1": [0, 0, 1, 0], "p1td_10": [1, 0, 1, 0]},
        "3d/C/0": {"p1td_1": [1, 0, 1, 0], "p1td_10": [1, 1, 1, 1]},
    }
    row = ct_harvest.summary({"cells": cells})["3d/C"]
    assert row["seeds"] == 1
    assert row["p1td_10_gain"]["mean"] == 0.5
    assert row["p1td_1_gain"]["by_seed"] == [0.25]
    assert row["p1td_1_gain"]["interval"][0] <= 0.25 <= row["p1td_1_gain"]["interval"][1]
