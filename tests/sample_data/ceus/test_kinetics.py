import numpy as np
import pytest

from sample_data.ceus import draw_patient
from sample_data.ceus.kinetics import BELOW, LIVER, washing_out
from tests.sample_data.probes import auc

TIMES_S = np.arange(0, 300, 0.5)


@pytest.mark.parametrize("onset_s", [30.0, 60.0, 95.0, 180.0])
def test_a_lesion_falls_below_the_liver_when_it_should(onset_s: float) -> None:
    lesion = washing_out(onset_s, rise_s=9, floor=0.07, peak_db=6).at(TIMES_S)
    below = TIMES_S[(lesion < BELOW * LIVER.at(TIMES_S)) & (TIMES_S > 12)]
    assert below[0] == pytest.approx(onset_s, abs=1)


def test_a_lesion_fills_before_the_liver_and_higher() -> None:
    lesion, liver = washing_out(95, rise_s=9, floor=0.07, peak_db=6).at(TIMES_S), LIVER.at(TIMES_S)
    assert TIMES_S[lesion.argmax()] < TIMES_S[liver.argmax()]
    assert lesion.max() > 1.5 * liver.max()
    assert lesion[0] == liver[0] == 0


def test_the_onset_of_washout_tells_hcc_as_well_as_it_should() -> None:
    """Bayes AUC of two lognormals: Phi((ln 95 - ln 38) / hypot(.65, .5)) = .87."""
    drawn = [draw_patient(seed) for seed in range(1500)]
    assert auc([one.washout_onset_s for one in drawn], [one.label == "hcc" for one in drawn]) == pytest.approx(
        0.87, abs=0.02
    )
