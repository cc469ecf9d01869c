"""Images that are classified, in the review store: what holds, what is asked again, agreement, figures, old stores."""

import json
import uuid
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hepatic.errors import BadInputError
from hepatic.harvest.agreement import drift
from hepatic.harvest.classes import agreement_on, classifier_curve, model_against
from hepatic.harvest.events import ClassName, Verdict
from hepatic.harvest.propose_classes import Classified, propose_classes
from hepatic.harvest.rules import Rules
from hepatic.harvest.snapshots import check_snapshot
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study_json import from_json, to_json
from hepatic.harvest.study_state import study_state
from hepatic.harvest.verdicts import State, cards_of, classes_held, doubtful, settled
from tests.harvest.classified import CLASSES, GRID, images, name
from tests.harvest.proposed import decide, event, proposed, read_all


@pytest.fixture
def store(tmp_path):
    made = ReviewStore(tmp_path, rules=Rules(known_every=0, repeat_every=0))
    yield made
    made.close()


def held(store, uid):
    return {one.image_id: name for one, name in classes_held(store.review(uid), store.rules)}


def test_a_class_holds_once_its_study_is_finished_and_unsure_is_none(store):
    store.proposals.add(images("a", "b"))
    uid = "1.2.9:lesion_type"
    assert held(store, uid) == {}
    name(store, "anna", "cyst", "unsure")
    assert held(store, uid) == {"a": "cyst"}
    assert {one.state for one in settled(store.review(uid), store.rules).values()} == {State.CLASSIFIED, State.UNSURE}
    assert study_state(store.review(uid), store.rules) == "done"


def test_a_new_model_asks_only_about_new_images(store):
    store.proposals.add(images("a", "b"))
    uid = name(store, "anna", "cyst", "hcc")
    store.proposals.add(images("a", "b", model_hash="b" * 64))
    assert study_state(store.review(uid), store.rules) == "done"
    assert held(store, uid) == {"a": "cyst", "b": "hcc"}

    store.proposals.add(images("a", "b", "c", model_hash="c" * 64))
    review = store.review(uid)
    assert study_state(review, store.rules) == "waiting"
    assert cards_of(review, store.rules) == [review.study.candidates[2].uid]


def test_what_a_reader_was_unsure_of_waits_for_a_reviewer_and_no_new_model_asks_the_reader_again(store):
    store.proposals.add(images("a", "b"))
    uid = name(store, "anna", "cyst", "unsure")
    store.proposals.add(images("a", "b", model_hash="b" * 64))
    assert study_state(store.review(uid), store.rules) == "done"
    assert store.lease("anna") is None
    [(unsure, own)] = doubtful(store.review(uid), store.rules)
    assert (unsure.image_id, own.state) == ("b", State.UNSURE)

    store.adjudicate(str(uuid.UUID(int=1)), uid, unsure.uid, Verdict.FALSE, "vera")
    store.proposals.add(images("a", "b", model_hash="c" * 64))
    assert doubtful(store.review(uid), store.rules) == []
    assert study_state(store.review(uid), store.rules) == "done"
    assert settled(store.review(uid), store.rules)[unsure.uid].state is State.ADJUDICATED
    assert held(store, uid) == {"a": "cyst"}, "of b no class fits, so it trains nothing"
    with pytest.raises(BadInputError, match="hcc or cyst or fnh or false"):
        store.adjudicate(str(uuid.UUID(int=2)), uid, unsure.uid, Verdict.UNSURE, "vera")


def test_a_model_that_looks_at_cines_only_leaves_what_was_said_of_the_stills(store):
    store.proposals.add(images("still", "other still", "cine"))
    uid = name(store, "anna", "cyst", "unsure", "hcc")
    store.proposals.add(images("cine", model_hash="b" * 64))
    assert held(store, uid) == {"still": "cyst", "cine": "hcc"}
    assert study_state(store.review(uid), store.rules) == "done"
    assert store.lease("anna") is None

    [(unsure, _)] = doubtful(store.review(uid), store.rules)
    assert unsure.image_id == "other still"
    store.adjudicate(str(uuid.UUID(int=1)), uid, unsure.uid, ClassName("fnh"), "vera")
    assert held(store, uid) == {"still": "cyst", "cine": "hcc", "other still": "fnh"}
    told = check_snapshot(store.snapshot().file)["images"]
    assert {one["image_id"]: one["class"] for one in told} == held(store, uid)


