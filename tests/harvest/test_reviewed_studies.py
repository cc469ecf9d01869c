"""Reviews as they are exported: what holds, who said what, and boxes that only readers or earlier models saw."""

from dataclasses import replace

import pytest

from hepatic.harvest.leases import Wish, open_reading
from hepatic.harvest.reviewed_studies import reviewed_study
from hepatic.harvest.store import ReviewStore
from tests.harvest.proposed import box, candidate, decide, event, finish, proposed, read_all


@pytest.fixture
def store(tmp_path):
    made = ReviewStore(tmp_path)
    made.proposals.add(proposed())
    yield made
    made.close()


def exported(store):
    return reviewed_study(store.review("1.2.3"), store.rules)


def test_candidates_leave_with_what_holds_and_who_said_it(store):
    store.lease("Rita")
    one = decide("2.25.1", "true", shown_at=1_763_730_000_000, decided_at=1_763_730_002_500, device="key")
    finish(store, "Rita", one, event("primary", candidate="2.25.1"))
    first, second, _ = exported(store).candidates
    assert (first.verdict, first.state, first.primary, first.origin) == ("true", "true", True, "model")
    [decision] = first.decisions
    assert (decision.reader, decision.device, decision.decided_at) == ("Rita", "key", "2025-11-21T13:00:02.500+00:00")
    assert (second.verdict, second.state, second.primary) == ("false", "false", False)


def test_a_drawn_box_leaves_with_its_author_and_its_slice(store):
    store.lease("Anna", may_box=True)
    drawn = event("box", box=[60, 60, 20, 80, 80, 40])
    finish(store, "Anna", event("missed"), drawn)
    box = exported(store).candidates[-1]
    assert (box.origin, box.drawn_by, box.verdict, box.key_slice) == ("manual", "Anna", "true", 15)
    assert box.uid.startswith("2.25.")


def test_what_only_an_earlier_model_found_is_not_lost(store):
    read_all(store, "Rita", c1="true", c2="true")
    store.proposals.add(proposed(candidates=[candidate("2.25.9", 11, 0.7, "b" * 64)], model_hash="b" * 64))
    found = {one.uid: (one.verdict, one.origin) for one in exported(store).candidates}
    assert found == {"2.25.9": ("true", "inherited"), "2.25.2": ("true", "model"), "2.25.3": ("false", "model")}


def test_an_inherited_verdict_leaves_with_who_gave_it(store):
    store.lease("Anna", may_box=True)
    drawn = event("box", box=[70, 10, 10, 80, 20, 20])
    finish(store, "Anna", decide("2.25.1", "true"), event("missed"), drawn)
    heirs = [candidate("2.25.9", 11, 0.7, "b" * 64), candidate("2.25.10", 71, 0.6, "b" * 64)]
    store.proposals.add(proposed(candidates=heirs, model_hash="b" * 64))
    first, second, *_ = exported(store).candidates
    said = [(one.origin, [(d.reader, d.verdict, d.box) for d in one.decisions]) for one in (first, second)]
    assert said == [("inherited", [("Anna", "true", box(10))]), ("inherited", [("Anna", "true", box(70))])]


def test_a_study_with_candidates_that_nobody_has_looked_at_is_not_complete(store):
    read_all(store, "Rita", c1="true")
    assert exported(store).complete
    heir, new = candidate("2.25.9", 11, 0.7, "b" * 64), candidate("2.25.10", 71, 0.6, "b" * 64)
    store.proposals.add(proposed(candidates=[heir], model_hash="b" * 64))
    assert exported(store).complete
    store.proposals.add(proposed(candidates=[heir, new], model_hash="c" * 64))
    assert not exported(store).complete


def test_what_was_not_finished_is_not_told(store):
    store.lease("Rita")
    store.reviews.take([decide("2.25.1", "true")], "Rita")
    assert exported(store).candidates[0].decisions == ()
    assert not exported(store).complete


def primaries(store):
    return {one.uid for one in exported(store).candidates if one.primary}


def test_a_rejected_candidate_is_no_primary_lesion(store):
    store.lease("Rita")
    said = [event("primary", candidate="2.25.1"), decide("2.25.1", "false"), decide("2.25.2", "true")]
    finish(store, "Rita", *said)
    assert primaries(store) == set()


def test_a_hidden_repeat_names_no_primary_lesion_and_corrects_no_box(store):
    read_all(store, "Rita", c1="true", c2="true")
    with store.database.write() as connection:
        open_reading(connection, "Rita", Wish("1.2.3", "repeat"), store.clock())
    corrected = event("box", candidate="2.25.2", box=[28, 8, 8, 42, 22, 22])
    finish(store, "Rita", decide("2.25.2", "true"), event("primary", candidate="2.25.2"), corrected)
    assert primaries(store) == set()
    assert exported(store).candidates[1].box == box(30)


def test_the_key_slice_is_that_of_the_grid_that_is_exported(store):
    one = replace(candidate("2.25.1"), key_slice=49)
    store.proposals.add(proposed(candidates=[one], model_hash="d" * 64))
    assert exported(store).candidates[0].key_slice in (7, 8)


def test_each_decision_says_which_box_was_judged(store):
    read_all(store, "Rita", c1="true")
    with store.database.write() as connection:
        open_reading(connection, "Anna", Wish("1.2.3", "first"), store.clock())
    moved = [event("box", candidate="2.25.1", box=[12, 10, 10, 22, 20, 20]), decide("2.25.1", "true")]
    finish(store, "Anna", *moved)
    first = exported(store).candidates[0]
    assert {one.reader: one.box for one in first.decisions} == {"Rita": box(10), "Anna": box(12)}
