"""Agreement against figures from the literature and by hand; drift from repeats and known cases."""

import pytest

from hepatic.harvest.agreement import agreement, cohen_kappa, drift, fleiss_kappa, gwet_ac1, raw_agreement
from hepatic.harvest.leases import Wish
from hepatic.harvest.rules import Rules
from hepatic.harvest.store import ReviewStore
from tests.harvest.proposed import box, decide, event, finish, proposed, read_all


def table(a, b, c, d):
    """Pairs of a 2 x 2 table: both yes, only the first yes, only the second yes, both no."""
    return [("y", "y")] * a + [("y", "n")] * b + [("n", "y")] * c + [("n", "n")] * d


def test_cohen_kappa_of_the_textbook_table():
    assert cohen_kappa(table(20, 5, 10, 15)) == pytest.approx(0.4)


def test_fleiss_kappa_of_the_example_of_fleiss_1971_as_wikipedia_has_it():
    rows = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    ratings = [[str(word) for word, count in enumerate(row) for _ in range(count)] for row in rows]
    assert fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)


def test_ac1_stays_sensible_where_nearly_all_say_the_same():
    pairs = table(118, 5, 2, 0)  # Gwet 2008, table 1: kappa is below 0 although 94 % agree
    assert raw_agreement(pairs) == pytest.approx(118 / 125)
    assert cohen_kappa(pairs) == pytest.approx(-0.0234, abs=5e-4)
    assert gwet_ac1(pairs, categories=2) == pytest.approx(0.9408, abs=5e-4)


def test_without_two_readers_there_is_no_agreement_to_tell():
    assert (raw_agreement([["y"]]), fleiss_kappa([["y"]]), gwet_ac1([]), cohen_kappa([])) == (None,) * 4
    assert cohen_kappa(table(3, 0, 0, 0)) is None


@pytest.fixture
def store(tmp_path):
    made = ReviewStore(tmp_path, rules=Rules(readers=2))
    made.proposals.add(proposed())
    yield made
    made.close()


def test_only_finished_readings_are_compared(store):
    read_all(store, "Rita", c1="true", c2="true")
    store.lease("Otto", "1.2.3")
    store.reviews.take([decide(f"2.25.{n}", v) for n, v in ((1, "true"), (2, "false"), (3, "false"))], "Otto")
    assert agreement(store.book.reviews().values()).candidates == 0
    store.reviews.take([event("finish")], "Otto")
    found = agreement(store.book.reviews().values())
    assert (found.candidates, found.raw) == (3, pytest.approx(2 / 3))
    assert found.cohen == {("Otto", "Rita"): (pytest.approx(0.4), 3)}


def test_hidden_repeats_and_known_cases_measure_a_reader(store):
    store.know("1.2.3", [box(10)])  # candidate 1 is a lesion, 2 and 3 are not
    read_all(store, "Rita", c1="true", c2="true")
    store.leases.claim_one("Rita", Wish("1.2.3", "repeat"))
    read_again = [decide(f"2.25.{n}", "true") for n in (1, 2, 3)]
    store.reviews.take([*read_again, event("finish")], "Rita")
    found = drift("Rita", store.book.reviews().values())
    assert (found.repeats, found.same) == (3, pytest.approx(2 / 3))
    assert (found.known, found.right, found.accepted_wrongly, found.rejected_wrongly) == (6, 0.5, 3, 0)
    assert (found.right_before, found.right_lately) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_a_hidden_repeat_does_not_change_what_holds(store):
    from hepatic.harvest.verdicts import settled

    read_all(store, "Rita", c1="true")
    store.leases.claim_one("Rita", Wish("1.2.3", "repeat"))
    finish(store, "Rita", decide("2.25.1", "false"))
    assert settled(store.review("1.2.3"), store.rules)["2.25.1"].state == "true"