def test_stills_that_nobody_has_read_are_asked_about_with_the_cines_of_another_model(store):
    store.proposals.add(images("still", "cine"))
    store.proposals.add(images("cine", model_hash="b" * 64, told=(0.1, 0.8, 0.1)))
    uid = name(store, "anna", "cyst", "fnh")
    review = store.review(uid)
    assert held(store, uid) == {"cine": "cyst", "still": "fnh"}
    assert [one.model_hash[0] for one in review.study.candidates] == ["b", "a"], "the newest card of each image"
    rows = model_against([review], store.rules, learnt=lambda *_: False)
    assert [(row["images"], row["accuracy"]) for row in rows.values()] == [(2, 0.0), (1, 1.0)], "each its own images"

    store.proposals.add(images("cine", model_hash="d" * 64, told=(0.4, 0.3, 0.2, 0.1), classes=(*CLASSES, "icc")))
    assert [one.image_id for one in store.review(uid).study.candidates] == ["cine"], "it asks for other classes"
    store.proposals.add(images("cine", model_hash="e" * 64))
    assert [one.image_id for one in store.review(uid).study.candidates] == ["cine", "still"]


def test_that_no_class_fits_one_image_settles_no_other_of_its_size(store):
    store.proposals.add(images("a", "b"))
    uid = name(store, "anna", "unsure", "unsure")
    more = {"told": (0.4, 0.3, 0.2, 0.1), "classes": (*CLASSES, "icc")}
    store.proposals.add(images("a", model_hash="d" * 64, **more))
    a = store.review(uid).study.candidates[0].uid
    store.adjudicate(str(uuid.UUID(int=1)), uid, a, Verdict.FALSE, "vera")
    assert [one.image_id for one, _ in doubtful(store.review(uid), store.rules)] == ["b"]


@pytest.mark.parametrize("settled_before", [False, True])
def test_a_model_of_other_classes_asks_again_where_none_of_the_earlier_ones_fitted(store, settled_before):
    store.proposals.add(images("a", "b"))
    uid = name(store, "anna", "cyst", "unsure")
    b = store.review(uid).study.candidates[1].uid
    if settled_before:
        store.adjudicate(str(uuid.UUID(int=1)), uid, b, Verdict.FALSE, "vera")
    store.proposals.add(images("a", "b", model_hash="d" * 64, told=(0.4, 0.3, 0.2, 0.1), classes=(*CLASSES, "icc")))
    assert cards_of(store.review(uid), store.rules) == [b]
    assert store.lease("anna").study == uid
    store.reviews.take([decide(b, "icc", uid), event("finish", uid)], "anna")
    assert held(store, uid) == {"a": "cyst", "b": "icc"}


def test_what_two_readers_disagree_about_is_asked_again_of_neither(tmp_path):
    store = ReviewStore(tmp_path, rules=Rules(readers=2, known_every=0, repeat_every=0))
    store.proposals.add(images("a"))
    uid = name(store, "anna", "cyst")
    store.proposals.add(images("a", model_hash="b" * 64))
    assert study_state(store.review(uid), store.rules) == "waiting", "one reader's word is no second one's"
    name(store, "anna", "cyst")
    name(store, "otto", "fnh")
    store.proposals.add(images("a", model_hash="c" * 64))
    assert study_state(store.review(uid), store.rules) == "conflict"
    assert store.lease("anna") is store.lease("otto") is None
    store.close()


