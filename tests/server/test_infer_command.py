"""``hepatic infer`` of a classifier: where it looks, what it prints."""

import json

import pytest
from typer.testing import CliRunner

from sample_data.truth import read_truth
from sample_data.us import write_us
from server.cli import app


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A folder with one still, its label among the studies; and the id of the still."""
    out = tmp_path_factory.mktemp("us")
    write_us(out, 1, seed=3, size="tiny", kind="hcc")
    ran("import-dir", out / "truth", "--studies", out / "studies")
    (image,) = read_truth(out)["images"]
    return out, image


def ran(*arguments):
    shown = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "300"})
    assert shown.exit_code == 0, shown.output
    return " ".join(shown.output.split())


@pytest.mark.parametrize("model", ["us_bmode", "us_bmode_region"])
def test_an_image_of_the_studies_is_looked_at_where_its_label_has_a_box(phantom, model, tmp_path):
    out, image = phantom
    said = ran("infer", model, image, "--studies", out / "studies", "-o", tmp_path)
    (told,) = [json.loads(file.read_text()) for file in tmp_path.glob("*.json")]
    assert told["roi_from"] == "label"
    assert f"{told['result']}: {told['probabilities'][told['result']]:.0%}" in said
    assert "No box is drawn" not in said


def test_a_file_has_no_box_and_the_command_warns_of_it(phantom, tmp_path):
    out, _ = phantom
    (file,) = (out / "studies").rglob("*.dcm")
    assert "No box is drawn" in ran("infer", "us_bmode", file, "-o", tmp_path)
    assert "No box is drawn" not in ran("infer", "us_bmode", file, "-o", tmp_path, "-p", "roi=10,10,60,60")
