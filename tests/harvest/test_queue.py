"""Who is given what next: quick studies first, known cases and hidden repeats among them."""

import pytest

from hepatic.harvest.agreement import drift
from hepatic.harvest.lesson import lesson
from hepatic.harvest.progress import effort, outlook
from hepatic.harvest.queue import order_of
from hepatic.harvest.rules import Rules
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study_state import study_state
from hepatic.harvest.triage import Calibration, calibrated, chance_of_a_hit, expected_minutes
from tests.harvest.proposed import candidate, decide, event, finish, proposed, read_all


def opened(tmp_path, studies=(), **rules):
    store = ReviewStore(tmp_path, rules=Rules(**rules))
    for uid, scores in studies:
        store.proposals.add(proposed(uid, [f"2.25.{n}" for n in range(1, len(scores) + 1)], scores=list(scores)))
    return store


def read_next(store, reader):
    lease = store.lease(reader)
    if lease is not None:
        read_all(store, reader, lease.study) if store.reviews.reading(lease.study, reader).kind == "first" else None
    return lease


def test_the_study_that_is_expected_to_take_least_comes_first(tmp_path):
    store = opened(tmp_path, [("low", [0.3]), ("high", [0.9]), ("several", [0.6, 0.6])])
    assert [place.review.uid for place in store.queue("Rita")] == ["high", "several", "low"]
    assert store.lease("Rita").study == "high"
    assert store.upcoming("Rita") == ["high", "several", "low"]
    store.close()


def test_a_study_without_a_likely_candidate_is_better_boxed_at_once(tmp_path):
    store = opened(tmp_path, [("none", []), ("some", [0.9]), ("hardly", [0.01])])
    assert [place.state for place in store.queue("Anna", may_box=True)] == ["waiting", "boxing", "boxing"]
    assert outlook(list(store.book.reviews().values()), store.rules)["straight_to_boxing"] == 2
    store.close()


def test_who_may_box_is_given_it_to_box_and_the_study_is_done_then(tmp_path):
    store = opened(tmp_path, [("hardly", [0.01])])
    assert store.queue("Rita")[0].state == "waiting"
    lease = store.lease("Anna", may_box=True)
    assert store.reviews.reading("hardly", "Anna").kind == "boxing"
    drawn = event("box", "hardly", box=[60, 60, 20, 80, 80, 40])
    store.reviews.take([decide("2.25.1", "false", "hardly"), drawn, event("finish", "hardly")], "Anna")
    review = store.review(lease.study)
    assert study_state(review, store.rules) == "done"
    learnt = lesson(review, store.rules)
    assert ([one.source for one in learnt.boxes], len(learnt.negatives), learnt.complete) == (["manual"], 1, True)
    assert effort([review], store.rules)["m"]["value"] == 1.0
    assert store.lease("Rita") is None
    store.close()


def test_expected_minutes_are_reading_and_the_boxing_that_may_follow():
    rules = Rules(manual_minutes=15, straight_to_boxing=0.05)
    assert expected_minutes(0.8, rules=rules) == pytest.approx(1 + 3)
    assert expected_minutes(0.0, rules=rules) == pytest.approx(15)
    assert chance_of_a_hit([0.5, 0.5], Calibration()) == pytest.approx(0.75)
    assert chance_of_a_hit([], Calibration()) == 0.0


def test_chances_rise_with_the_score_as_clicks_taught():
    scores = [n / 100 for n in range(100)]
    accepted = [n % 4 == 0 if n < 50 else n % 4 != 0 for n in range(100)]
    chances = calibrated(scores, accepted)([0.0, 0.25, 0.75, 0.99, 5.0])
    assert chances == sorted(chances)
    assert chances[1] == pytest.approx(0.25, abs=0.1)
    assert chances[2] == pytest.approx(0.75, abs=0.1)
    assert 0 < chances[0] < chances[-1] < 1


def test_a_few_clicks_teach_nothing():
    assert calibrated([0.1] * 10, [True] * 10).clicks == 0
    assert calibrated([0.1] * 100, [True] * 100).clicks == 0


def test_calibration_reads_the_verdicts_of_the_model_whose_scores_they_are(tmp_path):
    from hepatic.harvest.triage import calibrate

    store = opened(tmp_path, [(f"1.{n}", [0.9, 0.2]) for n in range(20)])
    for n in range(20):
        read_all(store, "Rita", f"1.{n}", c1="true")
    reviews = store.book.reviews().values()
    assert calibrate(reviews, "a" * 64).clicks == 40
    assert calibrate(reviews, "a" * 64)([0.2])[0] < 0.05 < 0.95 < calibrate(reviews, "a" * 64)([0.9])[0]
    assert calibrate(reviews, "b" * 64).clicks == 0
    store.close()


def test_known_cases_are_mixed_in_one_of_so_many(tmp_path):
    store = opened(tmp_path, [(f"1.{n}", [0.5]) for n in range(40)], known_every=5, repeat_every=0)
    known = [f"1.{n}" for n in range(30, 40)]
    for uid in known:
        store.know(uid, [])
    order = [read_next(store, "Rita").study for _ in range(20)]
    assert [sum(uid in known for uid in order[n : n + 5]) for n in (0, 5, 10, 15)] == [1, 1, 1, 1]
    places = [n % 5 for n, uid in enumerate(order) if uid in known]
    assert len(set(places)) > 1, "a known case could be told by its place"
    store.close()


