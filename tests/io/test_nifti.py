"""NIfTI speaks RAS, everything here LPS."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from hepatic.errors import BadInputError
from hepatic.io.image import Volume
from hepatic.io.read import read

VOXELS = np.arange(4 * 5 * 7, dtype=np.int16).reshape(4, 5, 7)
OBLIQUE_RAS = np.array([[0, -0.48, -3.2, 11], [0.7, 0, 0, -22], [0, -0.64, 2.4, 33], [0, 0, 0, 1]], float)
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def save(path: Path, *, sform=None, qform=None, sform_code=1, voxels=VOXELS, **header) -> Path:
    image = nibabel.Nifti1Image(voxels.T, None)
    image.header.set_xyzt_units("mm")
    if qform is not None:
        image.set_qform(qform, code=1)
    if sform is not None:
        image.set_sform(sform, code=sform_code)
        if qform is None:
            image.header["pixdim"][1:4] = np.linalg.norm(sform[:3, :3], axis=0)
    for key, value in header.items():
        image.header[key] = value
    image.to_filename(path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_an_oblique_volume_is_turned_from_ras_to_lps(tmp_path: Path, itk_grid_of, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", sform=OBLIQUE_RAS)
    volume = read(path)
    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.array, VOXELS)
    np.testing.assert_allclose(volume.grid.affine, FLIP @ OBLIQUE_RAS, atol=1e-5)
    assert volume.grid.matches(itk_grid_of(path))


def test_what_itk_writes_is_read_back_where_it_was(tmp_path: Path, oblique, write_with_itk) -> None:
    write_with_itk(tmp_path / "a.nii.gz", VOXELS, oblique)
    assert read(tmp_path / "a.nii.gz").grid.matches(oblique)


OTHER = FLIP @ OBLIQUE_RAS
SHEARED = OBLIQUE_RAS + np.array([[0, 0.3, 0, 0]] + [[0] * 4] * 3)
STRAIGHT = np.diag([0.7, 0.8, 4.0, 1.0])


@pytest.mark.parametrize(
    "forms",
    [
        {"qform": OBLIQUE_RAS},
        {"qform": OBLIQUE_RAS, "sform": OTHER, "sform_code": 2},
        {"qform": OBLIQUE_RAS, "sform": OTHER, "sform_code": 1},
        {"qform": OBLIQUE_RAS, "sform": OBLIQUE_RAS, "sform_code": 2},
        {"qform": OBLIQUE_RAS, "sform": SHEARED, "sform_code": 1},
        {"sform": STRAIGHT, "sform_code": 4},
        {"sform": STRAIGHT, "pixdim": [1, 2, 2, 2, 0, 0, 0, 0]},
        {},
        {"pixdim": [1, 2, 3, 4, 0, 0, 0, 0]},
        {"qform": OBLIQUE_RAS, "pixdim": [-1, 0.7, 0.8, 4, 0, 0, 0, 0]},
    ],
    ids=["q", "q before aligned s", "scanner s before q", "same", "sheared s", "mni s", "pixdim wins", "none",
         "only spacing", "left-handed q"],
)  # fmt: skip
def test_sform_and_qform_are_chosen_as_itk_chooses(tmp_path: Path, itk_grid_of, forms) -> None:
    path = save(tmp_path / "a.nii", **forms)
    assert read(path).grid.matches(itk_grid_of(path))


def test_metres_and_microns_become_millimetres(tmp_path: Path, itk_grid_of) -> None:
    for name, code in (("metre.nii", 1), ("micron.nii", 3)):
        path = save(tmp_path / name, sform=STRAIGHT, xyzt_units=code)
        assert read(path).grid.spacing == pytest.approx(itk_grid_of(path).spacing)


def test_a_slice_is_a_volume_of_one(tmp_path: Path) -> None:
    assert read(save(tmp_path / "a.nii", voxels=VOXELS[0], sform=STRAIGHT)).grid.size == (7, 5, 1)


def test_scaling_is_applied(tmp_path: Path) -> None:
    volume = read(save(tmp_path / "a.nii", sform=STRAIGHT, scl_slope=0.5, scl_inter=10))
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, VOXELS * 0.5 + 10)


def test_big_endian_values_come_in_native_order(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOXELS.T.astype(">i2"), np.eye(4), nibabel.Nifti1Header(endianness=">"))
    image.to_filename(tmp_path / "a.nii")
    array = read(tmp_path / "a.nii").array
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, VOXELS)


def test_nifti_2_is_read_too(tmp_path: Path) -> None:
    nibabel.Nifti2Image(VOXELS.T, np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read(tmp_path / "a.nii.gz").array, VOXELS)


def test_a_time_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="4 axes"):
        read(save(tmp_path / "a.nii", voxels=np.zeros((3, 2, 2, 2), np.uint8)))


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ({"dim": [3, -7, 5, 4, 1, 1, 1, 1]}, "positive"),
        ({"dim": [3, 32767, 32767, 32767, 1, 1, 1, 1]}, "at most"),
        ({"dim": [3, 1000, 1000, 900, 1, 1, 1, 1]}, "bytes"),
        ({"vox_offset": 1e12}, "behind the header"),
        ({"vox_offset": np.nan}, "NIfTI"),
        ({"datatype": 9999}, "NIfTI"),
        ({"srow_x": [np.nan, 0, 0, 0]}, "axes"),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_an_absurd_header_is_refused(tmp_path: Path, header, word: str, suffix: str) -> None:
    data = bytearray(save(tmp_path / "ok.nii", sform=STRAIGHT).read_bytes())
    record = np.frombuffer(data, nibabel.nifti1.header_dtype, 1)
    for key, value in header.items():
        record[key][0] = value
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(gzip.compress(bytes(data)) if suffix == ".nii.gz" else bytes(data))
    with pytest.raises(BadInputError, match=word):
        read(path)


def test_a_bomb_is_not_inflated_beyond_its_header(tmp_path: Path) -> None:
    plain = save(tmp_path / "a.nii", sform=STRAIGHT).read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(plain + bytes(100 << 20), 1))
    np.testing.assert_array_equal(read(tmp_path / "a.nii.gz").array, VOXELS)
