import numpy as np
import pytest

from sample_data.dsa import kinetics

TIME_S = np.arange(0, 15, 0.01)


def test_a_vessel_is_full_during_the_bolus_and_empty_before_and_after() -> None:
    filled = kinetics.bolus(TIME_S, 0.5, 3.0)
    assert filled[TIME_S < 0.9].max() < 1e-3
    assert filled[(TIME_S > 2.6) & (TIME_S < 3.4)].min() > 0.98
    assert filled[TIME_S > 7].max() < 1e-3


def test_the_liver_stains_most_when_the_key_frame_is_due() -> None:
    stain = kinetics.parenchyma(TIME_S)
    assert TIME_S[stain.argmax()] == pytest.approx(6.8, abs=0.02)
    assert stain.max() == pytest.approx(1, abs=1e-4)


def test_a_pool_is_full_when_a_tumour_has_hardly_begun() -> None:
    tumour = kinetics.tumour(TIME_S, delay_s=1.7, rise_s=2.5, washout_per_s=0.06)
    pool = kinetics.pool(TIME_S, delay_s=0.4, rise_s=0.35, decay_per_s=0.04)
    at = np.searchsorted(TIME_S, [2.5, 6.75])
    assert tumour[at[0]] == 0
    assert tumour[at[1]] > 0.85
    assert pool[at[0]] > 0.9


def test_a_tumour_washes_out_slowly() -> None:
    tumour = kinetics.tumour(TIME_S, delay_s=1.7, rise_s=2.5, washout_per_s=0.06)
    assert 6 < TIME_S[tumour.argmax()] < 9
    assert tumour[-1] > 0.6
