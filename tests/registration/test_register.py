import numpy as np
import pytest
import SimpleITK as sitk

from hepatic.geometry import Grid
from hepatic.io.image import Volume
from hepatic.registration import register as module
from hepatic.registration.displacement import Displacement
from hepatic.registration.register import register
from sample_data.ct.study import simulate


@pytest.fixture(scope="module")
def study():
    return simulate(503)


@pytest.fixture(scope="module")
def delayed(study):
    """The delayed phase, registered once for several tests."""
    return register(volume(study, "venous"), volume(study, "delayed"), study["venous"].liver, methods=("convexadam",))


def volume(study, phase):
    return Volume(study[phase].hu, study.grid, "CT")


def places_in_liver(study):
    found = np.argwhere(study["venous"].liver)[::400, ::-1]
    return (np.c_[found, np.ones(len(found))] @ study.grid.affine.T)[:, :3]


def error_mm(study, phase, places, carried):
    """How far the true motion brings what was carried to the phase from where it came."""
    back = [study[phase].motion.to_venous(place[::-1])[::-1] for place in carried]
    return float(np.linalg.norm(np.array(back) - places, axis=1).mean())


@pytest.mark.parametrize("method", ["convexadam", "bspline"])
def test_the_liver_of_another_phase_is_found_again_within_two_millimetres(study, method):
    places = places_in_liver(study)
    found = register(volume(study, "venous"), volume(study, "arterial"), study["venous"].liver, methods=(method,))
    before = error_mm(study, "arterial", places, places)
    after = error_mm(study, "arterial", places, found.displacement.at(places))
    assert found.method == method
    assert after < min(2, 0.6 * before)
    assert found.likeness_after > found.likeness_before
    assert found.displacement.folded == 0


def test_a_carried_phase_lies_on_the_fixed_grid_and_is_closer_to_the_fixed_picture(study, delayed):
    fixed, moving, liver = volume(study, "venous"), volume(study, "delayed"), study["venous"].liver
    carried = delayed.carry(moving, fixed.grid)
    assert carried.shape == fixed.array.shape
    assert carried.dtype == np.int16
    rim = np.asarray(sitk.GetArrayFromImage(sitk.BinaryContour(sitk.GetImageFromArray(liver.astype(np.uint8)))), bool)

    def apart(picture):
        return np.abs(picture[rim] - fixed.array[rim]).mean()

    assert apart(carried) < 0.9 * apart(moving.array)


def test_the_displacement_reaches_over_the_whole_picture_though_it_is_found_about_the_liver(study, delayed):
    size = np.array(study.grid.size)
    ends = np.array([[0, 0, 0, 1.0], [*(size - 1), 1.0]]) @ study.grid.affine.T
    assert (delayed.displacement.at(ends[:, :3]) != ends[:, :3]).any(axis=1).all()


def test_an_oblique_grid_gives_vectors_in_the_patients_axes(study):
    turn = np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])  # the first two axes change places
    swapped = Grid((study.grid.size[1], study.grid.size[0], study.grid.size[2]), study.grid.affine @ turn)
    fixed = Volume(study["venous"].hu.transpose(0, 2, 1), swapped, "CT")
    liver = study["venous"].liver.transpose(0, 2, 1)
    found = register(fixed, volume(study, "arterial"), liver, methods=("convexadam",))
    places = places_in_liver(study)
    assert error_mm(study, "arterial", places, found.displacement.at(places)) < 2


def made(vectors):
    return lambda pair: Displacement(vectors(np.zeros((*pair.grid.shape, 3), np.float32)), pair.grid)


def folding(zeros):
    zeros[..., 0] = np.where(np.arange(zeros.shape[2]) % 4 < 2, 9, -9)
    return zeros


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (lambda zeros: zeros + np.nan, "not finite"),
        (lambda zeros: zeros + np.float32(50), "moves tissue by 87 mm"),
        (folding, "folds"),
        (lambda zeros: zeros + np.float32(12), "less alike"),
    ],
)
def test_a_displacement_that_cannot_be_true_is_given_up_in_words_and_the_next_method_is_tried(
    study, monkeypatch, vectors, said
):
    monkeypatch.setitem(module.METHODS, "convexadam", made(vectors))
    monkeypatch.setitem(module.METHODS, "bspline", made(lambda zeros: zeros))
    found = register(volume(study, "venous"), volume(study, "venous"), study["venous"].liver)
    assert said in found.given_up["convexadam"]
    assert found.method == "bspline"


def test_where_every_method_fails_the_phase_stays_where_it_lies(study, monkeypatch):
    def broken(pair):
        raise RuntimeError("no samples")

    monkeypatch.setitem(module.METHODS, "convexadam", broken)
    monkeypatch.setitem(module.METHODS, "bspline", broken)
    fixed = volume(study, "venous")
    found = register(fixed, volume(study, "nc"), study["venous"].liver)
    assert found.method == "none"
    assert set(found.given_up) == {"convexadam", "bspline"}
    assert np.array_equal(found.carry(volume(study, "nc"), fixed.grid), study["nc"].hu)


def test_beyond_what_was_scanned_there_is_air():
    grid = Grid((8, 8, 4), np.diag([2.0, 2.0, 5.0, 1.0]))
    longer = Grid((8, 8, 8), np.diag([2.0, 2.0, 5.0, 1.0]))
    found = module.Registration("none", None, 1.0, 1.0, {})
    carried = found.carry(Volume(np.full(grid.shape, 40, np.int16), grid, "CT"), longer)
    assert (carried[:4] == 40).all()
    assert (carried[5:] == -1024).all()
