from pathlib import Path

import pytest

from hepatic.errors import BadInputError
from sample_data.truth import NOTICE, merge_truth, read_truth, truth_path


def test_merging_adds_images_and_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    merge_truth(tmp_path, {"1.2": {"seed": 1}, "1.3": {"seed": 2}})
    merge_truth(tmp_path, {"1.3": {"seed": 3}, "1.4": {"seed": 4}})
    assert read_truth(tmp_path)["images"] == {"1.2": {"seed": 1}, "1.3": {"seed": 3}, "1.4": {"seed": 4}}


def test_the_truth_says_that_phantoms_test_mechanisms(tmp_path: Path) -> None:
    merge_truth(tmp_path, {})
    truth = read_truth(tmp_path)
    assert truth["notice"] == NOTICE
    assert "not clinical performance" in NOTICE
    assert truth["format_version"] == 1


def test_nothing_is_left_beside_the_truth(tmp_path: Path) -> None:
    merge_truth(tmp_path, {})
    assert [path.name for path in truth_path(tmp_path).parent.iterdir()] == ["truth.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 2, "images": {}}', "{broken"])
def test_a_truth_that_cannot_be_read_is_neither_used_nor_overwritten(tmp_path: Path, text: str) -> None:
    truth_path(tmp_path).parent.mkdir()
    truth_path(tmp_path).write_text(text)
    with pytest.raises(BadInputError, match=r"truth\.json"):
        merge_truth(tmp_path, {"1.2": {}})
    assert truth_path(tmp_path).read_text() == text


def test_missing_truth_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="found none"):
        read_truth(tmp_path)
