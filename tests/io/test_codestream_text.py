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
    dataset.PixelData = blanked(dataset.PixelData, rle=(2, 64 * 64) if "RLE" in name else None)
    assert (dataset.pixel_array == before).all()


def _items(*fragments: bytes, table: bytes = b"") -> bytes:
    return b"".join(b"\xfe\xff\x00\xe0" + len(one).to_bytes(4, "little") + one for one in (table, *fragments))


def segment(marker: int, text: bytes = b"Aloisia ") -> bytes:
    return bytes((0xFF, marker)) + (len(text) + 2).to_bytes(2, "big") + text


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
        "an Adobe segment that says something else": frame[:2] + segment(0xEE, b"AdobeAloisia") + frame[2:],
        "a second JFIF segment": frame[:20] + segment(0xE0, b"JFIF\0Aloisia  ") + frame[20:],
        **{
            f"segment FF{marker:02X} of JPEG": frame[:2] + segment(marker) + frame[2:]
            for marker in (0xC8, 0xDC, 0xDE, 0xDF, 0xF7, 0xF8, 0xCC)
        },
        **{
            f"segment FF{marker:02X} of JPEG 2000": tile[:start] + segment(marker) + tile[start:]
            for marker in (0x50, 0x55, 0x57, 0x63, 0x64, 0x6F, 0x7A)
        },
        "brands": j2k(boxes=True).replace(
            b"\0\0\0\x14ftypjp2 \0\0\0\0", b"\0\0\0\x1cftypjp2 Alo\0Aloisia "
        ),
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
    assert b"Alo" in frame
    step = -(-len(frame) // pieces // 2) * 2
    clean = blanked(_items(*(frame[at : at + step] for at in range(0, len(frame), step))))
    (made,) = generate_frames(clean, number_of_frames=1)
    assert b"Alo" not in made
    shown = np.asarray(Image.open(io.BytesIO(j2k(boxes=False) if "2000" in where or "tile" in where else jpeg())))
    if not frame.startswith(b"\xff\xd8"):
        shown = PICTURE
    assert (np.asarray(Image.open(io.BytesIO(made))) == shown).all()


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
        blanked(bytes(data), rle=(2, 64 * 64))


def test_a_marker_of_jpeg_2000_that_has_no_length_is_refused() -> None:
    frame = j2k(boxes=False)
    at = frame.index(b"\xff\x90")
    with pytest.raises(BadInputError):
        blanked(_items(frame[:at] + segment(0x30) + frame[at:]))


def packed(runs: bytes, *, behind: bytes = b"") -> bytes:
    """One segment of RLE in a frame."""
    frame = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + runs + behind
    return _items(frame + bytes(len(frame) % 2))


def test_behind_the_runs_of_rle_is_nothing() -> None:
    literal, repeated = b"\x03abcd", b"\xfd\x07"
    clean = blanked(packed(literal + repeated, behind=b"Aloisia "), rle=(1, 8))
    assert clean == packed(literal + repeated, behind=b"\x80" * 9)
    clean = blanked(packed(repeated + b"\x0aabcdAloisia"), rle=(1, 8))  # a run longer than the picture
    assert clean[: -len(b"Aloisia")].endswith(repeated + b"\x03abcd")
    assert b"Aloisia" not in clean
    assert blanked(packed(literal + repeated, behind=b"\0"), rle=(1, 8)) == packed(literal + repeated, behind=b"\0")
    for few in ((1, 9), (2, 8)):
        with pytest.raises(BadInputError):
            blanked(packed(literal + repeated), rle=few)


def test_what_is_behind_the_runs_does_not_change_a_picture() -> None:
    dataset = pydicom.dcmread(get_testdata_file("MR_small_RLE.dcm", download=False))
    before = dataset.pixel_array
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    second = int.from_bytes(frame[8:12], "little")
    text = b"Aloisia Gruenwald "
    moved = frame[:8] + (second + len(text)).to_bytes(4, "little") + frame[12:second] + text + frame[second:] + text
    dataset.PixelData = blanked(encapsulate([moved]), rle=(2, 64 * 64))
    assert b"Aloisia" not in dataset.PixelData
    assert (dataset.pixel_array == before).all()


@pytest.mark.parametrize("marker", [0xC8, 0xDC, 0xF7, 0xF8, 0xFE, 0xE8])
def test_segments_of_jpeg_ls_that_no_picture_needs_are_blank(marker: int) -> None:
    dataset = pydicom.dcmread(get_testdata_file("MR_small_jpeg_ls_lossless.dcm", download=False))
    before = dataset.pixel_array
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = blanked(encapsulate([frame[:2] + segment(marker) + frame[2:]]))
    assert b"Aloisia" not in dataset.PixelData
    assert (dataset.pixel_array == before).all()
