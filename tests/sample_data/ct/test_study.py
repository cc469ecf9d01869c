from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from hepatic.errors import BadInputError
from sample_data import ct
from sample_data.ct import kinetics
from sample_data.ct.blood import Blood
from sample_data.ct.canvas import Canvas
from sample_data.ct.lesion import outline, paint_lesion, reach_mm
from sample_data.ct.patient import SHARES, Solid
from sample_data.ct.space import space_for
from sample_data.ct.study import TIMES_S


def test_the_same_seed_gives_the_same_bytes(study: ct.CTStudy) -> None:
    again = ct.simulate(7)
    for one, other in zip(study.phases, again.phases, strict=True):
        assert one.hu.tobytes() == other.hu.tobytes()
        assert one.labels.tobytes() == other.labels.tobytes()
        assert one.liver.tobytes() == other.liver.tobytes()
        assert one.boxes == other.boxes


def test_four_phases_lie_on_one_grid(study: ct.CTStudy) -> None:
    assert [phase.phase for phase in study.phases] == ["nc", "arterial", "venous", "delayed"]
    assert study.grid.shape == (24, 72, 96)
    assert study.grid.spacing == pytest.approx((2.3 * study.patient.build,) * 2 + (6 * study.patient.build,), abs=1e-3)
    for phase in study.phases:
        assert phase.hu.shape == phase.labels.shape == phase.liver.shape == study.grid.shape
        assert (phase.hu.dtype, phase.labels.dtype, phase.liver.dtype) == (np.int16, np.uint8, np.bool_)
    assert [phase.time_s for phase in study.phases] == sorted(phase.time_s for phase in study.phases)


def test_boxes_enclose_masks_tightly(study: ct.CTStudy) -> None:
    for phase in study.phases:
        for number, box in enumerate(phase.boxes, 1):
            voxels = np.argwhere(phase.labels == number)[:, ::-1]
            assert box.voxels == (*voxels.min(0), *voxels.max(0))
            corners = np.array([[*box.voxels[:3], 1], [*box.voxels[3:], 1]]) @ study.grid.affine.T
            half = np.array(study.grid.spacing) / 2
            assert box.lps_mm == pytest.approx([*(corners[0, :3] - half), *(corners[1, :3] + half)], abs=2e-3)


def test_masks_have_the_size_that_was_drawn() -> None:
    shares = []
    for seed in (1, 7, 10, 17, 27, 48):
        one = ct.simulate(seed)
        for number, lesion in enumerate(one.lesions, 1):
            if lesion.solid and lesion.diameter_mm > 20:
                volume = (one["venous"].labels == number).sum() * np.prod(one.grid.spacing)
                shares.append(volume / (4 / 3 * np.pi * np.prod(lesion.radii_mm)))
    assert len(shares) >= 8
    assert 0.75 < np.median(shares) < 1.15  # the liver's edge cuts some


def test_the_true_motion_maps_a_lesions_centre_from_phase_to_phase(study: ct.CTStudy) -> None:
    moved = []
    for phase in study.phases:
        for number, (lesion, box) in enumerate(zip(study.lesions, phase.boxes, strict=True), 1):
            here = np.array(box.centre_lps_mm[::-1])
            assert phase.motion.to_venous(here) == pytest.approx(lesion.centre_mm, abs=0.01)
            assert phase.motion.from_venous(lesion.centre_mm) == pytest.approx(here, abs=0.01)
            if lesion.diameter_mm > 18 and lesion.kind != "perfusion":
                middles = [
                    np.array(ndimage.center_of_mass(shown.labels == number)) * study.grid.spacing[::-1]
                    for shown in (study["venous"], phase)
                ]
                assert middles[1] - middles[0] == pytest.approx(here - lesion.centre_mm, abs=1.5)
            moved.append(np.abs(here - lesion.centre_mm).max())
    assert np.max(moved) > 1


def test_the_venous_phase_is_the_frame_of_reference(study: ct.CTStudy) -> None:
    assert study["venous"].motion.shift_mm == (0, 0, 0)
    assert all(np.abs(study[phase].motion.shift_mm).max() > 0.3 for phase in ("nc", "arterial", "delayed"))


