import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from hepatic.errors import BadInputError
from hepatic.io.grid import grid_of
from hepatic.io.labelmap import read_labelmap
from hepatic.io.read import read
from hepatic.io.ultrasound import Ultrasound
from sample_data import us
from sample_data.truth import read_truth
from sample_data.us.still import screen_of
from sample_data.us.us_image import Series, us_still
from sample_data.us.write import stored
from server.cli import app


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("us")


@pytest.fixture(scope="module")
def written(out: Path) -> list[Path]:
    return us.write_us(out, 2, seed=122, size="tiny") + us.write_us(out, 1, seed=30, kind="homogeneous")


def test_files_have_no_errors(written: list[Path], dicom_errors: Callable[[Path], list[str]]) -> None:
    for file in written:
        assert dicom_errors(file) == []


def test_the_validator_would_see_an_error(
    written: list[Path], tmp_path: Path, dicom_errors: Callable[[Path], list[str]]
) -> None:
    ds = pydicom.dcmread(written[0])
    del ds.SequenceOfUltrasoundRegions[0].PhysicalDeltaX
    ds.save_as(tmp_path / "broken.dcm")
    assert dicom_errors(tmp_path / "broken.dcm") != []


def test_files_lie_by_patient_study_and_series(out: Path, written: list[Path]) -> None:
    for file in written:
        ds = pydicom.dcmread(file, stop_before_pixels=True)
        folder = out / "studies" / ds.PatientID / ds.StudyInstanceUID / ds.SeriesInstanceUID
        assert file == folder / f"{ds.SOPInstanceUID}.dcm"
        assert (ds.BurnedInAnnotation, ds.SOPClassUID) == ("YES", pydicom.uid.UltrasoundImageStorage)
    assert [file.parents[2].name for file in written] == ["US00122", "US00123", "US00030"]


def test_half_of_the_stills_are_stored_in_colour_and_look_the_same() -> None:
    screen = screen_of(us.simulate(7, kind="cyst", size="tiny"), patient_id="US00007")
    kept = [stored(screen, seed) for seed in range(60)]
    coloured = [one for one in kept if one.pixels.ndim == 4]
    assert 20 < len(coloured) < 40
    assert (coloured[0].pixels == screen.pixels[..., None]).all()
    ds = us_still(coloured[0], Series(("test",), "US00007", 1, "Liver", "100200"))
    assert (ds.PhotometricInterpretation, ds.UltrasoundColorDataPresent) == ("RGB", 1)


def test_a_region_gives_the_size_of_a_lesion(out: Path) -> None:
    (file,) = us.write_us(out, 1, seed=5, kind="hcc")
    ds = pydicom.dcmread(file, stop_before_pixels=True)
    (region,) = ds.SequenceOfUltrasoundRegions
    (lesion,) = read_truth(out)["images"][ds.SeriesInstanceUID]["lesions"]
    x0, y0, x1, y1 = lesion["box"]
    wide_mm, high_mm = (x1 - x0 + 1) * region.PhysicalDeltaX * 10, (y1 - y0 + 1) * region.PhysicalDeltaY * 10
    assert np.sqrt(wide_mm * high_mm) == pytest.approx(lesion["size_mm"], rel=0.2)
    assert region.RegionLocationMinX0 < x0 < x1 < region.RegionLocationMaxX1 < ds.Columns
    assert region.RegionLocationMinY0 < y0 < y1 < region.RegionLocationMaxY1 < ds.Rows


def test_the_truth_says_what_there_is(out: Path, written: list[Path]) -> None:
    images = read_truth(out)["images"]
    told = [images[file.parent.name] for file in written]
    for index, about in enumerate(told[:2]):
        patient = us.draw_patient(122 + index)
        assert (about["kind"], about["malignant"]) == (patient.kind, patient.kind in us.MALIGNANT)
        assert [lesion["kind"] for lesion in about["lesions"]] == [lesion.kind for lesion in patient.lesions]
    assert (told[2]["kind"], told[2]["lesions"]) == ("homogeneous", [])


def test_segments_lie_on_their_picture_and_are_called_by_their_kind(out: Path, written: list[Path]) -> None:
    images = read_truth(out)["images"]
    for file in written:
        about = images[file.parent.name]
        labels = read_labelmap(out / "truth" / f"{file.parent.name}.seg.nrrd", like=grid_of(file))
        assert labels.names == {about["kind"]: 1}
        rows, columns = labels.array[0].any(1), labels.array[0].any(0)
        if not about["lesions"]:
            assert not rows.any()
            continue
        boxes = np.array([lesion["box"] for lesion in about["lesions"]])
        found = [columns.argmax(), rows.argmax(), len(columns) - 1 - columns[::-1].argmax()]
        assert found == [boxes[:, 0].min(), boxes[:, 1].min(), boxes[:, 2].max()]


def test_the_header_says_nothing_about_the_lesion() -> None:
    made = []
    for kind in us.KINDS:
        still = us.simulate(7, kind=kind, size="tiny")
        series = Series(("hepatic", "us", 7, "tiny"), "US00007", 1, "Liver", "100200")
        made.append(us_still(screen_of(still, patient_id="US00007"), series))
    for other in made[1:]:
        assert {one.keyword for one in made[0] if other[one.tag].value != one.value} == {"PixelData"}


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (1, -1)])
def test_impossible_wishes_are_refused(tmp_path: Path, count: int, seed: int) -> None:
    with pytest.raises(BadInputError):
        us.write_us(tmp_path, count, seed=seed)
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match="a folder"):
        us.write_us(tmp_path / "file", 1)


def test_the_documented_command_draws_every_kind_about_as_often_as_documented() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "ultrasound.md").read_text()
    (found,) = re.findall(r"^hepatic sample-data OUT --us (\d+) --ceus \d+ --seed (\d+)$", docs, re.M)
    count, seed = map(int, found)
    drawn = Counter(us.draw_patient(number).kind for number in range(seed, seed + count))
    assert drawn.pop("homogeneous") == 0.4 * count
    assert set(drawn) == set(us.KINDS) - {"homogeneous"}
    assert set(drawn.values()) <= {3, 4, 5}


def test_none_of_all_is_refused_and_writes_no_angiographies(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(BadInputError, match="at least one"):
        CliRunner().invoke(app, ["sample-data", str(out), "--us", "0", "--ceus", "0"], catch_exceptions=False)
    assert not out.exists()


def test_the_command_writes_both_and_no_liver_as_two_patients(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["sample-data", str(tmp_path), "--us", "1", "--ceus", "1", "--seed", "4"])
    assert done.exit_code == 0, done.output
    assert "1 B-mode stills and 1 contrast cines" in done.output
    shows = sorted(one["shows"] for one in read_truth(tmp_path)["images"].values())
    assert shows == ["B-mode", "B-mode", "CEUS"]
    assert not list(tmp_path.glob("studies/DSA*"))
    files = tmp_path.glob("studies/*/*/*/*.dcm")
    stills = [file for file in files if "NumberOfFrames" not in pydicom.dcmread(file, stop_before_pixels=True)]
    one, other = (_upper_middle(file) for file in stills)
    assert np.corrcoef(one, other)[0, 1] < 0.5, "it is .86 where both are drawn from one seed"


def _upper_middle(still: Path) -> NDArray[np.float64]:
    ultrasound = Ultrasound.of(read(still))
    fan = ultrasound.picture(ultrasound.regions[0])[0]
    middle = fan.shape[1] // 2
    return fan[30:250, middle - 80 : middle + 80].astype(float).ravel()
