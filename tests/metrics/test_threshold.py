import numpy as np
import pytest

from hepatic.errors import BadInputError
from hepatic.metrics.threshold import choose_threshold

# two studies: the first has two lesions, found by .9 and .4; the second has one, found by .6 and, worse, by .2
STUDIES = [
    (np.array([0.9, 0.5, 0.4]), np.array([[1, 0], [0, 0], [0, 1]], bool)),
    (np.array([0.6, 0.3, 0.2]), np.array([[1], [0], [1]], bool)),
]


def test_the_largest_threshold_that_still_finds_every_lesion_is_the_lowest_of_their_best_scores():
    chosen = choose_threshold(STUDIES, keep=1.0)
    assert chosen.score == 0.4
    assert chosen.sensitivity == chosen.sensitivity_without == 1.0
    assert (chosen.cards, chosen.cards_without) == (2.0, 3.0)


def test_giving_up_a_third_of_the_lesions_shows_fewer_cards():
    chosen = choose_threshold(STUDIES, keep=0.6)
    assert chosen.score == 0.6
    assert chosen.sensitivity == pytest.approx(2 / 3)
    assert chosen.cards == 1.0


def test_a_lesion_nothing_hits_counts_against_the_sensitivity_but_sets_no_threshold():
    missed = (np.array([0.1]), np.array([[0]], bool))
    chosen = choose_threshold([*STUDIES, missed], keep=1.0)
    assert chosen.score == 0.4
    assert chosen.sensitivity == pytest.approx(3 / 4)


def test_a_study_without_lesions_counts_for_the_cards():
    healthy = (np.array([0.95]), np.zeros((1, 0), bool))
    assert choose_threshold([*STUDIES, healthy], keep=1.0).cards == pytest.approx(5 / 3)


@pytest.mark.parametrize("keep", [0.0, 1.1])
def test_a_share_out_of_range_is_refused(keep):
    with pytest.raises(BadInputError):
        choose_threshold(STUDIES, keep=keep)


def test_gold_data_on_which_nothing_was_found_are_refused():
    with pytest.raises(BadInputError, match="none over 1 lesions"):
        choose_threshold([(np.array([0.5]), np.array([[0]], bool))])
