"""Which image comes next."""

import math

import pytest

from hepatic.active.candidate import Candidate, Listed, candidate, taken
from hepatic.active.choose import choose_first, choose_random, choose_uncertain
from hepatic.store.handed import Handed
from hepatic.store.score import Score, read_scores, write_score


def scored(image_id: str, score: float, *, version: int | str = 2, model: str = "liver") -> Candidate:
    return Candidate(image_id, (Score(model, version, score),))


PLAIN = Listed([Candidate("a"), Candidate("b"), Candidate("c")])


def test_first_takes_the_order_it_is_given() -> None:
    assert choose_first(PLAIN).id == "a"  # type: ignore[union-attr]


def test_random_repeats_a_seed_and_reaches_every_image() -> None:
    assert {choose_random(PLAIN, seed=s).id for s in range(50)} == {"a", "b", "c"}  # type: ignore[union-attr]
    assert choose_random(PLAIN, seed=3) == choose_random(PLAIN, seed=3)
    assert len({choose_random(PLAIN).id for _ in range(100)}) > 1  # type: ignore[union-attr]


def test_the_served_model_s_highest_score_wins_over_higher_scores_of_an_older_one() -> None:
    choice = choose_uncertain(
        Listed([scored("a", 0.2), scored("b", 0.4), scored("c", 9, version=1)]), served={"liver": 2}
    )
    assert choice is not None
    assert (choice.id, choice.score, choice.reason) == ("b", 0.4, "highest uncertainty of liver version 2")


def test_older_scores_count_while_there_are_no_others() -> None:
    choice = choose_uncertain(Listed([Candidate("a"), scored("b", 0.4, version=1)]), served={"liver": 2})
    assert choice is not None
    assert choice.id == "b"
    assert "not the one served" in choice.reason


def test_without_scores_the_first_is_taken_and_the_answer_says_so() -> None:
    choice = choose_uncertain(PLAIN, served={"liver": 2})
    assert choice is not None
    assert (choice.id, choice.score, choice.reason) == ("a", None, "first in order: no image is scored yet")
    only_other = choose_uncertain(Listed([Candidate("a"), scored("b", 1, model="dsa")]), served={}, model="liver")
    assert only_other is not None
    assert only_other.id == "a"


def test_two_models_scores_are_kept_side_by_side_and_never_compared() -> None:
    both = [
        Candidate("a", (Score("dsa_ltdnet", 1, 0.2), Score("dsa_unet", 1, 0.9))),
        Candidate("b", (Score("dsa_ltdnet", 1, 0.3), Score("dsa_unet", 1, 0.1))),
    ]
    served = {"dsa_ltdnet": 1, "dsa_unet": 1}
    assert choose_uncertain(Listed(both), served=served).id == "b"  # type: ignore[union-attr]
    assert choose_uncertain(Listed(both), served=served, model="dsa_unet").id == "a"  # type: ignore[union-attr]


def test_the_first_of_equal_scores_is_taken() -> None:
    assert choose_uncertain(Listed([scored("b", 1), scored("a", 1)]), served={"liver": 2}).id == "b"  # type: ignore[union-attr]


def test_there_is_nothing_to_choose_when_everything_is_labelled() -> None:
    assert choose_first(Listed([])) is None
    assert choose_random(Listed([])) is None
    assert choose_uncertain(Listed([]), served={}) is None
    assert taken([], client="me", now=0, within_seconds=60) == set()


def test_what_another_client_was_handed_is_kept_for_it_a_while() -> None:
    both = [Candidate("a", handed=(Handed(at=1000, client="ann"),)), Candidate("b")]
    assert taken(both, client="bob", now=1010, within_seconds=60) == {"a"}
    assert taken(both, client="ann", now=1010, within_seconds=60) == set()
    assert taken(both, client="bob", now=1060, within_seconds=60) == set()


def test_a_client_without_an_id_is_another_one_every_time() -> None:
    both = [Candidate("a", handed=(Handed(at=1000, client=""),)), Candidate("b")]
    assert taken(both, client="", now=1010, within_seconds=60) == {"a"}


def test_scores_and_hand_outs_are_read_from_the_image_s_info() -> None:
    info = {**write_score(Score("liver", 3, 0.5)), "strategy": {"first": {"ts": 5, "client_id": "ann"}, "x": "odd"}}
    assert candidate("a", info) == Candidate("a", (Score("liver", 3, 0.5),), (Handed(5.0, "ann"),))


@pytest.mark.parametrize(
    "value",
    [None, 0.5, "x", {}, {"version": 1}, {"version": 1, "score": math.nan}, {"version": 1, "score": True},
     {"version": None, "score": 1}, {"version": 1, "score": 10**400}],
)  # fmt: skip
def test_what_is_no_score_is_passed_over(value: object) -> None:
    assert read_scores({"uncertainty.m": value}) == ()


def test_a_score_that_is_no_number_is_not_written() -> None:
    with pytest.raises(ValueError, match="finite"):
        write_score(Score("m", 1, math.inf))
