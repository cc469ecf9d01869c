"""What all tests share: tools that may be missing, and a small set of phantoms."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


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