def test_a_hidden_repeat_comes_once_in_so_many_and_not_at_once(tmp_path):
    store = opened(tmp_path, [(f"1.{n}", [0.5]) for n in range(24)], known_every=0, repeat_every=8, repeat_after=3)
    order, repeats = [], []
    for _ in range(26):
        lease = store.lease("Rita")
        kind = store.reviews.reading(lease.study, "Rita").kind
        if kind == "repeat":
            assert lease.study in order[:-3]
            assert lease.round == 2
            repeats.append(lease.study)
        order.append(lease.study)
        finish(store, "Rita", study=lease.study)
    assert 2 <= len(repeats) <= 3
    assert len(set(repeats)) == len(repeats)
    store.close()


def test_a_hidden_repeat_after_a_retrain_asks_what_was_asked_before(tmp_path):
    store = opened(tmp_path, [("1.1", [0.5]), ("1.2", [])], known_every=0, repeat_every=1, repeat_after=0)
    for uid in ("1.1", "1.2"):  # there is nothing to judge again in the second
        read_all(store, "Rita", uid, c1="true")
    later = [candidate("2.25.5", 11, model_hash="b" * 64), candidate("2.25.6", 60, model_hash="b" * 64)]
    store.proposals.add(proposed("1.1", later, model_hash="b" * 64))
    store.proposals.add(proposed("1.2", [], model_hash="b" * 64))

    def given():
        review = store.review(store.lease("Rita").study)
        reading = review.of("Rita")[-1]
        return reading.kind, review.uid, order_of(review, reading, store.rules)

    assert given() == ("repeat", "1.1", ["2.25.1"])
    store.reviews.take([decide("2.25.1", "false", "1.1"), event("finish", "1.1")], "Rita")
    found = drift("Rita", store.book.reviews().values())
    assert (found.repeats, found.same) == (1, 0.0)
    assert given() == ("first", "1.1", ["2.25.6"])
    finish(store, "Rita", study="1.1")
    assert store.lease("Rita") is None
    store.close()


def test_each_of_two_readers_reads_and_a_third_is_not_asked(tmp_path):
    store = opened(tmp_path, [("1.1", [0.5])], readers=2)
    for reader in ("Rita", "Otto"):
        assert read_next(store, reader).study == "1.1"
    assert store.lease("Olga") is None
    assert [store.queue(name)[0].state for name in ("Rita", "Olga")] == ["finished", "done"]
    store.close()


def test_who_opens_a_study_by_name_after_a_hidden_repeat_sees_and_corrects_what_counts(tmp_path):
    store = opened(tmp_path, [("1.1", [0.5])], known_every=0, repeat_every=1, repeat_after=0)
    read_all(store, "Rita", "1.1", c1="true")
    store.lease("Rita")
    finish(store, "Rita", study="1.1")
    assert [(one.kind, one.verdict("2.25.1")) for one in store.review("1.1").of("Rita")] == [
        ("first", "true"), ("repeat", "false")
    ]  # fmt: skip
    for _ in range(2):
        assert store.lease("Rita", "1.1").round == 1
    correction = [event("reopen", "1.1"), decide("2.25.1", "false", "1.1"), event("finish", "1.1")]
    taken, _ = store.reviews.take(correction, "Rita")
    assert taken[-1].finished
    assert [one.source for one in lesson(store.review("1.1"), store.rules).boxes] == []
    assert len(store.review("1.1").of("Rita")) == 2
    store.close()


def test_the_end_of_a_hidden_repeat_is_taken_back_like_any_other(tmp_path):
    store = opened(tmp_path, [("1.1", [0.5])], known_every=0, repeat_every=1, repeat_after=0)
    read_all(store, "Rita", "1.1", c1="true")
    store.lease("Rita")
    *_, end = finish(store, "Rita", study="1.1")
    again = [event("undo", "1.1", of=end["id"]), decide("2.25.1", "true", "1.1"), event("finish", "1.1")]
    taken, _ = store.reviews.take(again, "Rita")
    assert ([one.status for one in taken], taken[-1].finished) == (["stored"] * 3, True)
    assert drift("Rita", store.book.reviews().values()).same == 1.0
    store.close()


def test_who_has_boxed_a_study_opens_their_boxes_again_by_its_name(tmp_path):
    store = opened(tmp_path, [("hardly", [0.01]), ("missed", [0.9])])
    store.lease("Anna", "hardly", may_box=True)
    store.reviews.take([event("finish", "hardly")], "Anna")
    read_all(store, "Anna", "missed")
    store.reviews.take([event("reopen", "missed"), event("missed", "missed"), event("finish", "missed")], "Anna")
    assert store.lease("Anna", "missed", may_box=True).round == 2
    store.reviews.take([event("finish", "missed")], "Anna")
    for study, round in (("hardly", 1), ("missed", 2)):
        assert store.lease("Anna", study, may_box=True).round == round
        assert store.reviews.take([event("reopen", study)], "Anna")[0][0].status == "stored"
        assert [one.kind for one in store.review(study).of("Anna")][-1] == "boxing"
    store.close()
