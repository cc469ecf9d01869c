"""What holds of a candidate: from several readers, who adjudicated, and what a new model's candidates inherit."""

import uuid
from dataclasses import replace

import pytest

from hepatic.errors import BadInputError
from hepatic.harvest.events import Verdict
from hepatic.harvest.leases import Wish, open_reading
from hepatic.harvest.rules import Rules
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study import Phase, Proposal
from hepatic.harvest.study_state import study_state
from hepatic.harvest.verdicts import State, cards_of, doubtful, settled, was_boxed
from tests.harvest.proposed import box, candidate, decide, event, finish, proposed, read_all

TWO = Rules(readers=2)


@pytest.fixture
def store(tmp_path):
    made = ReviewStore(tmp_path, rules=TWO)
    made.proposals.add(proposed())
    yield made
    made.close()


def states(store):
    return {uid: one.state for uid, one in settled(store.review("1.2.3"), store.rules).items()}


def test_what_nobody_has_judged_is_unreviewed(store):
    assert set(states(store).values()) == {State.UNREVIEWED}
    assert study_state(store.review("1.2.3"), TWO) == "waiting"


def test_readers_who_agree_settle_a_candidate_and_others_leave_a_conflict(store):
    read_all(store, "Rita", c1="true", c2="true", c3="unsure")
    assert study_state(store.review("1.2.3"), TWO) == "waiting"
    read_all(store, "Otto", c1="true", c2="false", c3="unsure")
    assert states(store) == {"2.25.1": "true", "2.25.2": "conflict", "2.25.3": "unsure"}
    assert study_state(store.review("1.2.3"), TWO) == "conflict"


def test_a_conflict_outlives_the_model_that_proposed_the_candidate_until_it_is_settled(store):
    read_all(store, "Rita", c2="true")
    read_all(store, "Otto", c2="false")
    store.proposals.add(proposed(candidates=[], model_hash="b" * 64))
    assert [one.uid for one, _ in doubtful(store.review("1.2.3"), TWO)] == ["2.25.2"]
    assert study_state(store.review("1.2.3"), TWO) == "conflict"
    settled_by = store.adjudicate(str(uuid.uuid4()), "1.2.3", "2.25.2", Verdict.FALSE, "Viktor")
    assert settled_by.model_hash == "a" * 64
    assert doubtful(store.review("1.2.3"), TWO) == []
    assert study_state(store.review("1.2.3"), TWO) == "done"


def test_who_adjudicates_has_the_last_word_and_ends_all_undoing(store):
    made = read_all(store, "Rita", c2="true")
    read_all(store, "Otto", c2="false")
    id = str(uuid.uuid4())
    store.adjudicate(id, "1.2.3", "2.25.2", Verdict.TRUE, "Viktor")
    store.adjudicate(id, "1.2.3", "2.25.2", Verdict.FALSE, "Viktor")  # the same event again
    held = settled(store.review("1.2.3"), TWO)["2.25.2"]
    assert (held.state, held.verdict) == (State.ADJUDICATED, Verdict.TRUE)
    assert held.votes == {"Rita": "true", "Otto": "false"}
    assert study_state(store.review("1.2.3"), TWO) == "done"
    [taken], _ = store.reviews.take([event("undo", of=made[0]["id"])], "Rita")
    assert taken.status == "refused"


def test_nobody_adjudicates_to_unsure(store):
    with pytest.raises(BadInputError, match="true or false"):
        store.adjudicate(str(uuid.uuid4()), "1.2.3", "2.25.2", Verdict.UNSURE, "Viktor")


def test_a_study_with_a_missed_lesion_waits_until_it_is_boxed(tmp_path):
    store = ReviewStore(tmp_path)
    store.proposals.add(proposed())
    store.lease("Rita")
    finish(store, "Rita", event("missed"))
    assert study_state(store.review("1.2.3"), store.rules) == "boxing"
    assert store.lease("Otto", may_box=False) is None
    assert store.lease("Anna", may_box=True).study == "1.2.3"
    store.reviews.take([event("box", box=[10, 10, 10, 20, 20, 20])], "Anna")
    assert study_state(store.review("1.2.3"), store.rules) == "boxing"
    store.reviews.take([event("finish")], "Anna")
    assert study_state(store.review("1.2.3"), store.rules) == "done"
    store.close()


