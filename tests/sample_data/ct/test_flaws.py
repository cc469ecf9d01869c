import numpy as np
import pytest

from hepatic.errors import BadInputError
from sample_data import ct
from sample_data.ct.flaws import DESCRIPTIONS


def test_nothing_is_wrong_unless_asked_for() -> None:
    for seed in range(50):
        flaws = ct.draw_flaws(seed, 0, ct.Odds())
        assert flaws == ct.Flaws()
        assert flaws.phases == ct.PHASES
        assert not flaws.swapped
        assert [flaws.label(phase).number for phase in ct.PHASES] == [2, 3, 4, 5]


def test_flaws_come_as_often_as_asked_for() -> None:
    drawn = [ct.draw_flaws(seed, 0, ct.Odds(missing=0.3, swapped=0.2, misnamed=0.5)) for seed in range(600)]
    assert np.mean([flaws.missing is not None for flaws in drawn]) == pytest.approx(0.3, abs=0.06)
    assert np.mean([flaws.swapped for flaws in drawn]) == pytest.approx(0.2, abs=0.06)
    assert np.mean([flaws.naming != "clear" for flaws in drawn]) == pytest.approx(0.5, abs=0.06)
    assert {flaws.missing for flaws in drawn} == {None, *ct.PHASES}
    assert {flaws.naming for flaws in drawn} == set(DESCRIPTIONS)


def test_a_flaw_can_be_had_in_every_study() -> None:
    for seed in range(20):
        flaws = ct.draw_flaws(seed, 0, ct.Odds(missing=1, swapped=1, misnamed=1))
        assert len(flaws.phases) == 3
        assert flaws.swapped
        assert flaws.naming != "clear"


def test_asking_for_one_flaw_changes_no_other() -> None:
    for seed in range(50):
        both = ct.draw_flaws(seed, 0, ct.Odds(missing=0.5, swapped=0.5))
        assert ct.draw_flaws(seed, 0, ct.Odds(missing=0.5)).missing == both.missing
        assert ct.draw_flaws(seed, 0, ct.Odds(swapped=0.5)).order == both.order


def test_series_numbers_stay_unique_and_bad_names_do_not_tell_the_phase() -> None:
    for seed in range(50):
        flaws = ct.draw_flaws(seed, 0, ct.Odds(swapped=1))
        assert sorted(flaws.order.values()) == [2, 3, 4, 5]
    for naming in ("meaningless", "misleading"):
        for phase in ct.PHASES:
            assert DESCRIPTIONS[naming][phase] != DESCRIPTIONS["clear"][phase]


def test_a_share_beyond_1_is_refused() -> None:
    with pytest.raises(BadInputError, match="missing"):
        ct.Odds(missing=1.5)
