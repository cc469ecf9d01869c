"""One reviewed study: a lesion two readers agree on, one that is none, one they disagree on, one drawn by hand."""

import numpy as np
import pytest

from hepatic.geometry import Grid
from hepatic.harvest.export.reviewed import Decision, ReviewedCandidate, ReviewedStudy
from hepatic.harvest.study import Phase, Proposal

AFFINE = np.array([[0.8, 0, 0, -30], [0, 0.8, 0, -20], [0, 0, 5.0, 100], [0, 0, 0, 1.0]])
GRID = Grid((48, 32, 6), AFFINE)
LESION = (-14.4, -8.0, 102.5, -6.4, 0.0, 112.5)  # voxels 1-3, 15-25, 20-30 (half a voxel off the centres)


def decision(reader, verdict, *, seconds=4, hidden_ms=0):
    shown, decided = "2026-03-02T10:00:00+00:00", f"2026-03-02T10:00:{seconds:02d}+00:00"
    return Decision(reader, verdict, 1, shown, decided, hidden_ms, "key")


@pytest.fixture
def study():
    found = ReviewedCandidate(
        "2.25.1", LESION, 2, "model", "true", "true", True, (decision("ann", "true"), decision("bo", "true")), 0.83,
        (Proposal(Phase.ARTERIAL, LESION, 0.83), Proposal(Phase.VENOUS, LESION, 0.4)), "ct_centernet3d", "ab" * 32,
    )  # fmt: skip
    vessel = ReviewedCandidate(
        "2.25.2", (-29, -19, 101, -26, -16, 104), 0, "model", "false", "false", False, (decision("ann", "false"),), 0.3,
        (Proposal(Phase.VENOUS, (-29, -19, 101, -26, -16, 104), 0.3),), "ct_centernet3d", "ab" * 32,
    )  # fmt: skip
    torn = ReviewedCandidate(
        "2.25.3", (0, 0, 110, 4, 4, 118), 3, "model", "conflict", None, False,
        (decision("ann", "true"), decision("bo", "false")), 0.2, (), "ct_centernet3d", "ab" * 32,
    )  # fmt: skip
    drawn = ReviewedCandidate(
        "2.25.4", (-12, -6, 104, -9, -3, 110), 1, "manual", "true", "true", drawn_by="ann",
    )  # fmt: skip
    image_ids = {Phase.ARTERIAL: "1.2.3", Phase.VENOUS: "1.2.4"}
    return ReviewedStudy("1.2", "P7", Phase.VENOUS, image_ids, GRID, (found, vessel, torn, drawn), complete=True)
