"""Classes that readers settle become labels, and are taken back and said again with what the readers say."""

import uuid
from types import SimpleNamespace

import numpy as np
import pytest

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.geometry import Grid
from hepatic.harvest.events import ClassName, Verdict
from hepatic.harvest.noted_class import noted_classes
from hepatic.harvest.propose_classes import Classified, propose_classes
from hepatic.harvest.rules import Rules
from hepatic.harvest.store import ReviewStore
from sample_data.us import write_us
from server.cases import readings
from server.class_labels import ClassLabels
from tests.harvest.classified import CLASSES
from tests.harvest.proposed import decide, event


@pytest.fixture
def kept(tmp_path):
    """Two readers a study of one image: its labels, its notes, and what writes them."""
    write_us(tmp_path, 1, seed=3, size="tiny")
    store = HepaticDatastore(tmp_path / "studies", auto_rescan_seconds=None).store
    reviews = ReviewStore(tmp_path / "reviews", rules=Rules(readers=2, known_every=0, repeat_every=0))
    made = Kept(store, reviews, tmp_path)
    yield made
    reviews.close()


class Kept:
    def __init__(self, store, reviews, folder):
        self.store, self.reviews, self.folder = store, reviews, folder
        self.image = store.images.all(modality="US")[0].id
        self.labels = ClassLabels(SimpleNamespace(store=store), reviews, folder)

    def propose(self, note, image=None, model_hash="a" * 64):
        told = {"hcc": 0.7, "cyst": 0.2, "fnh": 0.1}
        seen = [Classified(image or self.image, Grid((40, 30, 1), np.eye(4)), told)]
        about = {"classes": CLASSES, "note": note, "model": "us_fll", "model_hash": model_hash}
        study = propose_classes("1.2.9", "P1", seen, **about)
        self.reviews.proposals.add(study)
        return study.study_uid, study.candidates[0].uid

    def say(self, reader, *said, may_label=True):
        """Return the notes afterwards."""
        for one in said:
            if one["type"] == "decide":
                assert self.reviews.lease(reader, one["study"]) is not None
        taken, _ = self.reviews.reviews.take(said, reader, may_box=may_label)
        assert [one.status for one in taken] == ["stored"] * len(taken), taken
        self.labels.keep(said[-1]["study"])
        return self.noted()

    def name(self, uid, candidate, reader, name, **who):
        return self.say(reader, decide(candidate, name, uid), event("finish", uid), **who)

    def noted(self):
        info = self.store.images.get(self.image).info
        return {note: info[note] for note in ("diagnosis", "lesion_type") if info.get(note)}

    def page(self, *, boxes=None, **classes):
        known = dict.fromkeys(("diagnosis", "lesion_type"), CLASSES)
        readings.save(
            self.store, self.image, known=known, by="Viktor", seen=len(self.history()), folder=self.folder,
            classes=classes, boxes=boxes, grid=Grid((40, 30, 1), np.eye(4)),
        )  # fmt: skip

    def history(self):
        return self.store.labels.history(self.image, "final")


@pytest.fixture
def settled(kept):
    """Anna, who may label, and Otto, who may not, agree."""
    uid, candidate = kept.propose("lesion_type")
    assert kept.name(uid, candidate, "Anna", "hcc") == {}
    assert kept.name(uid, candidate, "Otto", "hcc", may_label=False) == {"lesion_type": "hcc"}
    return uid


def test_a_class_that_is_agreed_on_again_is_a_label_again(kept, settled):
    for _ in range(2):
        assert kept.say("Otto", event("reopen", settled), may_label=False) == {}
        assert kept.history()[-1].removed
        assert kept.say("Otto", event("finish", settled), may_label=False) == {"lesion_type": "hcc"}
    kept.labels.keep_all()
    assert [one.removed for one in kept.history()] == [False, True, False, True, False], "once per decision"


def test_what_a_page_says_in_between_stands(kept, settled):
    kept.say("Otto", event("reopen", settled), may_label=False)
    kept.page(lesion_type="cyst")
    assert kept.say("Otto", event("finish", settled), may_label=False) == {"lesion_type": "cyst"}
    assert kept.say("Otto", event("reopen", settled), may_label=False) == {"lesion_type": "cyst"}


@pytest.mark.parametrize("said", [{"boxes": [[5, 5, 20, 20]]}, {"diagnosis": "fnh"}])
def test_a_class_that_was_only_carried_over_is_taken_back_with_what_the_readers_said(kept, settled, said):
    kept.page(**said)
    left = {note: name for note, name in said.items() if note == "diagnosis"}
    assert kept.noted() == {"lesion_type": "hcc", **left}
    assert kept.say("Otto", event("reopen", settled), may_label=False) == left
    kept.labels.keep_all()
    assert kept.noted() == left
    assert kept.say("Otto", event("finish", settled), may_label=False) == {"lesion_type": "hcc", **left}


def test_a_class_that_was_undone_on_its_page_contradicts_nobody(kept, settled):
    kept.page(lesion_type="cyst")
    readings.undo(kept.store, kept.image, known=["lesion_type"], by="Viktor", seen=2)
    assert kept.noted() == {"lesion_type": "hcc"}
    assert kept.say("Otto", event("reopen", settled), may_label=False) == {}