def test_the_picture_moves_as_the_truth_says() -> None:
    """The liver's edge in the picture is where the moved mask has it, not where the venous one has it."""
    better = []
    for seed in range(6):
        one = ct.simulate(seed)
        for phase in (one["arterial"], one["delayed"]):
            if np.abs(phase.motion.shift_mm).max() < 2:
                continue
            soft = (phase.hu > 0) & (phase.hu < 200)
            own, still = (phase.liver, one["venous"].liver)
            better.append((soft[own & ~still].mean()) > soft[still & ~own].mean())
    assert np.mean(better) > 0.75


def test_the_primary_is_the_first_and_largest_solid_lesion() -> None:
    for seed in range(30):
        lesions = ct.draw_patient(seed).lesions
        solid = [lesion.diameter_mm for lesion in lesions if lesion.solid]
        assert lesions[0].solid
        assert solid[0] == max(solid)
        assert [lesion.solid for lesion in lesions] == sorted((lesion.solid for lesion in lesions), reverse=True)


def test_all_seven_kinds_come_in_their_shares_and_mimics_as_calibrated() -> None:
    patients = [ct.draw_patient(seed) for seed in range(250)]
    main = Counter(patient.lesions[0].kind for patient in patients)
    assert set(main) == set(SHARES)
    for kind, share in SHARES.items():
        assert main[kind] / 250 == pytest.approx(share, abs=0.08)
    counts = Counter(lesion.kind for patient in patients for lesion in patient.lesions)
    assert 0.6 < counts["cyst"] / 250 < 1.1
    assert 0.5 < counts["focal"] / 250 < 1.0
    assert 0.2 < counts["perfusion"] / 250 < 0.4
    diameters = [patient.lesions[0].diameter_mm for patient in patients]
    assert np.median(diameters) == pytest.approx(32, abs=3)


def test_lesions_do_not_touch_each_other() -> None:
    for seed in range(30):
        lesions = ct.draw_patient(seed).lesions
        for index, one in enumerate(lesions):
            for other in lesions[:index]:
                gap = np.linalg.norm(one.centre_mm - other.centre_mm) - (one.diameter_mm + other.diameter_mm) / 2
                assert gap > 4


def test_a_second_study_shows_the_same_patient_scanned_again(study: ct.CTStudy) -> None:
    later = ct.simulate(7, visit=1)
    assert [lesion.kind for lesion in later.lesions] == [lesion.kind for lesion in study.lesions]
    for one, other in zip(study.lesions, later.lesions, strict=True):
        assert one.centre_mm == pytest.approx(other.centre_mm)
        assert -2.5 < other.diameter_mm - one.diameter_mm < 3.6
    liver, again = study["venous"].liver, later["venous"].liver
    assert (liver & again).sum() / (liver | again).sum() > 0.99
    assert (study["venous"].hu != later["venous"].hu).mean() > 0.8
    assert 0.15 < np.mean([ct.visits_of(seed) == 2 for seed in range(400)]) < 0.35


def test_organs_look_as_they_do_on_ct(study: ct.CTStudy) -> None:
    liver = {phase.phase: np.median(phase.hu[phase.liver & (phase.labels == 0)]) for phase in study.phases}
    blood = Blood([phase.time_s for phase in study.phases], study.strength)
    for phase, rise in zip(study.phases, blood.rise("liver"), strict=True):
        assert liver[phase.phase] == pytest.approx(study.patient.liver_hu + rise, abs=3)
    build = study.patient.build
    i, j, k = np.linalg.inv(study.grid.affine) @ [10 * build, 30 * build, 20, 1] // 1 @ np.eye(4)[:, :3]
    for phase, aorta in zip(study.phases, blood.aorta, strict=True):
        here = phase.hu[int(k) - 1 : int(k) + 2, int(j) - 1 : int(j) + 2, int(i) - 1 : int(i) + 2]
        assert here.mean() == pytest.approx(aorta, abs=20)
    fat = (study["venous"].hu > -140) & (study["venous"].hu < -70)
    assert fat.mean() > 0.1


def test_the_full_grid_shows_the_same_patient_around_the_small_one() -> None:
    patient = ct.draw_patient(7)
    small, full = (space_for(size, patient.build) for size in ("small", "full"))  # type: ignore[arg-type]
    assert (full.shape, full.spacing_mm) == ((40, 512, 512), (5.0, 0.69, 0.69))
    assert (np.array(small.grid.origin) > np.array(full.grid.origin)).all()
    volumes = [
        (patient.liver(space.axes()) > 0).sum() * np.prod(space.spacing_mm) / 1e6
        for space in (small, replace(full, shape=(40, 128, 128), spacing_mm=(5.0, 2.76, 2.76)))
    ]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.03)
    assert 0.7 < volumes[0] < 2.5  # litres


