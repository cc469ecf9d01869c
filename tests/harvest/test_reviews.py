"""Events of readers: taken once, undone, refused, and never lost."""

import re
import sqlite3
import uuid

import pytest

from hepatic.errors import BadInputError
from hepatic.harvest.leases import Wish
from hepatic.harvest.review_database import open_reviews
from hepatic.harvest.reviews import StaleError
from hepatic.harvest.store import ReviewStore
from tests.harvest.proposed import candidate, decide, event, finish, proposed


@pytest.fixture
def store(tmp_path):
    made = ReviewStore(tmp_path)
    made.proposals.add(proposed())
    made.lease("Rita", "1.2.3")
    yield made
    made.close()


def sent(store, *events, reader="Rita", **options):
    return store.reviews.take(list(events), reader, **options)[0]


def test_a_decision_is_there_after_the_store_is_opened_anew(store, tmp_path):
    [taken] = sent(store, decide("2.25.1", "true"))
    assert (taken.status, taken.state["decided"]) == ("stored", 1)
    again = ReviewStore(tmp_path)
    assert again.reviews.reading("1.2.3", "Rita").verdict("2.25.1") == "true"
    again.close()


def test_the_same_event_twice_is_stored_once(store):
    one = decide("2.25.1", "true")
    assert [taken.status for taken in sent(store, one, one)] == ["stored", "known"]
    assert sent(store, one | {"verdict": "false"})[0].status == "known"
    assert store.reviews.reading("1.2.3", "Rita").verdict("2.25.1") == "true"


def test_an_id_that_somebody_else_used_is_refused(store):
    one = decide("2.25.1", "true")
    sent(store, one)
    store.leases.give_back(store.leases.held()["1.2.3"].id, "Rita")
    store.lease("Otto", "1.2.3")
    assert sent(store, one, reader="Otto")[0].status == "refused"


def test_the_last_decision_on_a_candidate_holds(store):
    sent(store, decide("2.25.1", "true"), decide("2.25.1", "unsure"))
    assert store.reviews.reading("1.2.3", "Rita").verdict("2.25.1") == "unsure"


def test_what_is_undone_gives_way_to_what_was_decided_before(store):
    first, second = decide("2.25.1", "true"), decide("2.25.1", "false")
    sent(store, first, second, event("undo", of=second["id"]))
    assert store.reviews.reading("1.2.3", "Rita").verdict("2.25.1") == "true"
    sent(store, event("undo", of=first["id"]))
    assert store.reviews.reading("1.2.3", "Rita").verdict("2.25.1") is None


def test_an_event_is_undone_once_and_only_by_its_reader(store):
    one = decide("2.25.1", "true")
    sent(store, one, event("undo", of=one["id"]))
    assert sent(store, event("undo", of=one["id"]))[0].status == "refused"
    assert sent(store, event("undo", of=str(uuid.uuid4())))[0].status == "refused"


def test_primary_missed_and_boxes_are_kept_and_can_be_undone(store):
    primary, missed = event("primary", candidate="2.25.2"), event("missed")
    drawn = event("box", box=[10, 10, 10, 30, 30, 30])
    sent(store, primary, missed, drawn)
    reading = store.reviews.reading("1.2.3", "Rita")
    assert reading.primary.candidate == "2.25.2"
    assert reading.missed
    assert [one.box for one in reading.boxes] == [(10.0, 10.0, 10.0, 30.0, 30.0, 30.0)]
    sent(store, *(event("undo", of=one["id"]) for one in (primary, missed, drawn)))
    reading = store.reviews.reading("1.2.3", "Rita")
    assert (reading.primary, reading.missed, reading.boxes) == (None, None, [])