def test_who_boxes_answers_what_was_missed_also_with_no_box(tmp_path):
    store = ReviewStore(tmp_path)
    store.proposals.add(proposed())
    store.lease("Rita")
    finish(store, "Rita", event("missed"))
    store.lease("Anna", may_box=True)
    store.reviews.take([event("finish")], "Anna")
    assert study_state(store.review("1.2.3"), store.rules) == "done"
    store.close()


def test_another_reader_s_drawing_does_not_answer_what_was_missed(store):
    for reader in ("Anna", "Otto"):
        store.lease(reader, "1.2.3", may_box=True)
        drawn = [event("box", box=[70, 10, 10, 80, 20, 20])] if reader == "Anna" else []
        finish(store, reader, event("missed"), *drawn)
    assert study_state(store.review("1.2.3"), TWO) == "boxing"


def shifted(by, uid="2.25.9"):
    return proposed(candidates=[candidate(uid, 10 + by, 0.7, "b" * 64)], model_hash="b" * 64)


def test_a_new_model_s_box_inherits_a_verdict_only_if_it_overlaps_enough(tmp_path):
    store = ReviewStore(tmp_path)
    store.proposals.add(proposed())
    read_all(store, "Rita", c1="true")
    store.proposals.add(shifted(1))
    held = settled(store.review("1.2.3"), store.rules)["2.25.9"]
    assert (held.state, held.inherited, held.votes) == (State.TRUE, "2.25.1", {})
    assert held.overlap == pytest.approx(9 / 11)
    assert cards_of(store.review("1.2.3"), store.rules) == []
    assert study_state(store.review("1.2.3"), store.rules) == "done"
    store.proposals.add(shifted(5, "2.25.10"))
    assert settled(store.review("1.2.3"), store.rules)["2.25.10"].state is State.UNREVIEWED
    assert study_state(store.review("1.2.3"), store.rules) == "waiting"
    store.close()


@pytest.mark.parametrize(
    ("at", "verdict", "inherited"),
    [(36, "true", True), (31, "true", True), (42, "true", False), (31, "false", False)],
)
def test_a_lesion_hands_its_verdict_down_from_every_place_it_has(tmp_path, at, verdict, inherited):
    store = ReviewStore(tmp_path)
    arterial, strange = Proposal(Phase.ARTERIAL, box(31), 0.4), Proposal(Phase.DELAYED, box(42), 0.3)
    one = candidate("2.25.1", 30)
    store.proposals.add(proposed(candidates=[replace(one, box=box(30, 16), lineage=(arterial, strange))]))
    store.lease("Anna")
    finish(store, "Anna", event("box", candidate="2.25.1", box=list(box(36))), decide("2.25.1", verdict))
    store.proposals.add(proposed(candidates=[candidate("2.25.9", at, 0.7, "b" * 64)], model_hash="b" * 64))
    held = settled(store.review("1.2.3"), store.rules)["2.25.9"]
    assert (held.inherited, held.verdict) == (("2.25.1", verdict) if inherited else ("", None))
    store.close()


def test_a_new_model_does_not_stand_in_for_a_second_reader(store):
    read_all(store, "Rita", c1="true")
    store.proposals.add(shifted(1))
    assert states(store) == {"2.25.9": State.UNREVIEWED}
    assert study_state(store.review("1.2.3"), TWO) == "waiting"
    assert cards_of(store.review("1.2.3"), TWO) == ["2.25.9"]
    read_all(store, "Otto", c9="true")
    read_all(store, "Rita", c9="true")
    store.proposals.add(shifted(2, "2.25.10"))
    assert settled(store.review("1.2.3"), TWO)["2.25.10"].inherited == "2.25.9"
    assert study_state(store.review("1.2.3"), TWO) == "done"


def test_a_lesion_that_one_of_two_readers_drew_is_shown_to_the_other_when_a_model_finds_it(store):
    store.lease("Anna", "1.2.3", may_box=True)
    finish(store, "Anna", event("missed"), event("box", box=list(box(75))))
    store.proposals.add(shifted(66))
    assert cards_of(store.review("1.2.3"), TWO) == ["2.25.9"]


def test_one_of_two_readers_does_not_settle_what_readers_disagreed_about(store):
    read_all(store, "Rita", c1="true")
    read_all(store, "Otto", c1="false")
    store.proposals.add(shifted(1))
    read_all(store, "Rita", c9="true")
    assert [one.uid for one, _ in doubtful(store.review("1.2.3"), TWO)] == ["2.25.1"]
    read_all(store, "Otto", c9="true")
    assert doubtful(store.review("1.2.3"), TWO) == []


