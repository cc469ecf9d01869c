"""Inflating stops where the header said."""

import gzip
import zlib

import pytest

from hepatic.io.deflate import gzip_bytes, inflate

DATA = bytes(range(256)) * 40


@pytest.mark.parametrize("packed", [gzip.compress(DATA), zlib.compress(DATA), gzip_bytes(DATA[:7], DATA[7:])])
@pytest.mark.parametrize("size", [0, 1, 5000, len(DATA), len(DATA) + 9])
def test_no_more_than_asked_for_comes_out(packed: bytes, size: int) -> None:
    assert inflate(packed, size) == DATA[:size]


def test_several_members_are_one_stream() -> None:
    assert inflate(gzip.compress(DATA) + gzip.compress(DATA), 2 * len(DATA)) == DATA * 2


def test_a_wrong_checksum_is_noticed() -> None:
    packed = bytearray(gzip.compress(DATA))
    packed[-6] ^= 1
    with pytest.raises(zlib.error, match="incorrect data check"):
        inflate(bytes(packed), len(DATA))


def test_a_checksum_cut_off_is_noticed() -> None:
    with pytest.raises(EOFError):
        inflate(gzip.compress(DATA)[:-3], len(DATA))


def test_a_stream_cut_off_gives_what_is_there() -> None:
    packed = zlib.compress(DATA, 0)
    assert DATA.startswith(inflate(packed[:4000], len(DATA)))
    assert len(inflate(packed[:4000], len(DATA))) < 4000
