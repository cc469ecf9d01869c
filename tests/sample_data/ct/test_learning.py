import numpy as np
import pytest

from hepatic.errors import BadInputError
from sample_data import ct


@pytest.fixture(scope="module")
def small_set() -> ct.LearningSet:
    return ct.learning_set([7, 3])


def test_arrays_agree_in_shape_and_type(small_set: ct.LearningSet) -> None:
    assert small_set.hu.shape == small_set.labels.shape == small_set.liver.shape == (2, 4, 24, 72, 96)
    assert (small_set.hu.dtype, small_set.labels.dtype, small_set.liver.dtype) == (np.int16, np.uint8, np.bool_)
    assert small_set.seed.tolist() == [7, 3]
    assert small_set.spacing_mm.shape == (2, 3)
    for boxes, kinds in zip(small_set.boxes, small_set.kinds, strict=True):
        assert boxes.shape == (4, len(kinds), 6)


def test_it_shows_what_the_study_shows(small_set: ct.LearningSet, study: ct.CTStudy) -> None:
    assert (small_set.hu[0] == np.stack([phase.hu for phase in study.phases])).all()
    assert small_set.kinds[0] == tuple(lesion.kind for lesion in study.lesions if lesion.solid)
    assert small_set.spacing_mm[0] == pytest.approx(study.grid.spacing[::-1])


def test_boxes_hold_solid_lesions_only_and_end_one_past_the_last_voxel(small_set: ct.LearningSet) -> None:
    for labels, boxes, kinds in zip(small_set.labels, small_set.boxes, small_set.kinds, strict=True):
        assert labels.max() == len(kinds)
        for phase in range(4):
            for number in range(len(kinds)):
                voxels = np.argwhere(labels[phase] == number + 1)
                assert boxes[phase, number].tolist() == [*voxels.min(0), *(voxels.max(0) + 1)]


def test_the_order_and_progress_do_not_depend_on_the_workers(small_set: ct.LearningSet) -> None:
    calls: list[None] = []
    again = ct.learning_set([7, 3], workers=2, progress=lambda: calls.append(None))
    assert len(calls) == 2
    assert again.hu.tobytes() == small_set.hu.tobytes()


def test_no_seeds_are_refused() -> None:
    with pytest.raises(BadInputError, match="seeds"):
        ct.learning_set([])
