import numpy as np
import pytest

from hepatic.errors import BadInputError
from sample_data import ceus
from sample_data.ceus.motion import draw_motion
from sample_data.us.probe import Panel

SEED = 36
TIMES_S = np.array([2.0, 16.0, 22.0, 60.0, 200.0])


@pytest.fixture(scope="module")
def cines() -> dict[ceus.Label, ceus.Cine]:
    return {label: ceus.simulate(SEED, TIMES_S, label=label, size="tiny") for label in ceus.LABELS}


def uptake(cine: ceus.Cine) -> tuple[list[float], list[float]]:
    """Mean grey value of the lesion and of the rest of the fan, frame by frame."""
    rest = cine.panel.fan & ~cine.mask
    return [float(one[cine.mask].mean()) for one in cine.contrast], [float(one[rest].mean()) for one in cine.contrast]


def test_a_cine_depends_on_nothing_but_its_seed_and_its_times(cines: dict[ceus.Label, ceus.Cine]) -> None:
    again = ceus.simulate(SEED, TIMES_S[[3]], label="hcc", size="tiny")
    assert (again.contrast[0] == cines["hcc"].contrast[3]).all()
    assert again.boxes[0] == cines["hcc"].boxes[3]


def test_contrast_comes_to_the_lesion_first_and_to_the_liver_after_it(cines: dict[ceus.Label, ceus.Cine]) -> None:
    for cine in cines.values():
        assert 8 <= cine.patient.arrival_s <= 16
        lesion, rest = uptake(cine)
        assert lesion[0] < 15
        assert lesion[2] > rest[2] + 30
        assert rest[3] > rest[2]


def test_an_early_washout_leaves_a_hole(cines: dict[ceus.Label, ceus.Cine]) -> None:
    onsets = {label: cine.patient.washout_onset_s for label, cine in cines.items()}
    assert onsets["non_hcc"] < 60 < onsets["hcc"]
    lesion, rest = uptake(cines["non_hcc"])
    assert lesion[4] < rest[4] - 10
    assert uptake(cines["hcc"])[0][3] > uptake(cines["non_hcc"])[0][3]


def test_boxes_follow_the_lesion_where_breathing_moves_it() -> None:
    times = np.arange(20.0, 26.0)
    cine = ceus.simulate(SEED, times, label="hcc", size="tiny")
    lefts_tops = np.array([box[:2] for box in cine.boxes])
    moved = np.rint(draw_motion(SEED, times).shifts_mm / cine.panel.pixel_mm)
    assert np.ptp(lefts_tops, axis=0).max() > 0
    assert (lefts_tops - moved == (lefts_tops - moved)[0]).all()


def test_out_of_the_plane_there_is_no_lesion() -> None:
    """What makes two lesions of one patient differ is not there."""
    times = np.arange(30, 106.0)
    seed = next(seed for seed in range(200) if not draw_motion(seed, times).in_plane.all())
    away = times[~draw_motion(seed, times).in_plane]
    assert 1 < len(away) < 8
    one, other = (ceus.simulate(seed, [away[0], away[0] - 1], label=label, size="tiny") for label in ceus.LABELS)
    assert one.motion.in_plane.tolist() == [False, True]
    gone, there = (np.abs(one.contrast[index].astype(int) - other.contrast[index])[one.mask].mean() for index in (0, 1))
    assert gone < 2
    assert there > 10
    gone, there = (np.abs(one.bmode[index].astype(int) - other.bmode[index])[one.mask].mean() for index in (0, 1))
    assert gone < 2 < 5 < there, "nor is it in the B-mode image beside"
    speckle = np.corrcoef(*(frame[one.panel.fan].astype(float) for frame in one.bmode))[0, 1]
    assert 0.3 < speckle < 0.95, "another plane of the same liver"


def test_a_pixel_shows_the_tissue_that_moved_there() -> None:
    cine = ceus.simulate(SEED, [2.0], label="hcc", size="tiny")
    still, moved = cine.panel.show(cine.tissue), cine.panel.show(cine.tissue, down_mm=4 * cine.panel.pixel_mm)
    deep = np.s_[60:90, 60:90]
    assert np.abs(moved[64:94, 60:90] - still[deep]).max() < 0.02


def test_bmode_shows_the_same_patient(cines: dict[ceus.Label, ceus.Cine]) -> None:
    cine = cines["hcc"]
    assert cine.bmode.shape == cine.contrast.shape
    assert isinstance(cine.panel, Panel)
    assert cine.patient.examined.lesions[0].place == cines["non_hcc"].patient.examined.lesions[0].place


def test_an_unknown_label_is_explained() -> None:
    with pytest.raises(BadInputError, match="label"):
        ceus.simulate(1, [0.0], label="benign")  # type: ignore[arg-type]