def test_two_readers_must_agree_and_a_reviewer_settles_the_rest(tmp_path):
    store = ReviewStore(tmp_path, rules=Rules(readers=2, known_every=0, repeat_every=0))
    store.proposals.add(images("a", "b"))
    uid = name(store, "anna", "cyst", "hcc")
    assert held(store, uid) == {}
    name(store, "otto", "cyst", "fnh")
    assert held(store, uid) == {"a": "cyst"}
    assert study_state(store.review(uid), store.rules) == "conflict"
    b = store.review(uid).study.candidates[1].uid
    with pytest.raises(BadInputError, match="hcc or cyst or fnh or false"):
        store.adjudicate(str(uuid.UUID(int=1)), uid, b, Verdict.TRUE, "vera")
    store.adjudicate(str(uuid.UUID(int=2)), uid, b, ClassName("fnh"), "vera")
    assert held(store, uid) == {"a": "cyst", "b": "fnh"}
    store.close()


def test_agreement_counts_unsure_as_one_more_class(tmp_path):
    store = ReviewStore(tmp_path, rules=Rules(readers=2, known_every=0, repeat_every=0))
    store.proposals.add(images("a", "b", "c", "d"))
    name(store, "anna", "cyst", "hcc", "hcc", "fnh")
    name(store, "otto", "cyst", "hcc", "fnh", "unsure")
    found = agreement_on([store.review("1.2.9:lesion_type")])
    assert (found.candidates, found.raw) == (4, 0.5)
    # Cohen by hand: observed 2/4; chance = (1*1 [cyst] + 2*1 [hcc] + 1*1 [fnh] + 0*1 [unsure]) / 16
    kappa, count = found.cohen["anna", "otto"]
    assert (kappa, count) == (pytest.approx((0.5 - 0.25) / 0.75), 4)
    # Gwet: shares cyst 1/4, hcc 3/8, fnh 1/4, unsure 1/8; chance = sum p (1 - p) / (4 - 1)
    chance = (0.25 * 0.75 * 2 + 0.375 * 0.625 + 0.125 * 0.875) / 3
    assert found.gwet == pytest.approx((0.5 - chance) / (1 - chance))
    store.close()


def test_a_model_is_measured_against_what_readers_settled(store):
    store.proposals.add(images("a", study="1.1", told=(0.9, 0.05, 0.05)))
    store.proposals.add(images("b", study="1.2", told=(0.6, 0.3, 0.1)))
    name(store, "anna", "hcc", study="1.1")
    name(store, "anna", "cyst", study="1.2")
    reviews = store.reviews_of("classification").values()
    (row,) = model_against(reviews, store.rules, learnt=lambda *_: False).values()
    assert row == {"model": "us_fll", "images": 2, "left_out": 0, "accuracy": 0.5, "auc": 1.0}


def test_a_model_is_not_measured_on_patients_it_learnt_from(store):
    for number, model_hash in enumerate(("a" * 64, "b" * 64)):
        store.proposals.add(images("a", study="1.1", told=(0.9, 0.05, 0.05), model_hash=model_hash))
        store.proposals.add(images("b", study="1.2", told=(0.6, 0.3, 0.1), model_hash=model_hash))
        if number == 0:
            name(store, "anna", "hcc", study="1.1")
            name(store, "anna", "cyst", study="1.2")
    learnt = {("us_fll", "b" * 64, "P-1.1")}
    reviews = store.reviews_of("classification").values()
    first, second = model_against(reviews, store.rules, learnt=lambda *asked: asked in learnt).values()
    assert (first["images"], first["left_out"], first["accuracy"]) == (2, 0, 0.5)
    assert second == {"model": "us_fll", "images": 1, "left_out": 1, "accuracy": 0.0, "auc": None}
    (_, all_learnt) = model_against(reviews, store.rules, learnt=lambda _, sha, __: sha == "b" * 64).values()
    assert all_learnt == {"model": "us_fll", "images": 0, "left_out": 2, "accuracy": None, "auc": None}


