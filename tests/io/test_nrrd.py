"""NRRD in its spaces and encodings."""

from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK

from hepatic.errors import BadInputError
from hepatic.io.image import Cine, Volume
from hepatic.io.read import read

VOXELS = np.arange(4 * 5 * 7, dtype=np.int16).reshape(4, 5, 7)
DIRECTIONS = [[0.0, 0.5, 0.0], [-0.48, 0.0, -0.64], [-3.2, 0.0, 2.4]]
FLIPS = {"left-posterior-superior": (1, 1), "right-anterior-superior": (-1, -1), "left-anterior-superior": (1, -1)}


def save(path: Path, voxels=VOXELS, **fields) -> Path:
    standard = {"space": "left-posterior-superior", "space directions": DIRECTIONS, "space origin": [1, 2, 3]}
    nrrd.write(str(path), voxels.T, standard | fields)
    return path


@pytest.mark.parametrize("space", FLIPS)
def test_every_space_becomes_lps(tmp_path: Path, itk_grid_of, space: str) -> None:
    path = save(tmp_path / "a.nrrd", space=space)
    volume = read(path)
    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.array, VOXELS)
    np.testing.assert_allclose(volume.grid.origin, (FLIPS[space][0] * 1, FLIPS[space][1] * 2, 3))
    assert volume.grid.matches(itk_grid_of(path))


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_every_encoding_holds_the_same_voxels(tmp_path: Path, encoding: str) -> None:
    np.testing.assert_array_equal(read(save(tmp_path / "a.nrrd", encoding=encoding)).array, VOXELS)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_type_is_read(tmp_path: Path, dtype: str) -> None:
    voxels = (VOXELS % 100).astype(dtype)
    array = read(save(tmp_path / "a.nrrd", voxels)).array
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array, voxels)


def test_big_endian_values_come_in_native_order(tmp_path: Path) -> None:
    array = read(save(tmp_path / "a.nrrd", VOXELS.astype(">i2"), endian="big")).array
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, VOXELS)


def test_spacings_without_a_space_are_enough(tmp_path: Path, itk_grid_of) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), VOXELS.T, {"spacings": [0.7, 0.8, 5.0]})
    assert read(tmp_path / "a.nrrd").grid.spacing == (0.7, 0.8, 5.0)
    assert read(tmp_path / "a.nrrd").grid.matches(itk_grid_of(tmp_path / "a.nrrd"))


def test_a_header_may_have_its_data_beside_it(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nhdr"), VOXELS.T)
    np.testing.assert_array_equal(read(tmp_path / "a.nhdr").array, VOXELS)


@pytest.mark.parametrize("elsewhere", ["../secret.raw", "/etc/passwd", "LIST", "a%03d.raw 1 3 1"])
def test_but_not_elsewhere(tmp_path: Path, elsewhere: str) -> None:
    nrrd.write(str(tmp_path / "a.nhdr"), VOXELS.T, {"encoding": "raw"})
    header = (tmp_path / "a.nhdr").read_text().replace("data file: a.raw", f"data file: {elsewhere}")
    (tmp_path / "a.nhdr").write_text(header)
    with pytest.raises(BadInputError):
        read(tmp_path / "a.nhdr")


def test_colour_is_a_cine(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (4, 5, 7, 3), dtype=np.uint8)
    image = SimpleITK.GetImageFromArray(colours, isVector=True)
    image.SetSpacing((0.5, 0.6, 2.0))
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    run = read(tmp_path / "a.nrrd")
    assert isinstance(run, Cine)
    assert run.grid.size == (7, 5, 4)
    assert run.grid.spacing == pytest.approx((0.5, 0.6, 2.0))
    np.testing.assert_array_equal(run.frames, colours)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sizes: 7 5 4", "sizes: -7 5 4"),
        ("sizes: 7 5 4", "sizes: 0 5 4"),
        ("sizes: 7 5 4", "sizes: 70000 70000 70000"),
        ("sizes: 7 5 4", "sizes: 700 500 400"),
        ("sizes: 7 5 4", "sizes: 7 5"),
        ("type: int16", "type: block"),
        ("type: int16", "type: quaternion"),
        ("encoding: raw", "encoding: hex"),
        ("encoding: raw", "encoding: raw\nline skip: 3"),
        ("(0,0.5,0)", "(0,0,0)"),
        ("(0,0.5,0)", "(nan,1,1)"),
        ("(0,0.5,0)", "(-4.8,0,3.6)"),
        ("NRRD000", "NRRD999"),
    ],
)
def test_an_absurd_header_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = save(tmp_path / "a.nrrd", encoding="raw")
    data = path.read_bytes()
    assert old.encode() in data
    path.write_bytes(data.replace(old.encode(), new.encode(), 1))
    with pytest.raises(BadInputError):
        read(path)
