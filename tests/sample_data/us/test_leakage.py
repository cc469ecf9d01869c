"""What must not tell a malignant lesion from a benign one in B-mode, and how much may (``tests.sample_data.probes``).

What needs pictures is probed on twins: every patient once with a malignant and once with a benign lesion of the same
place and size. Sound that a lesion lets through or keeps back marks what lies behind it, and so do the edges of the
lesion: background is what is neither of the lesions nor behind them.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from sample_data import us
from sample_data.us.probe import Panel
from sample_data.us.still import screen_of
from sample_data.us.us_image import Series, us_still
from tests.sample_data.probes import Twins, at_most, at_most_either_way, auc, numbers_of, probe

TWINS = 45
PATIENTS = range(2000, 3500)
Mask = NDArray[np.bool_]


def beyond(panel: Panel, masks: Sequence[Mask]) -> Mask:
    """The fan without lesions, their margins and what lies behind them."""
    lesion = ndimage.binary_dilation(np.any(masks, axis=0), iterations=5)
    angle = np.arctan2(panel.x[None], panel.z[:, None] + 60)
    depth = np.hypot(panel.x[None], panel.z[:, None] + 60)
    bins = np.digitize(angle, np.linspace(-0.6, 0.6, 240))
    first = np.full(242, np.inf)
    np.minimum.at(first, bins[lesion], depth[lesion])
    first = ndimage.minimum_filter1d(first, 9)
    return np.asarray(panel.fan & (depth < first[bins]) & ~lesion)


def background(still: us.Still, here: Mask) -> list[float]:
    """Grey values and detail away from the lesions, above and below the middle."""
    grey = still.grey.astype(np.float32)
    fine = grey - ndimage.uniform_filter(grey, 3)
    deep = np.broadcast_to(still.panel.z[:, None] > 60, here.shape)
    features: list[float] = []
    for part in (here & deep, here & ~deep):
        values = grey[part]
        features += [values.mean(), values.std(), *np.percentile(values, (5, 25, 75, 95))]
        features += [float(fine[part].std()), float(np.abs(fine[part]).mean())]
    return features


@pytest.fixture(scope="module")
def twins() -> Twins:
    rng = np.random.default_rng(0)
    seen: dict[str, list[list[float]]] = {"size": [], "mean": [], "background": []}
    malignant, patient = [], []
    for seed in range(TWINS):
        pair = [
            us.simulate(seed, kind=str(rng.choice(kinds)), size="tiny")  # type: ignore[arg-type]
            for kinds in (us.MALIGNANT, ["angioma", "fnh", "cyst"])
        ]
        free = beyond(pair[0].panel, [mask for one in pair for mask in one.masks])
        for still in pair:
            seen["size"].append([float(still.masks[0].sum()), *np.ptp(np.reshape(still.boxes[0], (2, 2)), axis=0)])
            seen["mean"].append([float(still.grey[still.masks[0]].mean())])
            seen["background"].append(background(still, free))
            malignant.append(still.patient.kind in us.MALIGNANT)
            patient.append(seed)
    assert malignant == [True, False] * TWINS
    return Twins({name: np.array(rows) for name, rows in seen.items()}, malignant, patient)


@pytest.fixture(scope="module")
def patients() -> list[us.Patient]:
    return [one for one in map(us.draw_patient, PATIENTS) if one.lesions]


def test_size_does_not_tell(twins: Twins, patients: list[us.Patient]) -> None:
    at_most(0.60, "size", twins.probe("size"))
    sizes = [one.lesions[0].size_mm for one in patients]
    for kind in us.KINDS[1:]:
        at_most_either_way(0.60, f"size, {kind}", auc(sizes, [one.kind == kind for one in patients]))


def test_place_does_not_tell(patients: list[us.Patient]) -> None:
    places = np.array([one.lesions[0].place[:2] for one in patients])
    malignant = [one.kind in us.MALIGNANT for one in patients]
    at_most(0.55, "place", probe(places, malignant, [one.seed for one in patients]))


def test_the_scanners_settings_do_not_tell(patients: list[us.Patient]) -> None:
    settings = np.array([[one.depth_mm, one.knobs.gain_db, one.knobs.range_db] for one in patients])
    malignant = [one.kind in us.MALIGNANT for one in patients]
    at_most(0.55, "settings", probe(settings, malignant, [one.seed for one in patients]))


def test_the_header_does_not_tell() -> None:
    """It is the same but for the identifiers, which come from the seed, and depends on the depth of the picture."""
    rows, malignant = [], []
    for seed in range(25):
        still = us.simulate(seed, kind=us.KINDS[1 + seed % 5], size="tiny")
        series = Series(("hepatic", "us", seed, "tiny"), f"US{seed:05d}", 1, "Liver", "100200")
        header = us_still(screen_of(still, patient_id=series.patient_id), series)
        del header.PixelData
        rows.append(list({**numbers_of(header), **numbers_of(header.SequenceOfUltrasoundRegions[0])}.values()))
        malignant.append(still.patient.kind in us.MALIGNANT)
    features = np.array(rows)
    telling = [auc(column, malignant) for column in features[:, features.std(0) > 0].T]
    assert len(telling) > 4
    assert max(np.abs(np.array(telling) - 0.5)) < 0.3  # of 25 patients; a constant that follows the kind gives 0.5


def test_what_surrounds_the_lesions_does_not_tell(twins: Twins) -> None:
    at_most(0.55, "background", twins.probe("background"))


def test_the_probe_would_find_a_leak(twins: Twins) -> None:
    assert twins.probe_of_leak("background") > 0.55


def test_brightness_alone_tells_something_but_not_everything(twins: Twins) -> None:
    """Cysts are black and angiomas bright: benign lesions lie on both sides of malignant ones."""
    distance = np.abs(twins.seen["mean"][:, 0] - np.median(twins.seen["mean"]))
    assert 0.60 <= 1 - auc(distance, twins.positive) <= 0.90
