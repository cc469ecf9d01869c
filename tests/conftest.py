"""What all tests share: tools that may be missing, and the DICOM validator."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sample_data.pacs.orthanc import Orthanc, orthanc_problem


def missing(what: str, fix: str) -> None:
    """Skip, visibly, on a user's machine; fail where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing. {fix}")
    pytest.skip(f"{what} is missing. {fix}")


@pytest.fixture(scope="session")
def tool() -> Callable[[str, str], Path]:
    """Find a program, or skip with the command that installs it."""

    def find(name: str, package: str) -> Path:
        found = shutil.which(name)
        if found is None:
            missing(name, f"Install it: apt-get install {package}")
        return Path(str(found))

    return find


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


@pytest.fixture(scope="module")
def orthanc() -> Iterator[Orthanc]:
    """A real PACS of this file's own, empty at first, which its tests leave running; or skip with what it lacks."""
    if problem := orthanc_problem():
        missing("Orthanc", problem)
    with Orthanc() as pacs:
        yield pacs
