import numpy as np
import pytest

from sample_data.noise import power_law, smooth


def test_a_power_law_field_has_mean_0_and_variance_1() -> None:
    field = power_law((60, 80), 2.6, np.random.default_rng(0))
    assert field.shape == (60, 80)
    assert field.mean() == pytest.approx(0, abs=1e-4)
    assert field.std() == pytest.approx(1, abs=1e-3)


def test_the_power_of_a_power_law_field_falls_with_its_exponent() -> None:
    power = np.abs(np.fft.fft2(power_law((256, 256), 2.0, np.random.default_rng(1)))) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None])
    low = power[(frequency > 0.03) & (frequency < 0.05)].mean()
    high = power[(frequency > 0.12) & (frequency < 0.20)].mean()
    assert low / high == pytest.approx(16, rel=0.25)


def test_frequencies_below_low_are_absent() -> None:
    spectrum = np.abs(np.fft.fft2(power_law((64, 64), 1.0, np.random.default_rng(2), low=0.1)))
    assert spectrum[0, 1:6].max() < 1e-2 < spectrum[0, 10]


def test_a_smooth_field_varies_over_its_length() -> None:
    field = smooth((200, 200), 40, np.random.default_rng(3))
    assert field.shape == (200, 200)
    assert np.abs(np.diff(field, axis=0)).max() < 0.15
    assert field.std() > 0.4


def test_a_smooth_field_may_vary_more_slowly_along_one_axis() -> None:
    field = smooth((200, 200), (80, 8), np.random.default_rng(3))
    assert np.abs(np.diff(field, axis=0)).mean() < np.abs(np.diff(field, axis=1)).mean() / 5
