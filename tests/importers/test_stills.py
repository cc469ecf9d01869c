"""Pictures of 8 and 16 bits come in as bright as they are."""

import base64
import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from hepatic.errors import BadInputError
from hepatic.importers.stills import GreyDepth, read_picture
from hepatic.io.read import read

RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))


def encoded(values, kind="png"):
    stream = BytesIO()
    Image.fromarray(values).save(stream, kind)
    return stream.getvalue()


def looked_at(*pictures):
    depth = GreyDepth()
    for picture in pictures:
        depth.add(lambda picture=picture: picture)
    return depth


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_black_stays_black_and_the_brightest_of_so_many_bits_becomes_white(kind, bits):
    data = encoded(np.rint(RAMP * (2**bits - 1)).astype(np.uint16), kind)
    depth = looked_at(data)
    assert depth.bits == bits
    picture = read_picture(data, "a", depth)
    assert picture.dtype == np.uint8
    assert np.abs(picture - 255 * RAMP).max() <= 0.5 + 255 / 2**bits


def test_a_dark_picture_stays_dark_beside_a_bright_one():
    bright = encoded(np.rint(RAMP * 4095).astype(np.uint16))
    dark = encoded(np.rint(RAMP * 500).astype(np.uint16))
    depth = looked_at(dark, bright)
    assert read_picture(bright, "a", depth).max() == 255
    assert read_picture(dark, "b", depth).max() == round(500 * 255 / 4095)


def test_eight_bits_are_left_as_they_are_and_count_for_nothing():
    grey = np.rint(RAMP * 100).astype(np.uint8)
    depth = looked_at(encoded(grey), b"broken")
    assert np.array_equal(read_picture(encoded(grey), "a", depth), grey)
    assert depth.bits == 8


def test_white_is_zero_is_turned_round():
    values = np.rint(RAMP * 65535).astype(np.uint16)
    stream = BytesIO()
    Image.fromarray(values).save(stream, "tiff", tiffinfo={262: 0})
    turned = read_picture(stream.getvalue(), "a", looked_at(stream.getvalue()))
    assert np.abs(turned - 255 * (1 - RAMP)).max() <= 1


def test_values_of_32_bits_are_refused():
    data = encoded(RAMP.astype(np.float32), "tiff")
    with pytest.raises(BadInputError, match="16-bit"):
        read_picture(data, "a.tif", looked_at(data))


def test_a_data_set_of_labelme_has_one_range_beside_its_files_and_in_them(bring, store, tmp_path):
    bright, dark = (np.rint(RAMP * top).astype(np.uint16) for top in (4095, 819))
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "dark.png").write_bytes(encoded(dark))
    shape = {"label": "cyst", "shape_type": "rectangle", "points": [[10, 6], [30, 20]]}
    for name, data in (("dark", None), ("bright", base64.b64encode(encoded(bright)).decode())):
        content = {"imagePath": f"{name}.png", "imageData": data, "shapes": [shape]}
        (folder / f"{name}.json").write_text(json.dumps(content))
    assert [(one.image, one.label) for one in bring("labelme", folder).values()] == [("added", "added")] * 2
    brightest = {read(store.source(image.id)).frames.max() for image in store.images.all()}
    assert brightest == {255, 51}
