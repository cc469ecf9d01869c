"""The same bytes have the same name."""

import hashlib
import os
from pathlib import Path

import pytest

from hepatic.errors import NotFoundError
from hepatic.io.content import content_hash


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name in ("a", "b", ".hidden"):
        (tmp_path / name).write_bytes(name.encode())
    return [tmp_path / "a", tmp_path / "b"]


def test_one_file_is_named_by_its_sha256(files: list[Path]) -> None:
    assert content_hash(files[0]) == hashlib.sha256(b"a").hexdigest()


def test_neither_order_nor_names_nor_hidden_files_count(files: list[Path]) -> None:
    before = content_hash(files[0].parent)
    assert content_hash(files) == content_hash(files[::-1]) == before
    files[0].rename(files[0].with_name("z"))
    assert content_hash(files[0].parent) == before


def test_a_changed_file_gets_another_name(files: list[Path]) -> None:
    before = content_hash(files[0])
    files[0].write_bytes(b"c")
    os.utime(files[0], ns=(0, 12345))
    assert content_hash(files[0]) == hashlib.sha256(b"c").hexdigest() != before


def test_an_unchanged_file_is_read_once(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = content_hash(files[0])
    monkeypatch.setattr("hashlib.file_digest", None)
    assert content_hash(files[0]) == first


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        content_hash(tmp_path / "none")