def test_a_finished_study_takes_decisions_again_once_it_is_reopened_or_something_is_undone(store):
    one = decide("2.25.1", "true")
    finish(store, "Rita", one)
    assert sent(store, decide("2.25.2", "true"))[0].status == "refused"
    sent(store, event("reopen"))
    assert sent(store, decide("2.25.2", "true"))[0].status == "stored"
    finish(store, "Rita")
    assert store.reviews.reading("1.2.3", "Rita").finished
    sent(store, event("undo", of=one["id"]))
    assert not store.reviews.reading("1.2.3", "Rita").finished


def test_undoing_the_end_of_a_study_does_not_bring_back_an_earlier_end(store):
    finish(store, "Rita")
    again = event("finish")
    taken = sent(store, event("reopen"), again, event("undo", of=again["id"]))
    assert {one.status for one in taken} == {"stored"}
    assert not store.reviews.reading("1.2.3", "Rita").finished


def test_a_study_does_not_end_while_candidates_have_no_verdict(store):
    taken = sent(store, decide("2.25.1", "true"), event("finish"))
    assert [one.status for one in taken] == ["stored", "refused"]
    assert "2 of 3 candidates" in taken[1].reason
    assert not store.reviews.reading("1.2.3", "Rita").finished
    taken = sent(store, decide("2.25.2", "unsure"), decide("2.25.3", "false"), event("finish"))
    assert taken[-1].finished


def test_a_study_in_which_a_missed_lesion_was_drawn_does_not_end_without_the_other_verdicts(store):
    drawn = event("box", box=[10, 10, 10, 30, 30, 30])
    assert sent(store, event("missed"), drawn, event("finish"))[-1].status == "refused"
    finish(store, "Rita")
    assert store.reviews.reading("1.2.3", "Rita").finished


def test_a_study_that_is_boxed_by_hand_ends_without_verdicts(store):
    store.proposals.add(proposed("9.9"))
    store.take("Anna", Wish("9.9", "boxing"), may_box=True)
    assert store.reviews.take([event("finish", "9.9")], "Anna")[0][0].finished


def test_only_what_was_shown_needs_a_verdict_also_when_a_new_model_has_proposed_since(store):
    finish(store, "Rita")
    store.proposals.add(proposed(candidates=[candidate("2.25.8", 11), candidate("2.25.9", 60)], model_hash="b" * 64))
    store.lease("Rita", "1.2.3")  # the first inherits
    store.proposals.add(proposed(candidates=[candidate("2.25.7", 80)], model_hash="d" * 64))
    assert sent(store, event("finish"))[0].status == "refused"
    assert sent(store, decide("2.25.9", "true"), event("finish"))[1].finished


def test_nothing_is_undone_once_it_is_final(store):
    one = decide("2.25.1", "true")
    finish(store, "Rita", one)
    store.finalise("1.2.3", "Rita")
    for late in (event("undo", of=one["id"]), event("reopen"), decide("2.25.2", "true")):
        [taken] = sent(store, late)
        assert taken.status == "refused"
        assert "final" in taken.reason


@pytest.mark.parametrize(
    "wrong",
    [
        "text",
        {},
        event("decide", candidate="2.25.1"),
        event("decide", verdict="true"),
        decide("2.25.1", "perhaps"),
        decide("2.25.9", "true"),
        decide("2.25.1", "true", study="9.9"),
        decide("2.25.1", "true", study="a\0b"),
        decide("2.25.1", "true", study="\ud800"),
        decide("2.25.1", "true", id="not-a-uuid"),
        decide("2.25.1", "true", shown_at=1e300),
        decide("2.25.1", "true", shown_at="yesterday"),
        decide("2.25.1", "true", hidden_ms=-1),
        decide("2.25.1", "true", device=7),
        event("box", box=[0, 0, 0, 0, 0, 0]),
        event("box", box=[0, 0, 0, 1, 1, float("nan")]),
        event("box", box=[0, 0, 0, 1, 1, 10**400]),
        event("box", box=[5000, 0, 0, 5010, 10, 10]),
        event("adjudicate", candidate="2.25.1", verdict="true"),
        event("finalise"),
    ],
    ids=lambda value: re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", str(value))[-60:],
)
def test_what_is_wrong_is_refused_and_keeps_nothing_else_out(store, wrong):
    refused, taken = sent(store, wrong, decide("2.25.2", "true"))
    assert (refused.status, taken.status) == ("refused", "stored")
    assert refused.reason


