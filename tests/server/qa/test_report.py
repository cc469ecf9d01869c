"""The dashboard measures a classifier on patients it has not learnt from."""

import json
from types import SimpleNamespace

import pytest
import torch

from hepatic.engine.card import ModelCard
from hepatic.engine.fit import SPLIT
from hepatic.engine.weights import Registry
from hepatic.harvest.rules import Rules
from hepatic.harvest.store import ReviewStore
from server.harvest_report import classification_of
from tests.harvest.classified import images, name

CARD = ModelCard(task="us_fll", preset="small", seed=0, key_metric="auc", metrics={"auc": 0.8, "cases": 3.0})
PATIENTS = {"P-1.1": "train", "P-1.2": "tuning", "P-1.3": "validation"}


@pytest.fixture
def told(tmp_path):
    """What the dashboard is told of a classifier that came with the app and of one that was trained on from it here."""
    came = Registry(tmp_path / "came").publish({"w": torch.zeros(1)}, CARD)
    registry = Registry(tmp_path / "models", shipped=tmp_path / "came")
    here = registry.publish({"w": torch.ones(1)}, CARD)
    store = ReviewStore(tmp_path / "reviews", rules=Rules(known_every=0, repeat_every=0))
    for model in (came, here):
        for number, truth in enumerate(("hcc", "cyst", "fnh", "hcc"), start=1):
            store.proposals.add(images("image", study=f"1.{number}", model_hash=model.card.sha256))
            if model is came:
                name(store, "anna", truth, study=f"1.{number}")
    host = SimpleNamespace(app=SimpleNamespace(registry=registry), trainers={"us_fll": None})

    def ask(split):
        (tmp_path / "models" / "us_fll" / SPLIT).write_text(split)
        (one,) = classification_of(store, host, reader="anna", names=True)
        return one["models"][came.card.sha256], one["models"][here.card.sha256], one["versions"]

    yield ask
    store.close()


def test_a_classifier_trained_here_is_not_measured_on_who_trained_or_tuned_it(told):
    came, here, versions = told(json.dumps({"patients": PATIENTS}))
    assert (came["images"], came["left_out"], came["accuracy"]) == (4, 0, 0.5)
    assert (here["images"], here["left_out"], here["accuracy"]) == (2, 2, 0.5), "those held back, and who is new"
    assert [one["cases"] for one in versions] == [3, 3]


def test_nobody_measures_it_where_nobody_knows_who_trained_it(told):
    came, here, _ = told("garbage")
    assert came["images"] == 4
    assert (here["images"], here["left_out"], here["accuracy"]) == (0, 4, None)
