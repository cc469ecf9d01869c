"""The numbers of the dashboard, from a harvest small enough to count by hand."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from hepatic.harvest import progress
from hepatic.harvest.leases import Wish, open_reading
from hepatic.harvest.store import ReviewStore
from tests.harvest.proposed import candidate, decide, event, proposed, read_all


@pytest.fixture
def store(tmp_path):
    made = ReviewStore(tmp_path)
    for n in range(4):
        made.proposals.add(proposed(f"1.{n}"))
    yield made
    made.close()


def timed(store, study, seconds, missed=False, again=False):
    if not again:
        store.lease("Rita", study)
    look = 1000 * seconds
    made = [
        decide(f"2.25.{n}", "false", study, shown_at=(n - 1) * look, decided_at=n * look, device="mouse")
        for n in (1, 2, 3)
    ]
    more = [event("missed", study)] if missed else []
    store.reviews.take([*made, *more, event("finish", study)], "Rita")


def reviews(store):
    return list(store.book.reviews().values())


def test_effort_is_what_was_measured_and_what_boxing_adds(store):
    timed(store, "1.0", 10)
    timed(store, "1.1", 30, missed=True)
    told = progress.effort(reviews(store), store.rules)
    assert (told["studies_read"], told["sent_to_boxing"], told["m"]["value"]) == (2, 1, 0.5)
    assert told["reading_minutes"] == pytest.approx((30 + 90) / 60 / 2)
    assert told["minutes_per_study"] == pytest.approx(1 + 15 * 0.5)
    assert told["minutes_saved"] == pytest.approx(2 * 15 - 2 - 15)


def test_what_nobody_timed_is_in_no_mean_and_counts_as_the_mean_in_what_was_saved(store):
    timed(store, "1.0", 10)
    read_all(store, "Rita", "1.1")
    told = progress.effort(reviews(store), store.rules)
    assert (told["studies_read"], told["reading_minutes"], told["minutes_spent"]) == (2, 0.5, 0.5)
    assert told["minutes_saved"] == pytest.approx(2 * 15 - 2 * 0.5)


def test_reading_boxing_and_hidden_repeats_are_told_apart_and_first_readings_count_for_a_study(store):
    timed(store, "1.0", 10)
    timed(store, "1.1", 30, missed=True)
    store.lease("Anna", "1.1", may_box=True)
    drawn = event("box", "1.1", box=[60, 60, 20, 80, 80, 40], shown_at=0, decided_at=240_000, device="mouse")
    store.reviews.take([drawn, event("finish", "1.1")], "Anna")
    with store.database.write() as connection:
        open_reading(connection, "Rita", Wish("1.0", "repeat"), store.clock())
    timed(store, "1.0", 20, again=True)
    told = progress.effort(reviews(store), store.rules)
    assert told["spent"] == {"reading": 2.0, "boxing": 4.0, "repeats": 1.0}
    assert (told["minutes_spent"], told["reading_minutes"]) == (7.0, 1.0)
    assert told["minutes_per_study"] == pytest.approx(1 + 15 * 0.5)
    assert told["minutes_saved"] == pytest.approx(2 * 15 - 15 - 2 - 1), "the boxing is in the 15 minutes"


def test_a_study_that_nobody_read_before_it_was_boxed_took_no_reading(store):
    timed(store, "1.0", 10)
    store.take("Anna", Wish("1.1", "boxing"), may_box=True)
    store.reviews.take([event("finish", "1.1")], "Anna")
    told = progress.effort(reviews(store), store.rules)
    assert (told["studies_read"], told["reading_minutes"]) == (2, 0.5)
    assert told["minutes_saved"] == pytest.approx(2 * 15 - 15 - 0.5)


def test_before_anything_is_read_nothing_is_claimed(store):
    told = progress.effort(reviews(store), store.rules)
    assert (told["m"]["value"], told["minutes_per_study"], told["minutes_saved"]) == (None, None, 0)
    assert progress.clicks([])["median_s"] is None


def test_clicks_are_told_by_device_and_day(store):
    timed(store, "1.0", 10)
    told = progress.clicks(r for review in reviews(store) for r in review.readings)
    assert (told["clicks"], told["median_s"], told["by_device"]["mouse"]["p90_s"]) == (3, 10, 10)
    assert len(told["by_day"]) == 1


def test_counts_tell_studies_and_candidates_apart(store):
    read_all(store, "Rita", "1.0", c1="true")
    store.lease("Rita", "1.1")
    told = progress.counts(reviews(store), store.leases.held(), store.rules)
    assert told["studies"] | {"done": 1, "reading": 1, "waiting": 2, "total": 4} == told["studies"]
    assert told["candidates"] | {"true": 1, "false": 2, "unreviewed": 9} == told["candidates"]


def test_the_outlook_sums_what_the_waiting_studies_will_take(store):
    read_all(store, "Rita", "1.0")
    told = progress.outlook(reviews(store), store.rules)
    chance = 1 - 0.1 * 0.2 * 0.3
    assert told["studies"] == 3
    assert told["minutes"] == pytest.approx(3 * (1 + 15 * (1 - chance)))


def test_hard_negatives_are_followed_from_model_to_model(store):
    read_all(store, "Rita", "1.0")
    snapshot = store.snapshot()
    from hepatic.harvest.snapshots import check_snapshot

    document = check_snapshot(snapshot.file)
    told = progress.negatives(reviews(store), store.rules, document)
    assert told | {"mined": 3, "used": 3, "untried": 3, "still_fires": 0} == told
    store.proposals.add(proposed("1.0", [candidate("2.25.9", 11, 0.4, "b" * 64)], model_hash="b" * 64))
    told = progress.negatives(reviews(store), store.rules, document)
    assert told | {"mined": 3, "untried": 0, "still_fires": 1, "silent": 2, "used_still_fires": 1} == told
    assert told["firing"] == [{"study": "1.0", "candidate": "2.25.1", "score": 0.9, "score_now": 0.4}]


@dataclass
class Version:
    version: str
    metrics: dict
    data: dict = field(default_factory=dict)
    created: str = "2026-11-21"
    state: str = "served"

    @property
    def card(self):
        return SimpleNamespace(data=self.data)


def test_versions_stand_at_the_minutes_that_were_reviewed_by_then(store):
    timed(store, "1.0", 20)
    snapshot = store.snapshot()
    first = Version("v1", {"p1td_1": 0.5, "cases": 20.0})
    second = Version("v2", {"froc": 0.7, "froc_low": 0.6, "froc_high": 0.8}, {"snapshot": snapshot.sha256})
    one, two = progress.curve([first, second], store.snapshots.all())
    assert (one["minutes"], two["minutes"], two["clicks"]) == (0.0, 1.0, 3)
    assert two["froc"] == {"value": 0.7, "low": 0.6, "high": 0.8}
    assert (one["p1td_1"]["low"], one["p1td_1"]["high"]) == pytest.approx((0.2993, 0.7007), abs=1e-4)
    assert two["p1td_1"] == {"value": None, "low": None, "high": None}
