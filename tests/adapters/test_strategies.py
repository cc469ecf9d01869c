"""What a viewer is given when it asks for the next image."""

import time
from pathlib import Path

import pytest

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.strategies import First, RandomSample, Uncertainty
from hepatic.errors import BadInputError
from hepatic.store.score import Score, write_score
from tests.store.studies import write_image

from monailabel.datastore.local import LocalDatastore  # isort: skip - after the adapter's stand-ins


@pytest.fixture
def datastore(tmp_path: Path) -> HepaticDatastore:
    for name in ("a", "b", "c"):
        write_image(tmp_path / f"studies/{name}.nii.gz")
    return HepaticDatastore(tmp_path / "studies")


def hand_out(datastore: HepaticDatastore, image_id: str, client: str) -> None:
    datastore.update_image_info(image_id, {"strategy": {"first": {"ts": int(time.time()), "client_id": client}}})


def test_every_strategy_describes_itself() -> None:
    for strategy in (First(), RandomSample(), Uncertainty(dict)):
        assert strategy.info()["description"]


def test_two_people_are_not_handed_the_same_image(datastore: HepaticDatastore) -> None:
    assert First()({"client_id": "ann"}, datastore) == {"id": "a", "reason": "first in order"}
    hand_out(datastore, "a", "ann")
    assert First()({"client_id": "ann"}, datastore)["id"] == "a"  # type: ignore[index]
    assert First()({"client_id": "bob"}, datastore)["id"] == "b"  # type: ignore[index]
    assert First(keep_minutes=0)({"client_id": "bob"}, datastore)["id"] == "a"  # type: ignore[index]


def test_the_least_certain_image_of_the_served_version_comes_first(datastore: HepaticDatastore) -> None:
    served = {"liver": 1}
    strategy = Uncertainty(lambda: served)
    assert strategy({}, datastore)["reason"] == "first in order: no image is scored yet"  # type: ignore[index]
    for image_id, score in (("a", 0.1), ("b", 0.9), ("c", 0.5)):
        datastore.update_image_info(image_id, write_score(Score("liver", 1, score)))
    assert strategy({}, datastore) == {"id": "b", "reason": "highest uncertainty of liver version 1", "score": 0.9}
    served["liver"] = 2
    datastore.update_image_info("c", write_score(Score("liver", 2, 0.3)))
    assert strategy({"model": "liver"}, datastore)["id"] == "c"  # type: ignore[index]


def test_nothing_is_handed_out_when_all_is_labelled(datastore: HepaticDatastore, tmp_path: Path) -> None:
    label = str(write_image(tmp_path / "l.nrrd"))
    for image_id in datastore.list_images():
        datastore.save_label(image_id, label, "final", {})
    for strategy in (First(), RandomSample(), Uncertainty(dict)):
        assert strategy({}, datastore) is None
        assert strategy({"label_tag": "original"}, datastore) is not None


def test_a_seed_repeats_a_draw(datastore: HepaticDatastore) -> None:
    assert RandomSample()({"seed": "5"}, datastore) == RandomSample()({"seed": 5}, datastore)
    with pytest.raises(BadInputError, match="whole number"):
        RandomSample()({"seed": "five"}, datastore)


def test_they_work_on_a_stock_datastore_too(tmp_path: Path) -> None:
    write_image(tmp_path / "x.nii.gz")
    assert First()({}, LocalDatastore(str(tmp_path)))["id"] == "x"  # type: ignore[index]


def test_viewers_may_say_whose_doubt_counts_and_a_box_nobody_touched_means_any(
    datastore: HepaticDatastore,
) -> None:
    strategy = Uncertainty(lambda: {"liver": 1, "other": 1})
    assert strategy.info()["config"] == {"model": ["any", "liver", "other"]}
    for image_id, score in (("b", Score("liver", 1, 0.9)), ("c", Score("other", 1, 0.2))):
        datastore.update_image_info(image_id, write_score(score))
    any_model = strategy({}, datastore)
    assert strategy({"model": "any"}, datastore) == any_model
    assert strategy({"model": ["any", "liver", "other"]}, datastore) == any_model
    assert strategy({"model": "other"}, datastore) != any_model
