"""Shared by the tests of simulated CT: one study of a patient with several kinds of lesions."""

import pytest

from sample_data import ct


@pytest.fixture(scope="session")
def study() -> ct.CTStudy:
    """Patient 7: three metastases, an HCC, a cyst and focal differences."""
    return ct.simulate(7)
