"""Comments within compressed pixels become spaces, and the picture stays."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image, features
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

from hepatic.io.codestream_text import blanked

PICTURE = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)


def jpeg() -> bytes:
    made, exif = io.BytesIO(), Image.Exif()
    exif[0x013B] = "Hanselmayer"
    Image.fromarray(PICTURE).save(made, "JPEG", comment=b"Aloisia", exif=exif)
    return made.getvalue()


def j2k(*, boxes: bool) -> bytes:
    made = io.BytesIO()
    Image.fromarray(PICTURE).save(made, "JPEG2000", comment=b"Aloisia", no_jp2=not boxes)
    data = made.getvalue()
    if boxes:  # a box with a text, before the codestream
        text = b"\x00\x00\x00\x0fxml Aloisia"
        at = data.index(b"jp2c") - 4
        data = data[:at] + text + data[at:]
    return data


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow writes no JPEG 2000")
@pytest.mark.parametrize("frame", [jpeg(), j2k(boxes=False), j2k(boxes=True)], ids=["jpeg", "j2k", "jp2"])
def test_texts_are_blank_and_the_picture_is_the_same(frame: bytes) -> None:
    assert b"Aloisia" in frame
    data = encapsulate([frame, frame])
    clean = blanked(data)
    assert len(clean) == len(data)
    assert b"Aloisia" not in clean
    assert b"Hanselmayer" not in clean
    for one in generate_frames(clean, number_of_frames=2):
        assert (np.asarray(Image.open(io.BytesIO(one))) == np.asarray(Image.open(io.BytesIO(frame)))).all()


@pytest.mark.parametrize(
    "name",
    ["JPEG2000.dcm", "GDCMJ2K_TextGBR.dcm", "examples_jpeg2k.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jpeg_dcmtk.dcm",
     "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm"],
)  # fmt: skip
def test_pictures_of_files_are_the_same(name: str) -> None:
    dataset = pydicom.dcmread(get_testdata_file(name, download=False))
    before = dataset.pixel_array
    dataset.PixelData = blanked(dataset.PixelData)
    assert (dataset.pixel_array == before).all()


@pytest.mark.parametrize("data", [b"", b"\xfe\xff", b"\xfe\xff\x00\xe0\xff\xff\xff\xff\xff\xd8\xff\xfe", b"x" * 99])
def test_what_is_broken_stays_as_it_is(data: bytes) -> None:
    assert blanked(data) == data
