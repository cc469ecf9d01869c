"""Archives: unpacked under names of ours, within limits, or refused."""

import io
import stat
import tarfile
import warnings
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hepatic.errors import BadInputError
from server.intake.archive import Limits, unpack

LIMITS = Limits(files=5, bytes=1 << 20)


def zipped(path, members, *, packing=zipfile.ZIP_DEFLATED):
    with warnings.catch_warnings():  # of names that are there twice
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "w", packing) as archive:
            for name, data in members:
                archive.writestr(zipfile.ZipInfo(name) if isinstance(name, str) else name, data, packing)
    return path


def tarred(path, members):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz"])
def test_files_come_out_under_names_of_ours(tmp_path, name):
    archive = (zipped if name == "a.zip" else tarred)(
        tmp_path / name, [("SE0/IM0", b"one"), ("SE0\\IM1", b"two"), ("SE0/IM0", b"three")]
    )
    (tmp_path / "out").mkdir()
    files = unpack(archive, tmp_path / "out", LIMITS)
    assert [file.name for file in files] == ["00000", "00001", "00002"]
    assert [file.read_bytes() for file in files] == [b"one", b"two", b"three"]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("evil", ["../../x", "a/../../x", "/etc/x", "C:\\x", "\\\\host\\x", "..\\x"])
def test_a_name_that_leads_elsewhere_refuses_the_archive(tmp_path, pack, evil):
    archive = pack(tmp_path / ("a.zip" if pack is zipped else "a.tar"), [("good", b"1"), (evil, b"2")])
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInputError, match="leads elsewhere"):
        unpack(archive, tmp_path / "out", LIMITS)
    assert {path.name for path in tmp_path.iterdir()} == {archive.name, "out"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(BadInputError, match="a link or a device"):
        unpack(tmp_path / "a.tar", tmp_path, LIMITS)


def test_links_in_a_zip_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(BadInputError, match="a link or a device"):
        unpack(zipped(tmp_path / "a.zip", [(link, b"/etc/passwd")]), tmp_path, LIMITS)


def test_what_comes_out_is_counted(tmp_path):
    (tmp_path / "few").mkdir()
    (tmp_path / "out").mkdir()
    many = zipped(tmp_path / "many.zip", [(f"{number}", b"") for number in range(6)])
    with pytest.raises(BadInputError, match="up to 5 entries"):
        unpack(many, tmp_path / "few", LIMITS)
    for name, pack in (("large.zip", zipped), ("large.tar.gz", tarred)):
        large = pack(tmp_path / name, [("zeros", bytes((1 << 20) + 1))])
        with pytest.raises(BadInputError, match="at most 1 MiB"):
            unpack(large, tmp_path / "out", LIMITS)
        [left] = (tmp_path / "out").iterdir()
        assert left.stat().st_size <= 1 << 20
        left.unlink()


def test_an_archive_that_unpacks_to_much_more_than_itself_is_a_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr("server.intake.archive._SMALL_BYTES", 1 << 16)
    bomb = zipped(tmp_path / "bomb.zip", [("zeros", bytes(1 << 20))])
    with pytest.raises(BadInputError, match="not packed over 200 times"):
        unpack(bomb, tmp_path, Limits(files=5, bytes=1 << 30))


def test_an_entry_has_a_name(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("x", b"")])
    archive.write_bytes(archive.read_bytes().replace(b"x", b"\0"))
    with pytest.raises(BadInputError, match="entries with names"):
        unpack(archive, tmp_path, LIMITS)


def test_a_password_is_not_asked_for(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("x", b"secret")], packing=zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    for start in (data.index(b"PK\3\4") + 6, data.index(b"PK\1\2") + 8):
        data[start] |= 1
    archive.write_bytes(data)
    with pytest.raises(BadInputError, match="an encrypted one"):
        unpack(archive, tmp_path, LIMITS)


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_whose_output_is_not_bounded_are_refused(tmp_path, packing):
    archive = zipped(tmp_path / "a.zip", [("x", bytes(1000))], packing=packing)
    with pytest.raises(BadInputError, match="stored or deflated"):
        unpack(archive, tmp_path, LIMITS)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_an_archive_is_what_its_name_says(tmp_path, name):
    (tmp_path / "out").mkdir()
    for content in (b"", b"PK", b"x" * 600, b"\x1f\x8b" + b"x" * 600):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInputError):
            unpack(tmp_path / name, tmp_path / "out", LIMITS)


@pytest.mark.parametrize("size", [2**62, 2**70, -(2**40)])
@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.REGTYPE])
def test_a_size_that_cannot_be_is_damage_and_not_a_disk_that_fails(tmp_path, kind, size):
    info = tarfile.TarInfo("x")
    info.type = kind
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (size % (1 << 96)).to_bytes(12, "big")
    header[124] |= 0x80  # not in octal digits
    header[148:156] = b"%06o\0 " % tarfile.calc_chksums(header)[0]
    (tmp_path / "a.tar").write_bytes(header + bytes(10240))
    with pytest.raises((BadInputError, MemoryError)):  # the inspector has words for either
        unpack(tmp_path / "a.tar", tmp_path, LIMITS)


def test_a_zip_whose_directory_lies_before_its_start_is_damaged(tmp_path):
    archive = zipped(tmp_path / "a.zip", [("x", b"y")])
    data = bytearray(archive.read_bytes())
    end = data.index(b"PK\5\6")
    data[end + 16 : end + 20] = (0x7FFFFFFF).to_bytes(4, "little")
    archive.write_bytes(data)
    with pytest.raises(BadInputError, match="damaged"):
        unpack(archive, tmp_path, LIMITS)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.lists(st.tuples(st.text(min_size=1, max_size=40), st.binary(max_size=50)), max_size=6), data=st.data()
)
def test_whatever_the_names_and_the_damage_nothing_is_written_elsewhere(tmp_path_factory, members, data):
    folder = tmp_path_factory.mktemp("a")
    (folder / "out").mkdir()
    pack, name = data.draw(st.sampled_from([(zipped, "a.zip"), (tarred, "a.tar"), (tarred, "a.tgz")]))
    try:
        archive = pack(folder / name, members)
    except (UnicodeEncodeError, ValueError):
        return
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    archive.write_bytes(content)
    try:
        files = unpack(archive, folder / "out", LIMITS)
    except BadInputError:
        files = []
    assert all(file.parent == folder / "out" and file.is_file() and not file.is_symlink() for file in files)
    assert {path.name for path in folder.iterdir()} == {name, "out"}
    assert all(path.name.isdigit() for path in (folder / "out").iterdir())
