"""Labels survive the way to a viewer and back."""

from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK

from hepatic.errors import BadInputError
from hepatic.geometry import Grid
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import encode_nrrd, read_labelmap, write_labelmap

SUFFIXES = (".nrrd", ".seg.nrrd", ".nii", ".nii.gz")


@pytest.fixture
def labels(oblique: Grid) -> Labelmap:
    array = np.zeros(oblique.shape, np.uint8)
    array[1:3, 1:4, 2:6] = 1
    array[2, 2, 3:5] = 2
    return Labelmap(array, oblique, {"liver": 1, "HCC, viable: 肝癌 \\new": 2})


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labels_come_back_equal(tmp_path: Path, labels: Labelmap, suffix: str, compress: bool) -> None:
    path = tmp_path / f"a{suffix}"
    write_labelmap(path, labels, compress=compress)
    back = read_labelmap(path)
    assert back.array.dtype == np.uint8
    np.testing.assert_array_equal(back.array, labels.array)
    assert back.grid.matches(labels.grid)
    assert back.names == (labels.names if suffix == ".seg.nrrd" else {})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_itk_reads_the_same_voxels_in_the_same_place(
    tmp_path: Path, labels: Labelmap, suffix: str, itk_grid_of
) -> None:
    path = tmp_path / f"a{suffix}"
    write_labelmap(path, labels)
    image = SimpleITK.ReadImage(str(path))
    assert image.GetPixelID() == SimpleITK.sitkUInt8
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), labels.array)
    assert itk_grid_of(path).matches(labels.grid)


def test_the_space_is_left_posterior_superior(labels: Labelmap) -> None:
    start = encode_nrrd(labels, compress=False).split(b"\n\n")[0].decode()
    assert "space: left-posterior-superior" in start
    assert "type: unsigned char" in start
    assert "sizes: 7 5 4" in start


def test_raw_bytes_lie_linearly_behind_the_header_as_ohif_reads_them(labels: Labelmap) -> None:
    assert encode_nrrd(labels, compress=False).endswith(b"\n\n" + labels.array.tobytes())


def test_slicer_finds_its_keys(tmp_path: Path, labels: Labelmap) -> None:
    write_labelmap(tmp_path / "a.seg.nrrd", labels)
    header = nrrd.read_header(str(tmp_path / "a.seg.nrrd"))
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert header["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    assert header["Segment0_Name"] == "liver"
    image = SimpleITK.ReadImage(str(tmp_path / "a.seg.nrrd"))
    assert image.GetMetaData("Segment1_Name") == "HCC, viable: 肝癌 \\new"
    assert (header["Segment1_LabelValue"], header["Segment1_Layer"]) == ("2", "0")
    assert header["Segment0_Extent"] == "2 5 1 3 1 2"
    assert header["Segment0_ID"] != header["Segment1_ID"]
    assert len(header["Segment0_Color"].split()) == 3


def test_a_label_without_a_name_gets_one_and_an_absent_label_keeps_its_own(tmp_path: Path, oblique: Grid) -> None:
    array = np.zeros(oblique.shape, np.uint8)
    array[0, 0, 0] = 3
    write_labelmap(tmp_path / "a.seg.nrrd", Labelmap(array, oblique, {"liver": 1}))
    assert read_labelmap(tmp_path / "a.seg.nrrd").names == {"liver": 1, "Segment_3": 3}


@pytest.mark.parametrize(("dtype", "back"), [("i2", "u1"), ("f4", "u1"), ("f8", "u1"), ("i4", "u1")])
def test_whole_numbers_of_any_type_are_labels(tmp_path: Path, dtype: str, back: str) -> None:
    values = np.array([[[0, 1, 2]]], dtype)
    nibabel.Nifti1Image(values.T, np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    found = read_labelmap(tmp_path / "a.nii.gz")
    assert found.array.dtype == np.dtype(back)
    assert found.array.tolist() == [[[0, 1, 2]]]


@pytest.mark.parametrize("values", [[0.5, 1], [-1, 0], [np.nan, 1], [np.inf, 1], [70000, 1]])
def test_other_values_are_not_labels(tmp_path: Path, values: list[float]) -> None:
    nibabel.Nifti1Image(np.array([[values]], np.float32).T, np.eye(4)).to_filename(tmp_path / "a.nii")
    with pytest.raises(BadInputError, match="whole label values"):
        read_labelmap(tmp_path / "a.nii")


def test_sixteen_bit_labels_stay_sixteen_bit(tmp_path: Path, oblique: Grid) -> None:
    array = np.full(oblique.shape, 300, np.uint16)
    write_labelmap(tmp_path / "a.nrrd", Labelmap(array, oblique))
    assert read_labelmap(tmp_path / "a.nrrd").array.dtype == np.uint16


@pytest.mark.parametrize("array", [np.zeros((4, 5, 7), np.int16), np.zeros((4, 5, 6), np.uint8)])
def test_what_is_no_labelmap_is_not_written(tmp_path: Path, oblique: Grid, array) -> None:
    with pytest.raises(BadInputError, match="unsigned integers"):
        write_labelmap(tmp_path / "a.nrrd", Labelmap(array, oblique))
    assert not list(tmp_path.iterdir())


def test_another_suffix_is_refused(tmp_path: Path, labels: Labelmap) -> None:
    with pytest.raises(BadInputError, match="suffix"):
        write_labelmap(tmp_path / "a.mha", labels)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, labels: Labelmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nrrd"
    write_labelmap(path, labels)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_labelmap(path, Labelmap(labels.array * 0, labels.grid))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_labels_are_put_on_the_grid_of_their_image(tmp_path: Path, labels: Labelmap) -> None:
    write_labelmap(tmp_path / "a.seg.nrrd", labels)
    found = read_labelmap(tmp_path / "a.seg.nrrd", like=labels.grid)
    assert found.grid is labels.grid


def test_labels_drawn_elsewhere_are_refused(tmp_path: Path, labels: Labelmap) -> None:
    write_labelmap(tmp_path / "a.nrrd", labels)
    affine = labels.grid.affine.copy()
    affine[:3, 3] += 1000
    with pytest.raises(BadInputError, match="overlap"):
        read_labelmap(tmp_path / "a.nrrd", like=Grid(labels.grid.size, affine))
