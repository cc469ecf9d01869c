from collections.abc import Sequence

import numpy as np
import pytest

from sample_data.dsa.angiogram import Angiogram, render
from sample_data.dsa.lesions import Lesion, draw_lesions, footprint

TINY = (98, 127)
DRAWS = 12


@pytest.fixture(scope="module")
def angiograms() -> list[Angiogram]:
    return [render(seed, TINY) for seed in range(8)]


@pytest.fixture(scope="module")
def lesions(angiograms: Sequence[Angiogram]) -> list[tuple[Angiogram, Lesion]]:
    return [
        (base, lesion)
        for base in angiograms
        for draw in range(DRAWS)
        for lesion in draw_lesions(base, draw, confounder_a=True, confounder_b=True)
    ]


def auc(positive: Sequence[float], negative: Sequence[float]) -> float:
    higher = np.subtract.outer(np.asarray(positive), np.asarray(negative))
    return float((higher > 0).mean() + 0.5 * (higher == 0).mean())


def test_counts_are_those_of_the_calibration(lesions: list[tuple[Angiogram, Lesion]]) -> None:
    roles = [lesion.role for _, lesion in lesions]
    runs = 8 * DRAWS
    assert roles.count("tumour") / runs == pytest.approx(2.4, abs=0.5)
    assert roles.count("a") / runs == pytest.approx(0.8, abs=0.3)
    assert roles.count("b") / runs == pytest.approx(3.0, abs=0.6)


def test_neither_size_nor_amplitude_tells_a_tumour_from_a_confounder(lesions: list[tuple[Angiogram, Lesion]]) -> None:
    for value in ("diameter_px", "amplitude"):
        of = {
            role: [getattr(lesion, value) for _, lesion in lesions if lesion.role == role and lesion.kind == "hyper"]
            for role in ("tumour", "a", "b")
        }
        assert 0.38 < auc(of["tumour"], of["a"]) < 0.62
        assert 0.40 < auc(of["tumour"], of["b"]) < 0.60


def test_the_key_frame_alone_does_not_tell_confounder_a_from_a_tumour(lesions: list[tuple[Angiogram, Lesion]]) -> None:
    def level(base: Angiogram, lesion: Lesion) -> float:
        return float(np.interp(base.motion.still_s, base.motion.times_s, lesion.curve))

    of = {
        role: [level(base, one) for base, one in lesions if one.role == role and one.kind == "hyper"]
        for role in ("tumour", "a")
    }
    assert 0.36 < auc(of["tumour"], of["a"]) < 0.64


def test_nine_frames_before_the_key_frame_confounder_a_is_full_and_tumours_are_not(
    lesions: list[tuple[Angiogram, Lesion]],
) -> None:
    share: dict[str, list[float]] = {"tumour": [], "a": []}
    for base, lesion in lesions:
        if lesion.role in share:
            key = round(base.motion.still_s * 1000 / base.motion.frame_time_ms)
            share[lesion.role].append(lesion.curve[key - 9] / lesion.curve[key])
    assert np.median(share["tumour"]) < 0.1
    assert np.mean(np.array(share["tumour"]) < 0.5) > 0.85
    assert np.quantile(share["a"], 0.05) > 0.6


def test_tumours_and_confounder_a_lie_in_the_liver_and_b_outside(lesions: list[tuple[Angiogram, Lesion]]) -> None:
    for base, lesion in lesions:
        x, y = np.rint(lesion.centre_px).astype(int)
        depth = base.anatomy.depth[y, x]
        assert (depth < 0) if lesion.role == "b" else (depth > 0)


def test_lesions_of_one_run_do_not_lie_on_each_other(angiograms: Sequence[Angiogram]) -> None:
    for base in angiograms:
        drawn = draw_lesions(base, 0, confounder_a=True, confounder_b=True)
        for index, one in enumerate(drawn):
            for other in drawn[:index]:
                assert np.hypot(*(one.centre_px - other.centre_px)) > 0.55 * (one.diameter_px + other.diameter_px)


def test_a_lesion_covers_the_area_of_its_diameter(lesions: list[tuple[Angiogram, Lesion]]) -> None:
    texture = np.ones((400, 400), np.float32)
    for _, lesion in lesions[:20]:
        centred = Lesion("tumour", "hyper", np.array([200.0, 200.0]), 60.0, *_look(lesion))
        part = footprint(centred, (400, 400), 1.0, texture)
        assert part.inside.sum() == pytest.approx(np.pi * 30**2, rel=0.05)
        assert part.stain.max() <= centred.amplitude * 1.0001
        assert part.stain[0].max() < 0.02 * centred.amplitude


def _look(lesion: Lesion) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    return lesion.lobes, lesion.necrosis, lesion.amplitude, lesion.curve
