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