def drawn_at(x):
    return [event("missed"), event("box", box=list(box(x)))]


def test_a_box_drawn_by_hand_settles_an_old_doubt_at_its_place(store):
    for reader in ("Rita", "Otto"):
        read_all(store, reader, c1="unsure", c3="unsure")
    store.proposals.add(proposed(candidates=[], model_hash="b" * 64))
    doubts = [["2.25.1", "2.25.3"], ["2.25.1", "2.25.3"], ["2.25.3"]]
    assert [one.uid for one, _ in doubtful(store.review("1.2.3"), TWO)] == doubts.pop(0)
    for reader in ("Rita", "Otto"):  # as with a verdict, enough of them have to have looked
        with store.database.write() as connection:
            open_reading(connection, reader, Wish("1.2.3"), store.clock())
        finish(store, reader, *(drawn_at(11) if reader == "Rita" else []))
        assert [one.uid for one, _ in doubtful(store.review("1.2.3"), TWO)] == doubts.pop(0)


def test_who_boxes_a_study_by_hand_settles_the_doubts_of_its_readers_where_they_draw(tmp_path):
    store = ReviewStore(tmp_path)
    store.proposals.add(proposed())
    store.lease("Rita")
    finish(store, "Rita", decide("2.25.1", "unsure"), decide("2.25.3", "unsure"), event("missed"))
    store.lease("Anna", may_box=True)
    store.reviews.take([event("box", box=list(box(11))), event("finish")], "Anna")
    assert [one.uid for one, _ in doubtful(store.review("1.2.3"), store.rules)] == ["2.25.3"]
    store.close()


def test_who_takes_back_that_a_lesion_was_missed_has_still_not_read_what_was_boxed_for_it(tmp_path):
    store = ReviewStore(tmp_path)
    store.proposals.add(proposed())
    store.lease("Rita")
    finish(store, "Rita", decide("2.25.1", "true"), missed := event("missed"))
    store.lease("Anna", may_box=True)
    store.reviews.take([event("box", box=list(box(75))), event("finish")], "Anna")
    for said, state in (
        (event("reopen"), "waiting"),
        (event("undo", of=missed["id"]), "waiting"),
        (event("finish"), "done"),
    ):
        store.reviews.take([said], "Rita")
        assert (study_state(store.review("1.2.3"), store.rules), was_boxed(store.review("1.2.3"))) == (state, False)
    store.close()


def test_a_study_boxed_by_hand_from_the_start_stays_so_with_a_lesion_that_was_missed(tmp_path):
    store = ReviewStore(tmp_path)
    store.proposals.add(proposed())
    store.take("Anna", Wish("1.2.3", "boxing"), may_box=True)
    store.reviews.take([*drawn_at(75), event("finish")], "Anna")
    assert was_boxed(store.review("1.2.3"))
    assert study_state(store.review("1.2.3"), store.rules) == "done"
    store.close()


def test_a_study_that_was_read_stays_done_when_a_new_model_proposes_nothing(tmp_path):
    store = ReviewStore(tmp_path)
    store.proposals.add(proposed())
    read_all(store, "Rita", c1="true")
    store.proposals.add(proposed(candidates=[], model_hash="b" * 64))
    assert study_state(store.review("1.2.3"), store.rules) == "done"
    store.close()


def test_unsure_is_not_inherited_and_what_readers_say_goes_before_what_is_inherited(tmp_path):
    store = ReviewStore(tmp_path)
    store.proposals.add(proposed())
    read_all(store, "Rita", c1="unsure")
    store.proposals.add(shifted(0))
    assert settled(store.review("1.2.3"), store.rules)["2.25.9"].state is State.UNREVIEWED
    read_all(store, "Rita", c9="false")
    assert settled(store.review("1.2.3"), store.rules)["2.25.9"].state is State.FALSE
    assert store.reviews.reading("1.2.3", "Rita").round == 2
    store.close()


def test_the_same_proposal_again_changes_nothing(store):
    first = store.proposals.latest("1.2.3").number
    assert store.proposals.add(proposed()) == first
    assert store.proposals.add(shifted(0)) > first