def painted(kind: Solid, *, flash: bool, stream: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four pictures of a lesion of 44 mm in a plain liver at the table's times; distance to its surface; radius."""
    patient = replace(ct.draw_patient(7), liver_hu=57.0)
    lesion = replace(
        patient.lesions[0], kind=kind, diameter_mm=44.0, radii_mm=np.full(3, 22.0), centre_mm=np.array([0.0, -5, -70]),
        gain=1.0, vigour=1.0, washout=0.0, flash=flash, texture_mm=4.0, stream=stream,
    )  # fmt: skip
    space = space_for("small", 1.0)
    window = space.around(lesion.centre_mm, reach_mm(lesion, 1.2))
    assert window is not None
    depth, radius = outline(lesion, patient, space.axes(window), np.full(space.shape, 30.0, np.float32)[window])
    blood = Blood(TIMES_S, 1.0)
    around = (57 + blood.rise("liver")).astype(np.float32).reshape(4, 1, 1, 1)
    canvas = Canvas(np.tile(around, (1, *space.shape)), 1.2)
    paint_lesion(canvas, space, patient, lesion, blood, window, depth, radius)
    return np.stack([image[window] for image in canvas.images]), depth, radius


@pytest.mark.parametrize("kind", SHARES)
def test_a_lesion_enhances_as_the_table_says_of_its_kind(kind: Solid) -> None:
    means = []
    for stream in range(12):
        pictures, depth, radius = painted(kind, flash=True, stream=stream)
        core = (depth > 4) & (radius < 0.7) & (radius > 0.35)
        means.append(pictures[:, core].mean(1))
    native = {"icc": 41, "metastasis": 38, "haemangioma": 38, "fnh": 51, "adenoma": 53}.get(kind, 47)
    rise = kinetics.enhancement(kind, np.array(TIMES_S))
    assert np.mean(means, 0) == pytest.approx(native + rise, abs=8)


def test_a_haemangioma_fills_from_its_edge_inwards() -> None:
    pictures, depth, radius = painted("haemangioma", flash=False, stream=0)
    filled = [(picture[depth > 2] > 80).mean() for picture in pictures]
    assert filled[0] == 0
    assert 0.02 < filled[1] < filled[2] < filled[3]
    first = radius[(pictures[1] > 100) & (depth > 0)]
    assert first.mean() > 0.65


def test_a_metastasis_and_a_cholangiocarcinoma_have_a_bright_rim_and_a_dark_core() -> None:
    for kind in ("metastasis", "icc"):
        pictures, depth, radius = painted(kind, flash=False, stream=0)  # type: ignore[arg-type]
        rim, core = pictures[:, (radius > 0.8) & (depth > 1)].mean(1), pictures[:, radius < 0.4].mean(1)
        assert rim[1] - core[1] > 8
        assert rim[2] - core[2] > 8


def test_an_hcc_takes_up_early_and_washes_out() -> None:
    pictures, _, radius = painted("hcc", flash=False, stream=0)
    core = pictures[:, radius < 0.7].mean(1)
    liver = 57 + kinetics.enhancement("liver", np.array(TIMES_S))
    assert core[1] - liver[1] > 15
    assert core[3] - liver[3] < -8


def test_contrast_can_be_taken_from_lesions_and_nothing_else(study: ct.CTStudy) -> None:
    faint = ct.simulate(7, contrast=0.5)
    one, other = study["venous"], faint["venous"]
    assert (one.labels == other.labels).all()
    assert (one.hu[~one.liver] == other.hu[~one.liver]).mean() > 0.99
    liver = np.median(one.hu[one.liver & (one.labels == 0)])
    contrasts = [abs(shown.hu[one.labels == 1].mean() - liver) for shown in (one, other)]
    assert contrasts[1] == pytest.approx(0.5 * contrasts[0], rel=0.25)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(BadInputError, match="contrast"):
        ct.simulate(0, contrast=0)
    with pytest.raises(BadInputError, match="size"):
        ct.simulate(0, size="huge")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="seed"):
        ct.simulate(-1)
    with pytest.raises(BadInputError, match="visit"):
        ct.simulate(0, visit=-1)
