import numpy as np
import pytest

from sample_data.ct import kinetics

PHASES_S = np.array([35.0, 70.0, 180.0])
TABLE_HU = {
    "liver": (20, 60, 42),
    "spleen": (102, 78, 50),
    "hcc": (58, 58, 34),
    "atypical_hcc": (25, 45, 32),
    "hcc_capsule": (18, 45, 58),
    "icc": (10, 22, 40),
    "icc_rim": (42, 52, 48),
    "metastasis": (8, 15, 16),
    "metastasis_rim": (32, 42, 36),
    "fnh": (67, 61, 44),
    "fnh_scar": (15, 35, 52),
    "adenoma": (24, 54, 40),
    "haemangioma": (150, 110, 74),
    "cyst": (0, 0, 0),
}


@pytest.mark.parametrize("tissue", TABLE_HU)
def test_a_tissue_enhances_as_the_table_says(tissue: str) -> None:
    assert kinetics.enhancement(tissue, PHASES_S) == pytest.approx(TABLE_HU[tissue], abs=0.5)


def test_vessels_enhance_as_the_table_says() -> None:
    assert kinetics.aorta(PHASES_S) == pytest.approx((310, 120, 82), abs=4)
    assert kinetics.portal_vein(PHASES_S) == pytest.approx((92, 135, 82), abs=4)


def test_nothing_enhances_before_the_injection() -> None:
    before = np.array([-60.0, 0.0])
    assert kinetics.aorta(before).tolist() == kinetics.portal_vein(before).tolist() == [0, 0]
    assert all(kinetics.enhancement(tissue, before).tolist() == [0, 0] for tissue in kinetics.TISSUES)


def test_the_aorta_fills_before_the_portal_vein() -> None:
    time_s = np.arange(0, 200, 0.5)
    first, then = time_s[kinetics.aorta(time_s).argmax()], time_s[kinetics.portal_vein(time_s).argmax()]
    assert 20 < first < 45
    assert first + 8 < then < 75
