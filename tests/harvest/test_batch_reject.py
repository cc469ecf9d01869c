"""Rejecting many at once: as far as known cases say is safe, previewed, tagged, undone."""

import uuid

import pytest

from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.harvest.lesson import lesson
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.verdicts import cards_of, settled
from tests.harvest.proposed import box, decide, finish, proposed, read_all

ID = str(uuid.UUID(int=7))


def know(store, parts):
    """Add a known case per patient, with one candidate on its lesion; None gives the patient no part."""
    for n, uid in enumerate(parts):
        store.proposals.add(proposed(uid, ["2.25.1"], scores=[0.5 + n / 100]))
        store.know(uid, [box(10)])
    with store.database.write() as connection:
        drawn = [(f"P-{uid}", part) for uid, part in parts.items() if part]
        connection.executemany("INSERT INTO part VALUES (?, ?, 0)", drawn)


@pytest.fixture
def store(tmp_path):
    """Twenty known cases of test patients whose lesion scores .5 to .69, and a study with candidates .9, .4 and .1."""
    made = ReviewStore(tmp_path)
    know(made, {f"known {n}": "test" for n in range(20)})
    made.proposals.add(proposed(scores=[0.9, 0.4, 0.1]))
    yield made
    made.close()


def test_what_lies_below_the_safe_score_is_previewed_and_nothing_is_done(store):
    told = store.batches.preview()
    assert (told.threshold, told.safe.lesions, told.safe.lost) == (0.5, 20, 0)
    assert told.candidates == (("1.2.3", "2.25.2"), ("1.2.3", "2.25.3"))
    assert len(cards_of(store.review("1.2.3"), store.rules)) == 3


def test_what_was_rejected_is_tagged_shown_to_nobody_and_teaches_nothing(store):
    assert store.batches.reject("Viktor", id=ID).candidates == (("1.2.3", "2.25.2"), ("1.2.3", "2.25.3"))
    review = store.review("1.2.3")
    assert settled(review, store.rules)["2.25.2"].batch
    assert cards_of(review, store.rules) == ["2.25.1"]
    assert lesson(review, store.rules).negatives == ()
    assert len(store.batches.reject("Viktor", id=ID).candidates) == 2  # the same again rejects nothing more
    assert store.batches.preview().candidates == ()


def test_a_rejection_is_taken_back_as_a_whole_and_once(store):
    store.batches.reject("Viktor", id=ID)
    assert store.batches.undo(ID, "Viktor") == 2
    assert len(cards_of(store.review("1.2.3"), store.rules)) == 3
    assert store.batches.undo(ID, "Viktor") == 0
    with pytest.raises(NotFoundError):
        store.batches.undo(str(uuid.uuid4()), "Viktor")


def test_what_a_training_has_learnt_from_is_not_taken_back(store):
    store.batches.reject("Viktor", id=ID)
    read_all(store, "Rita", "known 3")
    store.snapshot()
    with pytest.raises(ConflictError, match="learnt from"):
        store.batches.undo(ID, "Viktor")


def test_a_score_that_is_not_known_to_be_safe_is_refused(store):
    with pytest.raises(BadInputError, match=r"at most 0\.5"):
        store.batches.reject("Viktor", id=ID, threshold=0.6)
    assert store.batches.reject("Viktor", id=ID, threshold=0.2).candidates == (("1.2.3", "2.25.3"),)


def test_without_enough_known_cases_nothing_is_rejected(tmp_path):
    store = ReviewStore(tmp_path)
    store.proposals.add(proposed())
    assert "20 are needed" in store.batches.preview().safe.reason
    with pytest.raises(BadInputError, match="20 are needed"):
        store.batches.reject("Viktor", id=ID, threshold=0.1)
    store.close()


@pytest.mark.parametrize("part", ["train", None])
def test_known_cases_that_a_model_may_have_learnt_from_do_not_count(tmp_path, part):
    store = ReviewStore(tmp_path)
    know(store, {f"known {n}": "test" if n else part for n in range(20)})
    assert store.batches.preview().safe.lesions == 19
    with pytest.raises(BadInputError, match="20 are needed"):
        store.batches.reject("Viktor", id=ID)
    store.close()


def test_what_a_reader_says_goes_before_a_batch(store):
    store.lease("Rita", "1.2.3")  # began before the batch, and is shown all three
    store.batches.reject("Viktor", id=ID)
    finish(store, "Rita", decide("2.25.2", "true"))
    held = settled(store.review("1.2.3"), store.rules)["2.25.2"]
    assert (held.state, held.batch, held.votes) == ("true", False, {"Rita": "true"})


def test_a_reviewer_who_reads_the_study_too_keeps_the_own_reading(store):
    store.lease("Viktor", "1.2.3")
    store.batches.reject("Viktor", id=ID)
    [taken], _ = store.reviews.take([decide("2.25.1", "true")], "Viktor")
    assert (taken.status, taken.state["round"], taken.state["decided"]) == ("stored", 1, 1)