def test_a_box_takes_somebody_who_may_draw(store):
    [taken] = sent(store, event("box", box=[10, 10, 10, 30, 30, 30]), may_box=False)
    assert (taken.status, "annotator" in taken.reason) == ("refused", True)


def test_events_of_a_lease_that_has_run_out_are_still_taken(tmp_path):
    now = [1000.0]
    store = ReviewStore(tmp_path, clock=lambda: now[0])
    store.proposals.add(proposed())
    store.lease("Rita", "1.2.3")
    now[0] += 3600
    store.lease("Otto", "1.2.3")
    assert sent(store, decide("2.25.1", "true"))[0].status == "stored"
    assert store.reviews.reading("1.2.3", "Otto").verdict("2.25.1") is None
    store.close()


def test_a_page_that_has_not_seen_what_another_page_decided_is_told_both(store):
    _, seen = store.reviews.take([decide("2.25.1", "true")], "Rita", if_match='"0"')
    elsewhere = decide("2.25.1", "false")
    _, newer = store.reviews.take([elsewhere], "Rita", if_match=seen)
    mine = decide("2.25.2", "true")
    with pytest.raises(StaleError) as stale:
        store.reviews.take([mine], "Rita", if_match=seen)
    assert [one["id"] for one in stale.value.stored] == [elsewhere["id"]]
    assert [one["id"] for one in stale.value.sent] == [mine["id"]]
    assert store.reviews.reading("1.2.3", "Rita").verdict("2.25.2") is None
    assert store.reviews.take([mine], "Rita", if_match=newer)[0][0].status == "stored"


def test_sending_again_what_was_stored_is_never_stale(store):
    one = decide("2.25.1", "true")
    store.reviews.take([one], "Rita", if_match='"0"')
    assert store.reviews.take([one], "Rita", if_match='"0"')[0][0].status == "known"


def test_a_tag_goes_with_one_study(store):
    store.proposals.add(proposed("9.9"))
    with pytest.raises(BadInputError, match="one study"):
        sent(store, decide("2.25.1", "true"), decide("2.25.1", "true", study="9.9"), if_match='"0"')


def test_the_time_of_a_click_leaves_out_when_the_page_was_hidden(store):
    sent(store, decide("2.25.1", "true", shown_at=1_000_000, decided_at=1_012_500, hidden_ms=10_000))
    sent(store, decide("2.25.2", "true", shown_at="2026-11-21T12:00:00Z", decided_at="2026-11-21T12:00:01.5Z"))
    reading = store.reviews.reading("1.2.3", "Rita")
    assert [one.seconds for one in reading.decisions] == [2.5, 1.5]
    assert (reading.seconds, reading.clicks) == (4.0, 2)


def test_looks_that_overlap_count_once(store):
    sent(
        store,
        decide("2.25.1", "true", shown_at=0, decided_at=10_000),
        event("primary", candidate="2.25.1", shown_at=0, decided_at=12_000),
        decide("2.25.2", "true", shown_at=8_000, decided_at=15_000),
        decide("2.25.3", "true", shown_at=20_000, decided_at=21_000),
    )
    assert store.reviews.reading("1.2.3", "Rita").seconds == 16.0


def test_events_cannot_be_changed_or_removed_even_with_sql(store, tmp_path):
    sent(store, decide("2.25.1", "true"))
    database = open_reviews(tmp_path)
    for statement in ("UPDATE event SET verdict = 'false'", "DELETE FROM event", "DELETE FROM proposal"):
        with pytest.raises(sqlite3.IntegrityError, match="only ever added"), database.write() as connection:
            connection.execute(statement)
    database.close()
