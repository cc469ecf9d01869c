import numpy as np
import pytest

from hepatic.errors import BadInputError
from sample_data import dsa
from sample_data.resample import area


@pytest.fixture(scope="module")
def small_set() -> dsa.LearningSet:
    return dsa.learning_set([1, 8], draws=2)


def test_arrays_agree_in_shape_and_type(small_set: dsa.LearningSet) -> None:
    assert small_set.X.shape == (4, 12, 96, 128)
    assert small_set.X.dtype == np.uint8
    assert small_set.tumour.shape == small_set.liver.shape == (4, 3, 96, 128)
    assert small_set.a.shape == small_set.b.shape == (4, 96, 128)
    assert small_set.base.tolist() == [0, 0, 1, 1]
    assert all(mask.dtype == np.bool_ for mask in (small_set.tumour, small_set.liver, small_set.a, small_set.b))


def test_it_shows_what_the_run_shows_about_its_key_frame(small_set: dsa.LearningSet, run: dsa.DSARun) -> None:
    frames = run.frames[run.key_frame - 9 : run.key_frame + 3]
    assert np.abs(small_set.X[0] - area(frames, (96, 128))).max() <= 0.5
    assert small_set.tumour[0].mean() == pytest.approx(run.tumour.mean(), rel=0.05)
    assert small_set.liver[0].mean() == pytest.approx(run.liver.mean(), rel=0.01)


def test_every_run_shows_a_tumour(small_set: dsa.LearningSet) -> None:
    assert small_set.tumour.any((2, 3)).all()


def test_the_seeds_order_and_progress_do_not_depend_on_the_workers(small_set: dsa.LearningSet) -> None:
    calls: list[None] = []
    again = dsa.learning_set([1, 8], draws=2, workers=2, progress=lambda: calls.append(None))
    assert len(calls) == 2
    assert again.X.tobytes() == small_set.X.tobytes()


def test_nothing_to_do_is_refused() -> None:
    with pytest.raises(BadInputError, match="0 seeds and 1 draws"):
        dsa.learning_set([], draws=1)
    with pytest.raises(BadInputError, match="1 seeds and 0 draws"):
        dsa.learning_set([0], draws=0)