def test_a_classifier_stands_at_the_minutes_of_the_snapshot_it_was_trained_on():
    def snapshot(name, images, minutes):
        summary = {"labels": {"lesion_type": images}, "image_minutes": {"lesion_type": minutes}}
        return SimpleNamespace(sha256=name, summary=summary)

    def version(name, **data):
        about = {
            "version": name,
            "state": "kept",
            "metrics": {"auc": 0.9, "cases": 3.0},
            "created": "2026-11-21T06:00:00+00:00",
        }
        return SimpleNamespace(card=SimpleNamespace(data=data), **about)

    snapshots = [snapshot("a" * 64, 3, 2.0), snapshot("b" * 64, 9, 5.0)]
    versions = [version("shipped"), version("second", snapshot="b" * 64), version("first", snapshot="a" * 64)]
    rows = classifier_curve(versions, snapshots, "lesion_type")
    assert [(row["minutes"], row["images"], row["auc"], row["accuracy"], row["cases"]) for row in rows] == [
        (0.0, 0, 0.9, None, 3), (5.0, 9, 0.9, None, 3), (2.0, 3, 0.9, None, 3)
    ]  # fmt: skip


def test_images_whose_class_is_known_measure_their_reader(store):
    store.proposals.add(images("a", "b"))
    uid = "1.2.9:lesion_type"
    a, b = (one.uid for one in store.review(uid).study.candidates)
    with pytest.raises(BadInputError, match="hcc or cyst or fnh"):
        store.know_classes(uid, {a: "lipoma"})
    store.know_classes(uid, {a: "cyst", b: "hcc"})
    name(store, "anna", "cyst", "fnh")
    found = drift("anna", [store.review(uid)])
    assert (found.known, found.right) == (2, 0.5)


def test_a_snapshot_lists_classes_beside_boxes_and_changes_no_snapshot_without_them(store):
    store.proposals.add(proposed("1.2.3"))
    read_all(store, "anna", "1.2.3", c1="true")
    alone = store.snapshot()
    assert "images" not in check_snapshot(alone.file)
    store.proposals.add(images("a", "b"))
    name(store, "anna", "cyst", "unsure")
    document = check_snapshot(store.snapshot().file)
    about = {"image_id": "a", "patient_id": "P-1.2.9", "note": "lesion_type", "class": "cyst"}
    assert document["images"] == [about]
    assert document["studies"] == check_snapshot(alone.file)["studies"]


def test_a_reader_of_one_kind_is_given_no_study_of_the_other(store):
    store.proposals.add(proposed("1.2.3"))
    store.proposals.add(images("a"))
    assert store.lease("anna", kind="classification").study == "1.2.9:lesion_type"
    assert store.lease("otto", kind="detection").study == "1.2.3"
    assert [place.review.uid for place in store.queue("anna", kind="detection")] == ["1.2.3"]


def test_what_an_earlier_server_kept_is_read_as_lesions(store):
    old = {key: value for key, value in to_json(proposed()).items() if key not in ("kind", "classes", "note")}
    for candidate in old["candidates"]:
        del candidate["image_id"], candidate["probabilities"]
    assert from_json(old) == proposed()
    with store.database.write() as connection:  # as that server wrote it
        connection.execute(
            "INSERT INTO proposal (study, patient, model, model_hash, content, at, document) "
            "VALUES (?, ?, ?, ?, ?, 1, ?)",
            ("1.2.3", "P-1.2.3", "ct_centernet3d", "a" * 64, "c" * 64, json.dumps(old, sort_keys=True)),
        )
    read_all(store, "anna", "1.2.3", c1="true")
    assert store.review("1.2.3").study.kind == "detection"
    store.proposals.add(proposed())
    assert len(store.review("1.2.3").proposals) == 1
    assert store.review("1.2.3").known_classes is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"images": []}, "an ultrasound image"), ({"classes": ("true", "other")}, "none of them called"),
     ({"classes": tuple("abcdefghij")}, "two to 9")],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(changes, expected):
    given = {"images": [Classified("a", GRID, {})], "classes": CLASSES} | changes
    with pytest.raises(BadInputError, match=expected):
        propose_classes("1", "P", given["images"], classes=given["classes"], note="n", model="m", model_hash="h")


def test_an_image_has_one_uid_for_all_models():
    first, second = images("a").candidates[0], images("a", model_hash="b" * 64).candidates[0]
    assert first.uid == second.uid
    assert replace(first, model_hash=second.model_hash) == second
