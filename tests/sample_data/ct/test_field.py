import numpy as np
import pytest

from sample_data.ct.field import Field, draw_field

AXES = [np.arange(-50.0, 50, step) for step in (5, 2, 2)]


def test_a_field_has_unit_variance_and_varies_over_its_length() -> None:
    field = draw_field(np.random.default_rng(0), (-50, -50, -50), (50, 50, 50), 6.0)
    values = field.sample(AXES)
    assert values.shape == (20, 50, 50)
    assert values.std() == pytest.approx(1, abs=0.1)
    assert np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1] > 0.7
    assert abs(np.corrcoef(values[:, :-6].ravel(), values[:, 6:].ravel())[0, 1]) < 0.2


def test_two_grids_see_the_same_field() -> None:
    field = draw_field(np.random.default_rng(0), (-50, -50, -50), (50, 50, 50), 20.0)
    whole = field.sample(AXES)
    assert field.sample([AXES[0][3:9], AXES[1][::5], AXES[2]]) == pytest.approx(whole[3:9, ::5], abs=1e-5)


def test_linear_interpolation_is_exact_for_a_ramp() -> None:
    knots = np.add.outer(np.add.outer(np.arange(4.0), 10 * np.arange(5.0)), 100 * np.arange(6.0)).astype(np.float32)
    ramp = Field(knots, (0, 0, 0), (2, 2, 2))
    assert ramp.at(np.array([1.0, 3.0, 5.0])) == pytest.approx(0.5 + 15 + 250)
    assert ramp.sample([[1.0], [3.0], [5.0]], order="linear").item() == pytest.approx(265.5)
    assert ramp.at(np.array([-9.0, 99.0, 0.0])) == pytest.approx(40, abs=1e-3)
