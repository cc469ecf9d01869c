"""Shared by the tests of simulated CT: one study of a patient with several kinds of lesions."""

import pytest

from sample_data import ct


@pytest.fixture(scope="session")
def study() -> ct.CTStudy:
    """Patient 7: an HCC of 36 mm, an atypical one, cysts, focal differences and a perfusion difference."""
    return ct.simulate(7)
