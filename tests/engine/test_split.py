import json

import pytest

from hepatic.engine.split import FrozenSplit
from hepatic.errors import BadInputError


def test_patients_keep_their_side_when_others_join(tmp_path):
    first = FrozenSplit(tmp_path / "split.json").extend(["a", "b", "c"])
    later = FrozenSplit(tmp_path / "split.json").extend(["c", "d", "e", "f", "a", "b"])
    assert {p: later[p] for p in first} == first


def test_validation_holds_about_its_share_and_never_nothing(tmp_path):
    split = FrozenSplit(tmp_path / "split.json", share=0.25)
    for count in range(2, 41):
        parts = split.extend([f"p{i}" for i in range(count)])
        validating = sum(part == "validation" for part in parts.values())
        assert 1 <= validating < count
    assert validating == 10


def test_the_draw_depends_on_the_seed_alone(tmp_path):
    patients = [f"p{i}" for i in range(20)]
    draws = [FrozenSplit(tmp_path / f"{n}.json", seed=s).extend(patients) for n, s in enumerate((1, 1, 2))]
    assert draws[0] == draws[1] != draws[2]


def test_one_patient_cannot_be_trained_and_judged_on(tmp_path):
    with pytest.raises(BadInputError, match="at least two patients"):
        FrozenSplit(tmp_path / "split.json").extend(["a", "a"])


def test_patients_of_one_side_alone_are_refused(tmp_path):
    split = FrozenSplit(tmp_path / "split.json")
    parts = split.extend(["a", "b", "c", "d"])
    training = [p for p, part in parts.items() if part == "train"][:2]
    with pytest.raises(BadInputError, match="all on the train side"):
        split.extend(training)


def test_every_fifth_training_patient_tunes_and_none_before_there_are_five(tmp_path):
    split = FrozenSplit(tmp_path / "split.json")
    for count in range(2, 61):
        parts = list(split.extend([f"p{i}" for i in range(count)]).values())
        training_side = count - parts.count("validation")
        assert parts.count("tuning") == training_side // 5


def test_who_was_trained_on_never_tunes(tmp_path):
    patients = [f"p{i}" for i in range(8)]
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"patients": {p: "validation" if p in ("p0", "p1") else "train" for p in patients}}))
    before = FrozenSplit(file).extend(patients)
    assert "tuning" not in before.values()
    later = FrozenSplit(file).extend([*patients, *(f"q{i}" for i in range(8))])
    assert {p: later[p] for p in patients} == before
    assert list(later.values()).count("tuning") > 0


def test_of_who_joins_a_split_without_tuning_patients_every_fifth_tunes_however_many_there_were(tmp_path):
    file = tmp_path / "split.json"
    old = {**{f"t{i}": "train" for i in range(40)}, "v": "validation"}
    file.write_text(json.dumps({"seed": 0, "share": 0.25, "patients": old}))
    harvested = [f"h{i}" for i in range(12)]
    for count in range(1, 13):
        sides = dict.fromkeys(harvested[:count], "train")
        parts = FrozenSplit(file).extend([*old, *sides], wished=sides)
        assert list(parts.values()).count("tuning") == count // 5


@pytest.mark.parametrize("text", ["", '{"patients": {"a"', '{"patients": {"a": "judge"}}', "[]", "{}"])
def test_a_damaged_split_is_told_in_one_error_and_left_as_it_is(tmp_path, text):
    file = tmp_path / "split.json"
    file.write_text(text)
    with pytest.raises(BadInputError, match=r"split.json.*backup"):
        FrozenSplit(file).extend(["a", "b"])
    assert file.read_text() == text


def test_patients_the_review_store_put_on_the_training_side_tune_too(tmp_path):
    sides = {f"p{i}": "train" if i % 4 else "validation" for i in range(20)}
    parts = FrozenSplit(tmp_path / "split.json").extend(sides, wished=sides)
    assert {p for p, part in parts.items() if part == "validation"} == {p for p, s in sides.items() if s != "train"}
    assert list(parts.values()).count("tuning") == 3


def test_tuning_patients_alone_are_nothing_to_train_on(tmp_path):
    split = FrozenSplit(tmp_path / "split.json")
    parts = split.extend([f"p{i}" for i in range(20)])
    with pytest.raises(BadInputError, match="all on the tuning or the validation side"):
        split.extend([p for p, part in parts.items() if part != "train"])
