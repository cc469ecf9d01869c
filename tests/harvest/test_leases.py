"""Leases: one reader at a time, given back, ended, taken over."""

import threading

import pytest

from hepatic.errors import ConflictError, NotFoundError
from hepatic.harvest.leases import shuffled
from hepatic.harvest.queue import Place
from hepatic.harvest.rules import Rules
from hepatic.harvest.store import ReviewStore
from tests.harvest.proposed import decide, event, finish, proposed, read_all


@pytest.fixture
def clock():
    return [1000.0]


@pytest.fixture
def store(tmp_path, clock):
    made = ReviewStore(tmp_path, rules=Rules(lease_s=60), clock=lambda: clock[0])
    made.proposals.add(proposed())
    yield made
    made.close()


def test_a_study_that_one_reads_is_not_given_to_another(store):
    assert store.lease("Rita").study == "1.2.3"
    assert store.lease("Otto") is None
    with pytest.raises(ConflictError, match="another reader"):
        store.lease("Otto", "1.2.3")


def test_asking_twice_gives_the_same_lease(store):
    assert store.lease("Rita").id == store.lease("Rita").id


def test_what_was_given_back_is_another_s_to_take(store):
    store.leases.give_back(store.lease("Rita").id, "Rita")
    assert store.lease("Otto").study == "1.2.3"


def test_nobody_gives_back_another_s_lease(store):
    store.leases.give_back(store.lease("Rita").id, "Otto")
    assert store.lease("Otto") is None


def test_a_lease_that_has_run_out_is_taken_over_and_cannot_be_renewed_then(store, clock):
    lease = store.lease("Rita")
    clock[0] += 59
    assert store.lease("Otto") is None
    assert store.leases.renew(lease.id, "Rita").expires == clock[0] + 60
    clock[0] += 61
    assert store.lease("Otto").study == "1.2.3"
    with pytest.raises(NotFoundError, match="taken over"):
        store.leases.renew(lease.id, "Rita")


def test_a_lease_that_ran_out_while_nobody_wanted_the_study_goes_on(store, clock):
    lease = store.lease("Rita")
    clock[0] += 600
    assert store.leases.renew(lease.id, "Rita").id == lease.id


def test_of_many_who_ask_at_once_each_study_goes_to_one(tmp_path):
    store = ReviewStore(tmp_path)
    for n in range(5):
        store.proposals.add(proposed(f"1.{n}"))
    given, barrier = [], threading.Barrier(8)

    def ask(reader):
        barrier.wait()
        given.append((reader, store.lease(reader)))

    threads = [threading.Thread(target=ask, args=(f"R{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    studies = [lease.study for _, lease in given if lease is not None]
    assert sorted(studies) == [f"1.{n}" for n in range(5)]
    store.close()


@pytest.mark.parametrize("said", ["done", "missed"])
def test_what_another_finishes_while_one_asks_is_not_given_out_again(store, monkeypatch, said):
    queue = store.queue

    def finished_meanwhile(*asked, **how):
        places = queue(*asked, **how)
        monkeypatch.setattr(store, "queue", queue)
        store.lease("Otto", "1.2.3")
        finish(store, "Otto", *([event("missed")] if said == "missed" else []))
        return places

    monkeypatch.setattr(store, "queue", finished_meanwhile)
    assert store.lease("Rita", may_box=True) is None
    assert store.review("1.2.3").of("Rita") == []
    monkeypatch.setattr(store, "queue", lambda *_, **__: [Place(store.review("1.2.3"), "waiting", 1.0, 1.0)])
    with pytest.raises(ConflictError, match="enough readers"):
        store.lease("Rita", "1.2.3", may_box=True)
    assert store.review("1.2.3").of("Rita") == []


def test_a_reading_that_was_begun_goes_on_where_it_was(store, clock):
    store.lease("Rita")
    store.reviews.take([decide("2.25.1", "true")], "Rita")
    clock[0] += 600
    store.proposals.add(proposed("9.9"))
    lease = store.lease("Rita")
    assert (lease.study, lease.round) == ("1.2.3", 1)
    assert store.reviews.reading("1.2.3", "Rita").verdict("2.25.1") == "true"


def test_finishing_gives_the_study_back_and_asking_for_it_again_begins_no_new_round(store):
    read_all(store, "Rita")
    assert store.leases.held() == {}
    assert store.lease("Rita") is None
    assert store.lease("Rita", "1.2.3").round == 1
    assert store.reviews.take([event("reopen")], "Rita")[0][0].status == "stored"


def test_the_order_of_candidates_is_random_and_the_same_each_time():
    uids = [f"2.25.{n}" for n in range(10)]
    order = shuffled(uids, study="1.2.3", reader="Rita", round=1)
    assert order == shuffled(uids[::-1], study="1.2.3", reader="Rita", round=1)
    assert sorted(order) == sorted(uids) != order
    assert order != shuffled(uids, study="1.2.3", reader="Otto", round=1)
    assert order != shuffled(uids, study="1.2.3", reader="Rita", round=2)
