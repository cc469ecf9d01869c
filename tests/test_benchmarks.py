"""The measurements run; what they measure is not judged here."""

import json

from benchmarks import side_by_side


def test_our_server_is_measured_beside_the_stock_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    side_by_side.main(["--quick", "--only", "ct", "--out", str(tmp_path / "results.json")])
    results = json.loads((tmp_path / "results.json").read_text())
    measured = results["ct"]["tasks"]["ct_unet"]
    assert set(measured["servers"]) == {"ours", "stock", "hosted"}
    assert all(row["warm"]["p50"] > 0 and row["info"]["p99"] > 0 for row in measured["servers"].values())
    assert measured["agreement"]["dice"] >= 0.99
    assert measured["agreement"]["voxels_found"][0] > 0
    printed = capsys.readouterr().out
    assert "times as fast as stock" in printed
    assert len(results["expected"]) == 5
