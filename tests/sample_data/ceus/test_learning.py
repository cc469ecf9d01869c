import numpy as np
import pytest

from hepatic.errors import BadInputError
from sample_data import ceus


def test_it_holds_frames_after_the_onset_of_the_echo() -> None:
    times = np.array([0.0, 6.0, 14.0])
    made = ceus.learning_set([36, 37], times_s=times)
    assert made.frames.shape[:3] == (2, 3, 104)
    assert made.stills.shape[:2] == (2, 160)
    assert made.times_s.tolist() == times.tolist()
    for index, seed in enumerate((36, 37)):
        patient = ceus.draw_patient(seed)
        assert made.is_hcc[index] == (patient.label == "hcc")
        assert made.washout_onset_s[index] == patient.washout_onset_s
        inside = []
        for frame, (top, left, bottom, right) in zip(made.frames[index], made.boxes[index].astype(int), strict=True):
            inside.append(frame[top:bottom, left:right].mean())
        assert inside[0] < 10
        assert inside[2] > 60


def test_nobody_is_no_set() -> None:
    with pytest.raises(BadInputError, match="one or more"):
        ceus.learning_set([])
