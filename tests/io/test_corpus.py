"""Every file that ships with pydicom and nibabel is read or refused, and nothing else."""

import time
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK

from hepatic.errors import BadInputError
from hepatic.geometry import Grid, grid_from_parts
from hepatic.io.header import header
from hepatic.io.image import Cine
from hepatic.io.read import read

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

PYDICOM, NIBABEL = Path(pydicom.__file__).parent / "data", Path(nibabel.__file__).parent
CORPUS = sorted(
    path
    for root in (PYDICOM, NIBABEL)
    for path in root.rglob("*")
    if path.is_file() and path.suffix not in (".py", ".pyc") and "data" in path.parts
)
SECONDS = 5.0


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_a_file_of_the_corpus_is_an_image_or_is_refused_in_four_parts(path: Path) -> None:
    started = time.perf_counter()
    try:
        image = read(path)
    except BadInputError as error:
        refusal = error
    else:
        refusal = None
    assert time.perf_counter() - started < SECONDS
    if refusal is not None:
        assert all((refusal.what, refusal.expected, refusal.came, refusal.fix))
        assert str(path.parent) not in str(refusal)
    else:
        pixels = image.frames if isinstance(image, Cine) else image.array
        assert pixels.shape[:3] == image.grid.shape
        assert np.isfinite(image.grid.affine).all()
        assert np.linalg.det(image.grid.affine) != 0
        found = header(path)
        assert (found.size, found.kind) == (image.grid.size, "cine" if isinstance(image, Cine) else "volume")


def test_the_images_of_the_corpus_lie_on_itks_grid() -> None:
    grids = {path: read(path).grid for path in CORPUS if _readable(path)}
    assert len(grids) >= 90
    elsewhere = [path.name for path, grid in grids.items() if not _itk_grid(path).matches(grid)]
    assert not elsewhere


def _readable(path: Path) -> bool:
    try:
        read(path)
    except BadInputError:
        return False
    return True


def _itk_grid(path: Path) -> Grid:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return grid_from_parts(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


REFUSED = {
    "MR_truncated.dcm": "truncated",
    "JPEG2000-embedded-sequence-delimiter.dcm": "3722445056",
    "JPEG-lossy.dcm": "cannot be decoded",
    "chrJapMulti.dcm": "at most",
    "reportsi.dcm": "Basic Text SR",
    "liver_1frame.dcm": "Segmentation Storage",
    "rtdose.dcm": "RT Dose",
    "rtplan.dump": "another kind of file",
    "zipMR.gz": "gzip archive",
    "functional.nii": "4 axes",
}


@pytest.mark.parametrize(("name", "word"), REFUSED.items())
def test_a_refusal_says_what_is_wrong(name: str, word: str) -> None:
    with pytest.raises(BadInputError, match=word):
        read(next(path for path in CORPUS if path.name == name))
