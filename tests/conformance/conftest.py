"""One small phantom of each modality a task may take."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from sample_data.write import write_dsa


@dataclass(frozen=True)
class Study:
    """A phantom on disk and its truth."""

    image: Path
    truth: Path


@pytest.fixture(scope="session")
def studies(tmp_path_factory):
    """By modality: two patients each."""
    out = tmp_path_factory.mktemp("phantoms")
    return {"XA": [Study(s.image, s.segmentation) for s in write_dsa(out, 2, seed=40, size="small")]}
