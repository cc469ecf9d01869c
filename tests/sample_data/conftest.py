"""Shared by the tests of sample data: one simulated patient."""

import pytest

from sample_data import dsa


@pytest.fixture(scope="session")
def angiogram() -> dsa.Angiogram:
    """Patient 1: two rich tumours and both confounders in draw 0, a breath that slips 6 px before the key frame."""
    return dsa.base(1)


@pytest.fixture(scope="session")
def run(angiogram: dsa.Angiogram) -> dsa.DSARun:
    return dsa.draw(angiogram)
