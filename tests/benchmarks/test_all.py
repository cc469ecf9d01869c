"""What ``make bench`` runs, and that its measurements run."""

import json
import subprocess

import pytest
import SimpleITK as sitk
import torch

from benchmarks import __main__ as command
from benchmarks import acceleration, ceus_plane, ct_pipeline, ct_registration, ultrasound


@pytest.fixture(autouse=True)
def threads():
    """The measurements run on one thread; what comes after them need not."""
    torch_threads, sitk_threads = torch.get_num_threads(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    yield
    torch.set_num_threads(torch_threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(sitk_threads)


@pytest.fixture
def started(monkeypatch):
    """What was started, instead of starting it; the review page fails."""
    lines = []

    def run(line, *, check):
        lines.append(line[3:])
        return subprocess.CompletedProcess(line, int("qa_page" in line))

    monkeypatch.setattr(command.subprocess, "run", run)
    return lines


def test_without_a_name_all_that_a_release_is_judged_by_run_and_one_that_fails_does_not_stop_the_next(started):
    assert command.main([]) == 1
    names = ["side_by_side", "qa_page", "ct_pipeline", "acceleration", "ultrasound", "large_pacs"]
    assert [name for name, *_ in started] == names
    assert started[1][1:] == ["--studies", "3", "--candidates", "6"]


def test_quickly_they_are_only_shown_to_run(started):
    command.main(["--quick"])
    assert [options for _, *options in started] == 6 * [["--quick"]]


def test_help_names_what_runs_and_each_measurement(capsys):
    assert command.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert "side_by_side, qa_page, ct_pipeline, acceleration, ultrasound, large_pacs" in said
    assert all(f"\n{name} " in said for name in ("side_by_side", "qa_page", "ct_pipeline", "ct_registration"))
    assert command.main(["qa-page"]) == 2
    assert "no measurement" in capsys.readouterr().err


def test_the_pipeline_tells_candidates_studies_a_minute_and_the_detector_beside_its_forward_pass(tmp_path, capsys):
    ct_pipeline.main(["--quick", "--out", str(tmp_path / "results.json")])
    small = json.loads((tmp_path / "results.json").read_text())["sizes"]["small"]
    (study,) = small["studies"]
    assert 0 < study["again_s"] < study["whole_s"]
    assert sum(study["seconds"].values()) <= study["whole_s"]
    assert 0 <= study["candidates"] <= 10
    assert small["forward_ms"] > 0
    assert "studies a minute" in capsys.readouterr().out


def test_registration_brings_tissue_closer_to_its_true_place(tmp_path, capsys):
    arguments = ["--small", "1", "--full", "0", "--methods", "convexadam", "--out", str(tmp_path / "results.json")]
    ct_registration.main(arguments)
    rows = json.loads((tmp_path / "results.json").read_text())["small convexadam"]
    assert len(rows) == 3
    assert sum(row["after_mm"] for row in rows) < sum(row["before_mm"] for row in rows)
    assert "convexadam" in capsys.readouterr().out


def test_frames_out_of_the_plane_are_counted(tmp_path, capsys):
    ceus_plane.main(["--tiny", "1", "--small", "0", "--out", str(tmp_path / "results.json")])
    results = json.loads((tmp_path / "results.json").read_text())
    assert results.keys() == {
        f"tiny; {lesion}; {image}"
        for lesion in ("leaves", "small, stays")
        for image in ("side by side", "contrast alone")
    }
    for name, rows in results.items():
        (row,) = rows.values()
        assert row["found"] <= row["away"]
        assert (row["away"] > 0) == ("leaves" in name)
        assert row["wrong"] < row["there"] / 2
    assert "out of the plane" in capsys.readouterr().out


def test_openvino_is_measured_beside_torch(tmp_path, capsys):
    arguments = ["--quick", "--tasks", "us_fll,dsa_unet", "--out", str(tmp_path / "results.json")]
    acceleration.main(arguments)
    tasks = json.loads((tmp_path / "results.json").read_text())["tasks"]
    for row in tasks.values():
        torchs, f32, bf16 = (row["sides"][side] for side in acceleration.SIDES)
        assert torchs["logit_difference"] == 0
        assert 0 < f32["logit_difference"] < 1e-3 < bf16["logit_difference"]
        assert not f32["is_torch"]
        assert f32["answers_kept"] > 0.999
        judged = row["accuracy"]["measures"]
        assert row["accuracy"]["cases"] == 8
        assert judged["openvino"] == pytest.approx(judged["none"], abs=1e-3)
        assert judged.keys() == set(acceleration.SIDES)
    assert tasks["dsa_unet"]["accuracy"]["measures"]["openvino-bf16"]["dice"] > 0.5
    said = capsys.readouterr().out
    assert "expected: <= 0.001: met" in said
    assert "By the truth of 8 simulated patients" in said


def test_ultrasound_is_measured_through_rest(tmp_path, capsys):
    out = ["--out", str(tmp_path / "results.json")]
    ultrasound.main(["--quick", "--tasks", "us_fll", "--servers", "ours", *out])
    row = json.loads((tmp_path / "results.json").read_text())["tasks"]["us_fll"]
    assert 0 < row["forward"]["p50"] < row["servers"]["ours"]["p50"]
    assert "bare forward p50" in capsys.readouterr().out
