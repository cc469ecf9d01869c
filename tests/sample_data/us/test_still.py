import numpy as np
import pytest
from scipy import ndimage

from hepatic.errors import BadInputError
from sample_data import us
from sample_data.us.still import screen_of

SEED = 124  # in the liver, away from vessels and gallbladder


@pytest.fixture(scope="module")
def stills() -> dict[us.Kind, us.Still]:
    return {kind: us.simulate(SEED, kind=kind, size="tiny") for kind in us.KINDS}


def grey_in_and_around(still: us.Still) -> tuple[float, float]:
    """Mean grey value in the lesion and in the liver around it, without vessels."""
    lesion = still.masks[0]
    ring = ndimage.binary_dilation(lesion, iterations=9) & ~ndimage.binary_dilation(lesion, iterations=2)
    return float(still.grey[lesion].mean()), float(still.grey[ring & ~still.vessel & still.panel.fan].mean())


def test_a_picture_depends_on_nothing_but_its_seed() -> None:
    assert (us.simulate(3, size="tiny").grey == us.simulate(3, size="tiny").grey).all()
    assert (us.simulate(3, size="tiny").patient, us.simulate(3, size="tiny").boxes) == (
        us.simulate(3, size="tiny").patient,
        us.simulate(3, size="tiny").boxes,
    )


def test_all_kinds_come_and_a_homogeneous_liver_has_no_lesion() -> None:
    drawn = [us.draw_patient(seed) for seed in range(120)]
    assert {patient.kind for patient in drawn} == set(us.KINDS)
    assert all(bool(patient.lesions) == (patient.kind != "homogeneous") for patient in drawn)
    assert max(len(patient.lesions) for patient in drawn) > 1


def test_lesions_lie_in_the_fan_apart_from_each_other() -> None:
    for seed in range(200):
        patient = us.draw_patient(seed, kind="metastasis")
        for number, one in enumerate(patient.lesions):
            assert abs(np.arctan2(one.x_mm, one.z_mm + 60)) < np.deg2rad(31)
            assert one.z_mm + one.size_mm / 2 < patient.depth_mm + 5
            for other in patient.lesions[:number]:
                apart = np.hypot(one.x_mm - other.x_mm, one.z_mm - other.z_mm)
                assert apart > (one.size_mm + other.size_mm) / 2


def test_a_cyst_is_black_and_brightens_what_is_behind_it(stills: dict[us.Kind, us.Still]) -> None:
    cyst, healthy = stills["cyst"], stills["homogeneous"]
    inside, around = grey_in_and_around(cyst)
    assert inside < 0.4 * around
    x0, _, x1, y1 = cyst.boxes[0]
    behind = np.s_[y1 + 6 : y1 + 20, (2 * x0 + x1) // 3 : (x0 + 2 * x1) // 3]
    assert cyst.grey[behind].mean() > healthy.grey[behind].mean() + 10


def test_an_angioma_is_brighter_than_the_liver_and_a_metastasis_is_darker(stills: dict[us.Kind, us.Still]) -> None:
    inside, around = grey_in_and_around(stills["angioma"])
    assert inside > around + 8
    inside, around = grey_in_and_around(stills["metastasis"])
    assert inside < around - 4


def test_boxes_enclose_their_masks(stills: dict[us.Kind, us.Still]) -> None:
    for still in stills.values():
        for mask, (x0, y0, x1, y1) in zip(still.masks, still.boxes, strict=True):
            assert mask[y0 : y1 + 1, x0 : x1 + 1].sum() == mask.sum() > 0
            assert mask[y0].any()
            assert mask[y1].any()
            assert mask[:, x0].any()
            assert mask[:, x1].any()


def test_patients_of_one_seed_differ_by_their_lesion_alone(stills: dict[us.Kind, us.Still]) -> None:
    assert len({still.patient.depth_mm for still in stills.values()}) == 1
    assert len({still.patient.knobs for still in stills.values()}) == 1
    assert len({still.patient.lesions[0].place for still in stills.values() if still.patient.lesions}) == 1


def test_the_same_patient_has_the_same_size_in_millimetres_in_every_preset() -> None:
    tiny, small = (us.simulate(SEED, kind="hcc", size=size) for size in ("tiny", "small"))
    widths = [(one.boxes[0][2] - one.boxes[0][0] + 1) * one.panel.pixel_mm for one in (tiny, small)]
    assert widths[0] == pytest.approx(widths[1], abs=2 * tiny.panel.pixel_mm)


def test_the_screen_burns_in_texts_outside_of_the_fan(stills: dict[us.Kind, us.Still]) -> None:
    still = stills["fnh"]
    screen = screen_of(still, patient_id="US00124")
    (region,) = screen.regions
    x0, y0, x1, y1 = region.box
    fan = screen.pixels[0, y0 : y1 + 1, x0 : x1 + 1]
    assert (fan[still.panel.fan] == still.grey[still.panel.fan]).mean() > 0.999
    left, top, right, bottom = screen.banner
    assert screen.burnt_in[top:bottom, left:right].any()
    assert bottom < y0


@pytest.mark.parametrize(("arguments", "what"), [({"kind": "abscess"}, "kind"), ({"size": "huge"}, "size")])
def test_wrong_arguments_are_explained(arguments: dict[str, str], what: str) -> None:
    with pytest.raises(BadInputError, match=what):
        us.simulate(1, **arguments)  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="seed"):
        us.draw_patient(-1)