def test_of_two_questions_each_is_taken_back_by_itself(kept, settled):
    uid, candidate = kept.propose("diagnosis")
    kept.name(uid, candidate, "Anna", "fnh")
    assert kept.name(uid, candidate, "Otto", "fnh", may_label=False) == {"diagnosis": "fnh", "lesion_type": "hcc"}
    assert kept.say("Otto", event("reopen", settled), may_label=False) == {"diagnosis": "fnh"}
    kept.labels.keep_all()
    assert len(kept.history()) == 3
    assert kept.say("Otto", event("finish", settled), may_label=False) == {"diagnosis": "fnh", "lesion_type": "hcc"}
    assert kept.say("Otto", event("reopen", uid), may_label=False) == {"lesion_type": "hcc"}
    assert kept.say("Otto", event("reopen", settled), may_label=False) == {}
    assert len(kept.history()) == 6


def test_what_is_settled_of_a_still_is_a_label_although_a_model_of_cines_proposed_since(kept):
    uid, candidate = kept.propose("lesion_type")
    kept.name(uid, candidate, "Anna", "hcc", may_label=False)
    kept.name(uid, candidate, "Otto", "cyst", may_label=False)
    kept.propose("lesion_type", image="another cine", model_hash="b" * 64)
    kept.reviews.adjudicate(str(uuid.uuid4()), uid, candidate, ClassName("fnh"), "Vera")
    kept.labels.keep(uid)
    assert kept.noted() == {"lesion_type": "fnh"}


def test_an_image_of_which_no_class_fits_is_noted_as_none_until_somebody_says_more(kept):
    task = SimpleNamespace(note="lesion_type", modality="US", uses_boxes=False)
    kept.page(lesion_type="hcc", diagnosis="fnh")
    uid, candidate = kept.propose("lesion_type")
    kept.name(uid, candidate, "Anna", "unsure")
    assert kept.name(uid, candidate, "Otto", "cyst") == {"diagnosis": "fnh", "lesion_type": "hcc"}
    kept.reviews.adjudicate(str(uuid.uuid4()), uid, candidate, Verdict.FALSE, "Vera")
    for _ in range(2):
        kept.labels.keep_all()
        assert kept.noted() == {"diagnosis": "fnh"}
    assert noted_classes(kept.store, [task]) == []
    assert (kept.history()[-1].author, len(kept.history())) == ("Vera", 2)
    kept.page(lesion_type="cyst")
    kept.labels.keep_all()
    assert kept.noted() == {"diagnosis": "fnh", "lesion_type": "cyst"}, "what a page says afterwards stands"
    kept.reviews.adjudicate(str(uuid.uuid4()), uid, candidate, ClassName("fnh"), "Vera")
    kept.labels.keep_all()
    assert kept.noted() == {"diagnosis": "fnh", "lesion_type": "fnh"}


def test_that_no_class_fits_an_image_of_which_nothing_is_noted_leaves_it_unlabelled(kept):
    uid, candidate = kept.propose("lesion_type")
    kept.name(uid, candidate, "Anna", "unsure")
    kept.name(uid, candidate, "Otto", "unsure")
    kept.reviews.clock = lambda: 0.0  # long before what the page says
    kept.reviews.adjudicate(str(uuid.uuid4()), uid, candidate, Verdict.FALSE, "Vera")
    kept.labels.keep_all()
    assert kept.history() == []
    kept.page(lesion_type="cyst")
    kept.labels.keep_all()
    assert kept.noted() == {"lesion_type": "cyst"}, "what a page says afterwards stands"
    assert len(kept.history()) == 1


def test_a_class_that_a_page_took_back_trains_from_no_reading(kept, settled):
    task = SimpleNamespace(note="lesion_type", modality="US", uses_boxes=False)
    read = {(kept.image, "lesion_type"): "hcc"}

    def trained():
        return [one.name for one in noted_classes(kept.store, [task], read=read)]

    kept.say("Otto", event("reopen", settled), may_label=False)
    assert trained() == ["hcc"], "what readers alone say trains"
    kept.say("Otto", event("finish", settled), may_label=False)
    kept.page(lesion_type="")
    assert trained() == []
    kept.page(diagnosis="fnh")
    assert trained() == []
    kept.page(lesion_type="cyst")
    assert trained() == ["cyst"]


def test_of_a_word_that_was_undone_the_readings_hear_nothing(kept):
    task = SimpleNamespace(note="lesion_type", modality="US", uses_boxes=False)
    read = {(kept.image, "lesion_type"): "hcc"}

    def trained():
        return [one.name for one in noted_classes(kept.store, [task], read=read)]

    def undo():
        readings.undo(kept.store, kept.image, known=["lesion_type"], by="Viktor", seen=len(kept.history()))

    kept.page(lesion_type="")
    undo()
    assert trained() == ["hcc"]
    kept.page(diagnosis="fnh")
    kept.page(lesion_type="")
    assert trained() == []
    undo()
    assert trained() == ["hcc"], "the word before it counts again, which does not name the type"
