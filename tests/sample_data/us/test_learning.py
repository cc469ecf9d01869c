import numpy as np
import pytest

from hepatic.errors import BadInputError
from sample_data import us


def test_it_holds_what_the_patients_have() -> None:
    seeds = [121, 122, 30]
    made = us.learning_set(seeds)
    assert made.images.shape[:2] == (3, 160)
    assert made.seed.tolist() == seeds
    for index, seed in enumerate(seeds):
        patient = us.draw_patient(seed)
        assert us.KINDS[made.kind[index]] == patient.kind
        assert made.boxes[index].shape == (len(patient.lesions), 4)
        assert (made.masks[index].any()) == (patient.kind != "homogeneous")


def test_boxes_lie_on_the_picture_as_the_stills_do() -> None:
    made, still = us.learning_set([5, 6], kind="cyst"), us.simulate(5, kind="cyst", size="tiny")
    left = (made.images.shape[2] - still.panel.width) // 2
    x0, y0, x1, y1 = still.boxes[0]
    assert made.boxes[0][0].tolist() == [y0, x0 + left, y1 + 1, x1 + left + 1]
    inside = np.zeros(made.images[0].shape, bool)
    inside[:, left : left + still.panel.width] = still.masks[0]
    assert made.images[0][inside].mean() < 60


def test_nobody_is_no_set() -> None:
    with pytest.raises(BadInputError, match="one or more"):
        us.learning_set([])
