"""Comments within compressed pixels become spaces, and the picture stays."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image, features
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

from hepatic.errors import BadInputError
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
    dataset.PixelData = blanked(dataset.PixelData, is_rle="RLE" in name)
    assert (dataset.pixel_array == before).all()


def _items(*fragments: bytes, table: bytes = b"") -> bytes:
    return b"".join(b"\xfe\xff\x00\xe0" + len(one).to_bytes(4, "little") + one for one in (table, *fragments))


def hidden() -> dict[str, bytes]:
    """Pixel data with a name in every place that a picture does not need."""
    frame = jpeg()
    comment = b"\xff\xfe\x00\x0aAloisia "
    scan = frame.index(b"\xff\xda")
    tile = j2k(boxes=False)
    start = tile.index(b"\xff\x90")
    size = int.from_bytes(tile[start + 6 : start + 10], "big")
    longer = tile[: start + 6] + (size + 13).to_bytes(4, "big") + tile[start + 10 : start + 12]
    return {
        "other application segments": b"\xff\xd8" + b"".join(
            bytes((0xFF, 0xE0 + n)) + b"\x00\x0a" + b"Aloisia " for n in range(16)
        ) + frame[2:],
        "a long Adobe segment": b"\xff\xd8\xff\xee\x00\x16Adobe\x00\x64\x00\x00\x00\x00\x00Aloisia " + frame[2:],
        "a thumbnail": b"\xff\xd8\xff\xe0\x00\x19JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x01\x03Aloisia.." + frame[20:],
        "before the scan": frame[:scan] + comment + frame[scan:],
        "after the scan": frame[:-2] + comment + frame[-2:],
        "behind the end": frame + b"Aloisia ",
        "behind the end of JPEG 2000": j2k(boxes=False) + b"Aloisia ",
        "a box behind": j2k(boxes=True) + b"\x00\x00\x00\x10uuidAloisia ",
        "a tile": longer + tile[start + 12 : start + 12] + b"\xff\x64\x00\x0b\x00\x01Aloisia" + tile[start + 12 :],
    }  # fmt: skip


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow writes no JPEG 2000")
@pytest.mark.parametrize("where", hidden())
@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_no_place_beside_the_picture_keeps_a_name(where: str, pieces: int) -> None:
    frame = hidden()[where]
    frame += b"\0" * (len(frame) % 2)
    assert b"Aloisia" in frame
    step = -(-len(frame) // pieces // 2) * 2
    clean = blanked(_items(*(frame[at : at + step] for at in range(0, len(frame), step))))
    (made,) = generate_frames(clean, number_of_frames=1)
    assert b"Aloisia" not in made
    assert (np.asarray(Image.open(io.BytesIO(made))) == np.asarray(Image.open(io.BytesIO(frame)))).all()


@pytest.mark.parametrize("table", [b"Aloisia ", b"\x07\0\0\0", b"Alois"])
def test_an_offset_table_that_is_none_goes(table: bytes) -> None:
    clean = blanked(_items(jpeg() + b"\0" * (len(jpeg()) % 2), table=table))
    assert clean[:8] == b"\xfe\xff\x00\xe0\0\0\0\0"
    assert b"Alois" not in clean
    assert len(list(generate_frames(clean, number_of_frames=1))) == 1


def test_an_offset_table_stays() -> None:
    data = encapsulate([jpeg(), jpeg()], has_bot=True)
    assert blanked(data)[:24] == data[:24]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xfe\xff", b"\xfe\xff\x00\xe0\xff\xff\xff\xff\xff\xd8\xff\xfe", b"x" * 99, _items(b"\0\0\1\xb3 a film"),
     _items(jpeg()[:-40] + b"\xff\xe1\xff\xff"), _items(jpeg()) + b"Aloisia", _items(b"\xff\xd8\xff\0\0\4xx"),
     _items(b"\xff\x4f\xff\x93"), _items(b"\0\0\0\x0cjP  \0\0\0\0" + b"\0\0\0\x01abcd")],
)  # fmt: skip
def test_what_cannot_be_walked_is_refused(data: bytes) -> None:
    with pytest.raises(BadInputError, match="comments can be told"):
        blanked(data)


def test_a_header_of_rle_has_no_text() -> None:
    dataset = pydicom.dcmread(get_testdata_file("MR_small_RLE.dcm", download=False))
    data = bytearray(dataset.PixelData)
    at = data.index(b"\x40\0\0\0") + 40
    data[at : at + 8] = b"Aloisia "
    with pytest.raises(BadInputError):
        blanked(bytes(data), is_rle=True)
