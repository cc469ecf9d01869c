"""Whatever is cut off or overwritten, there is an image or one clear refusal."""

from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hepatic.errors import BadInputError
from hepatic.io.header import header
from hepatic.io.labelmap import read_labelmap
from hepatic.io.read import read

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

CORPUS = Path(pydicom.__file__).parent / "data" / "test_files"
COMPRESSED = ("SC_rgb_small_odd_jpeg", "MR_small_RLE", "JPEGLSNearLossless_08", "JPEG2000", "image_dfl", "CT_small")
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["xa", "nii", "nii.gz", "nrrd", "seg.nrrd", *COMPRESSED])
def whole(request, make_dicom, tmp_path: Path) -> bytes:
    voxels = np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7)
    if request.param == "xa":
        return make_dicom(voxels, FrameTimeVector=[0, 5, 5], PixelSpacing=[1, 1]).read_bytes()
    path = tmp_path / f"whole.{request.param}"
    if request.param.startswith("nii"):
        nibabel.Nifti1Image(voxels.T, np.eye(4)).to_filename(path)
    elif request.param == "nrrd":
        nrrd.write(str(path), voxels.T)
    elif request.param == "seg.nrrd":
        segments = {"Segment0_ID": "a", "Segment0_LabelValue": "1", "Segment0_Layer": "0", "Segment0_Name": "liver"}
        nrrd.write(str(path), (voxels % 2).T, segments)
    else:
        path = CORPUS / f"{request.param}.dcm"
    return path.read_bytes()


def look(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    refusals = []
    for reader in (header, read, read_labelmap):
        try:
            reader(path)
        except BadInputError as error:
            refusals.append(error)
    assert all(e.what and e.expected and e.came and e.fix for e in refusals)


@MANY
@given(share=st.floats(0, 1))
def test_a_truncated_file(whole: bytes, tmp_path: Path, share: float) -> None:
    look(tmp_path / "damaged", whole[: int(len(whole) * share)])


@MANY
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_overwritten_bytes(whole: bytes, tmp_path: Path, hits: list[tuple[float, int]]) -> None:
    data = bytearray(whole)
    for place, value in hits:
        data[min(int(place**3 * len(data)), len(data) - 1)] = value  # most of them in the header
    look(tmp_path / "damaged", bytes(data))


@MANY
@given(st.floats(0, 1), st.binary(max_size=12))
def test_inserted_bytes(whole: bytes, tmp_path: Path, place: float, more: bytes) -> None:
    at = int(place**3 * len(whole))
    look(tmp_path / "damaged", whole[:at] + more + whole[at:])


@MANY
@given(
    st.sampled_from([b"", b"NRRD0004\n", b"DICM".rjust(132, b"\0"), b"\x1f\x8b\x08\0", b"\x08\0\x05\0"]), st.binary()
)
def test_anything_at_all(tmp_path: Path, start: bytes, rest: bytes) -> None:
    look(tmp_path / "anything", start + rest)
