"""One small phantom of each modality a task may take."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sample_data.ceus.show import Style
from sample_data.ceus.write import write_ceus
from sample_data.ct.write import write_ct
from sample_data.write import write_dsa

BOTH = Style(colour=False, side_by_side=True, even=True)
"""A screen with contrast and B-mode, so that models of either take it."""


@dataclass(frozen=True)
class Study:
    """A phantom on disk and its truth; of a CT, the venous phase, and all phases by name; a contrast cine."""

    patient: str
    image: Path
    truth: Path
    phases: dict[str, Path] = field(default_factory=dict)


@pytest.fixture(scope="session")
def studies(tmp_path_factory):
    """By modality: two patients each."""
    out = tmp_path_factory.mktemp("phantoms")
    runs, scans = write_dsa(out, 2, seed=40, size="small"), write_ct(out, 2, seed=40, follow_ups=False)
    cines, truth = write_ceus(out, 2, seed=40, size="tiny", style=BOTH), out / "truth" / "truth.json"
    return {
        "XA": [Study(s.patient_id, s.image, s.segmentation) for s in runs],
        "US": [Study(f"CEUS{n}", cine, truth, {"cine": cine}) for n, (_, cine) in enumerate(cines)],
        "CT": [Study(s.patient_id, s.series["venous"], s.segmentations["venous"], s.series) for s in scans],
    }
