"""Shared by the tests of sample data: one simulated patient, and the DICOM validator."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sample_data import dsa


@pytest.fixture(scope="session")
def angiogram() -> dsa.Angiogram:
    """Patient 1: two rich tumours and both confounders in draw 0, a breath that slips 6 px before the key frame."""
    return dsa.base(1)


@pytest.fixture(scope="session")
def run(angiogram: dsa.Angiogram) -> dsa.DSARun:
    return dsa.draw(angiogram)


@pytest.fixture(scope="session")
def dicom_errors(tool) -> Callable[[Path], list[str]]:
    """Give the error lines `dciodvfy -new` prints about a file."""
    dciodvfy = tool("dciodvfy", "dicom3tools")

    def errors(path: Path) -> list[str]:
        done = subprocess.run([dciodvfy, "-new", str(path)], capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        if not any(line in ("XAImage", "USImage", "USMultiFrameImage") for line in lines):
            return [f"dciodvfy did not recognise the image: {lines}"]
        return [line for line in lines if line.startswith("Error")]

    return errors
