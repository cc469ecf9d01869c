"""What a scan makes of a folder."""

import errno
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydantic import ValidationError
from pydicom.uid import generate_uid

from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.io.header import header
from hepatic.io.refusal import NotAnImageError
from hepatic.settings import Settings
from hepatic.store.disk import StorageError
from hepatic.store.folder import FolderStore
from hepatic.store.scan import Scanner
from tests.store.studies import write_ct_slice, write_image, write_pacs_export, write_xa_run


def open_store(root: Path) -> FolderStore:
    store = FolderStore(root, header=header, not_images=(NotAnImageError,))
    store.rescan()
    return store


def test_a_pacs_export_becomes_one_image_per_series(tmp_path: Path) -> None:
    uids = write_pacs_export(tmp_path)
    store = open_store(tmp_path)
    assert store.images.ids() == [uids["ct"], uids["xa"]]
    ct, xa = store.images.get(uids["ct"]), store.images.get(uids["xa"])
    assert (ct.modality, ct.kind, ct.size, ct.patient_id, ct.file_count) == ("CT", "volume", (4, 4, 3), "P1", 3)
    assert (xa.modality, xa.kind, xa.size, xa.study_uid) == ("XA", "cine", (4, 4, 5), uids["study"])
    assert ct.description == "portal venous"
    assert store.source(uids["ct"]) == tmp_path / "DICOM/PA0/ST0/SE0"
    assert store.source(uids["xa"]) == tmp_path / "DICOM/PA0/ST0/SE1/IM0"
    assert [(u.path, u.broken) for u in store.images.unread()] == [("README.TXT", False)]


def test_a_series_among_other_files_is_given_a_folder_of_its_own(tmp_path: Path) -> None:
    one, two, study = generate_uid(), generate_uid(), generate_uid()
    for k in range(3):
        write_ct_slice(tmp_path / f"flat/a{k}.dcm", series=one, study=study, k=k)
        write_ct_slice(tmp_path / f"flat/b{k}.dcm", series=two, study=study, k=k)
    store = open_store(tmp_path)
    assert store.source(one, make=False) is None
    folder = store.source(one)
    assert store.source(one, make=False) == folder
    assert folder.is_relative_to(tmp_path / ".hepatic/cache")
    assert header(folder).size == (4, 4, 3)
    assert store.source(two) != folder
    write_ct_slice(tmp_path / "flat/a3.dcm", series=one, study=study, k=3)
    store.rescan()
    assert header(store.source(one)).size == (4, 4, 4)
    assert not folder.exists()
    shutil.rmtree(tmp_path / "flat")
    store.rescan()
    assert list((tmp_path / ".hepatic/cache").rglob("*.dcm")) == []


def test_a_label_put_beside_the_slices_does_not_end_up_in_the_reader(tmp_path: Path) -> None:
    uids = write_pacs_export(tmp_path)
    write_image(tmp_path / "DICOM/PA0/ST0/SE0/liver.seg.nrrd")
    store = open_store(tmp_path)
    assert header(store.source(uids["ct"])).size == (4, 4, 3)


def test_every_run_of_an_angiography_series_is_an_image(tmp_path: Path) -> None:
    series, study = generate_uid(), generate_uid()
    for n in range(3):
        write_xa_run(tmp_path / f"run{n}.dcm", series=series, study=study, frames=n + 2)
    ids = open_store(tmp_path).images.ids()
    assert ids[0] == series
    assert len(set(ids)) == 3
    assert all(i.startswith(f"{series}-") for i in ids[1:])
    store = open_store(tmp_path)
    (tmp_path / "run0.dcm").rename(tmp_path / "moved.dcm")
    store.rescan()
    assert sorted(store.images.ids()) == sorted(ids)
    assert store.source(series) == tmp_path / "moved.dcm"


def test_the_same_instance_copied_in_twice_counts_once_and_the_copy_can_take_over(tmp_path: Path) -> None:
    uids = write_pacs_export(tmp_path)
    shutil.copytree(tmp_path / "DICOM", tmp_path / "again")
    store = open_store(tmp_path)
    assert store.images.get(uids["ct"]).file_count == 3
    assert len([u for u in store.images.unread() if "same instance" in u.reason]) == 4
    shutil.rmtree(tmp_path / "DICOM")
    store.rescan()
    assert store.images.ids() == [uids["ct"], uids["xa"]]
    assert store.source(uids["ct"]) == tmp_path / "again/PA0/ST0/SE0"


def test_nifti_and_nrrd_are_called_by_their_path_and_never_share_an_id(tmp_path: Path) -> None:
    for name in ("a/b.nii.gz", "a_b.nii", "x.nrrd", "x.nii.gz", "Große Leber.nrrd", "v1.2.nii.gz"):
        write_image(tmp_path / name)
    store = open_store(tmp_path)
    ids = store.images.ids()
    assert len(set(ids)) == 6
    assert {"a_b", "x", "Gro_e_Leber", "v1.2"} <= set(ids)
    assert store.source("a_b") == tmp_path / "a/b.nii.gz"
    assert store.images.get("x").patient_id == "x"
    assert ids == open_store(tmp_path).images.ids()


def test_what_is_not_ours_to_show_is_passed_over(tmp_path: Path) -> None:
    root, outside = tmp_path / "studies", write_image(tmp_path / "outside/secret.nrrd")
    for name in (
        "ok.nrrd",
        ".hidden.nrrd",
        ".git/a.nrrd",
        "labels/final/ok.nii.gz",
        "imagesTr/c.nii",
        "labelsTr/c.nii",
    ):
        write_image(root / name)
    write_image(root / "ok.seg.nrrd")
    (root / "datastore_v2.json").write_text("{}")
    (root / "link.nrrd").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)
    store = open_store(root)
    assert store.images.ids() == ["imagesTr_c", "ok"]
    assert {u.path for u in store.images.unread()} == {"link.nrrd", "folder"}


def test_a_rescan_notices_what_was_added_changed_and_removed(tmp_path: Path) -> None:
    write_image(tmp_path / "a.nrrd")
    write_image(tmp_path / "b.nrrd")
    store = open_store(tmp_path)
    assert store.rescan().read == 0
    first = store.checksum("b")
    write_image(tmp_path / "c.nrrd")
    (tmp_path / "a.nrrd").unlink()
    write_image(tmp_path / "b.nrrd", value=7)
    os.utime(tmp_path / "b.nrrd", ns=(1, 1))
    report = store.rescan()
    assert (report.read, report.added, report.removed) == (2, ("c",), ("a",))
    assert store.images.ids() == ["b", "c"]
    assert store.images.get("b").checksum == ""
    assert store.checksum("b") != first
    with pytest.raises(NotFoundError, match="moved or removed"):
        store.source("a")


def test_labels_of_a_removed_image_wait_for_it(tmp_path: Path) -> None:
    file = write_image(tmp_path / "a.nrrd")
    store = open_store(tmp_path)
    store.labels.save("a", "final", file)
    file.rename(tmp_path.parent / f"{tmp_path.name}.nrrd")
    store.rescan()
    assert store.images.ids() == []
    assert store.images.missing() == ["a"]
    assert (store.counts().images, store.counts().labels, store.counts().missing) == (0, {}, 1)
    (tmp_path.parent / f"{tmp_path.name}.nrrd").rename(file)
    store.rescan()
    assert store.labels.labelled("final") == ["a"]
    assert store.labels.path(store.labels.latest("a", "final")).is_file()


def test_a_broken_file_is_remembered_and_left_alone_until_it_changes(tmp_path: Path) -> None:
    (tmp_path / "broken.nrrd").write_bytes(b"NRRD0004\ntype: nonsense\n\n")
    reads = []

    def counting(path: Path) -> object:
        reads.append(path)
        if path.name == "bug.nrrd":
            raise ZeroDivisionError("Müller, Anna")
        return header(path)

    write_image(tmp_path / "bug.nrrd")
    write_image(tmp_path / "good.nrrd")
    store = FolderStore(tmp_path, header=counting, not_images=(NotAnImageError,))  # type: ignore[arg-type]
    assert store.rescan().unreadable == 2
    unread = {u.path: u for u in store.images.unread()}
    assert unread["broken.nrrd"].broken
    assert "Müller" not in unread["bug.nrrd"].reason
    assert store.counts().unread == 2
    store.rescan()
    assert len(reads) == 3
    write_image(tmp_path / "broken.nrrd")
    assert store.rescan().added == ("broken",)


def test_a_studies_folder_that_cannot_be_listed_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.nrrd")
    write_image(tmp_path / "sub/b.nrrd")
    store = open_store(tmp_path)
    scandir = os.scandir

    def refusing(blocked: Path):
        def scan(folder: Path) -> object:
            if Path(folder) == blocked:
                raise PermissionError(13, "Permission denied")
            return scandir(folder)

        return scan

    monkeypatch.setattr("hepatic.store.walk.os.scandir", refusing(tmp_path / "sub"))
    assert store.rescan().removed == ()
    monkeypatch.setattr("hepatic.store.walk.os.scandir", refusing(tmp_path))
    with pytest.raises(StorageError, match="mounted"):
        store.rescan()
    monkeypatch.undo()
    assert store.images.ids() == ["a", "sub_b"]


def test_notes_about_an_image_are_merged(tmp_path: Path) -> None:
    write_image(tmp_path / "a.nrrd")
    store = open_store(tmp_path)
    store.images.update_info("a", {"x": 1, "y": 1})
    store.images.update_info("a", {"y": {"z": 2}})
    assert store.images.get("a").info == {"x": 1, "y": {"z": 2}}
    for unknown in ("b", "../a", "\ud800", "a\0", ""):
        with pytest.raises(NotFoundError):
            store.images.update_info(unknown, {})


def test_an_upload_keeps_its_base_name_only(tmp_path: Path) -> None:
    source = write_image(tmp_path / "in.nii.gz")
    store = open_store(tmp_path / "studies")
    assert store.add_image(source, name=r"C:\Users\me\case 7.nii.gz", info={"from": "me"}) == "case_7"
    assert store.source("case_7") == tmp_path / "studies/case_7.nii.gz"
    assert store.images.get("case_7").info == {"from": "me"}
    assert store.add_image(source, name="case_7.nii.gz") == "case_7"
    assert store.add_image(source, image_id="../../mine") == "_.._mine"
    with pytest.raises(BadInputError, match="another image with that name"):
        store.add_image(write_image(tmp_path / "in2.nii.gz", value=3), name="case_7.nii.gz")
    with pytest.raises(BadInputError, match="Unpack"):
        store.add_image(source, name="all.zip")
    (tmp_path / "text.nrrd").write_text("hello")
    with pytest.raises(NotAnImageError):
        store.add_image(tmp_path / "text.nrrd")
    assert store.rescan().read == 0
    assert list((store.data / "incoming").iterdir()) == []


def test_the_same_dicom_file_again_is_the_image_it_was_whatever_it_is_called(tmp_path: Path) -> None:
    series = generate_uid()
    write_xa_run(tmp_path / "run.dcm", series=series, study=generate_uid())
    store = open_store(tmp_path / "studies")
    for name in ("run.dcm", "IM0001", "1.2.840.113", "run.dcm"):
        assert store.add_image(tmp_path / "run.dcm", name=name, info={name: 1}) == series
    assert [path.name for path in (tmp_path / "studies/uploads").rglob("*") if path.is_file()] == ["run.dcm"]
    assert set(store.images.get(series).info) == {"run.dcm", "IM0001", "1.2.840.113"}
    changed = pydicom.dcmread(tmp_path / "run.dcm")
    changed.SeriesDescription = "other"
    changed.save_as(tmp_path / "changed.dcm")
    with pytest.raises(ConflictError, match="same SOPInstanceUID"):
        store.add_image(tmp_path / "changed.dcm")
    (tmp_path / "studies/uploads" / series / "run.dcm").unlink()
    assert store.add_image(tmp_path / "changed.dcm") == series
    assert list((store.data / "incoming").iterdir()) == []


def test_an_upload_never_takes_away_a_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series, root = generate_uid(), tmp_path / "studies"
    write_xa_run(tmp_path / "run.dcm", series=series, study=generate_uid())
    own = root / "uploads" / series / "run.dcm"
    own.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "run.dcm", root / "first.dcm")
    shutil.copy(tmp_path / "run.dcm", own)
    store = open_store(root)
    assert store.add_image(tmp_path / "run.dcm") == series
    assert own.is_file()
    # somebody else is faster: what the index says comes too late
    asked, holder = [], Scanner.holder

    def late(self: Scanner, header: object) -> tuple[str, str] | None:
        asked.append(header)
        return None if len(asked) % 2 else holder(self, header)  # type: ignore[arg-type]

    monkeypatch.setattr(Scanner, "holder", late)
    assert store.add_image(tmp_path / "run.dcm") == series
    assert own.is_file()
    assert store.add_image(tmp_path / "run.dcm", name="new.dcm") == series
    assert sorted(path.name for path in own.parent.iterdir()) == ["run.dcm"]
    monkeypatch.setattr(Scanner, "holder", lambda self, header: None)
    with pytest.raises(ConflictError):
        store.add_image(tmp_path / "run.dcm")
    assert own.is_file()


def test_a_segmentation_is_not_taken_for_an_image(tmp_path: Path) -> None:
    store = open_store(tmp_path / "studies")
    with pytest.raises(BadInputError, match="label of its image"):
        store.add_image(write_image(tmp_path / "liver.seg.nrrd"))


def test_an_uploaded_dicom_file_goes_to_its_series(tmp_path: Path) -> None:
    series, study = generate_uid(), generate_uid()
    store = open_store(tmp_path / "studies")
    for k in range(2):
        write_ct_slice(tmp_path / f"{k}.dcm", series=series, study=study, k=k)
        assert store.add_image(tmp_path / f"{k}.dcm", image_id="whatever") == series
    assert store.source(series) == tmp_path / "studies/uploads" / series
    write_xa_run(tmp_path / "1.2.840.1", series=generate_uid(), study=study)
    assert store.add_image(tmp_path / "1.2.840.1")
    assert store.counts().images == 2


def test_a_removed_image_can_be_brought_back_by_a_person(tmp_path: Path) -> None:
    uids = write_pacs_export(tmp_path)
    store = open_store(tmp_path)
    store.labels.save(uids["ct"], "final", write_image(tmp_path / "l.nrrd"))
    store.remove_image(uids["ct"], author="me")
    assert uids["ct"] not in store.images.ids()
    removed = list((store.data / "removed").rglob("IM*"))
    assert len(removed) == 3
    assert store.counts().labels == {}
    assert [label.removed for label in store.labels.history(uids["ct"], "final")] == [False, True]
    with pytest.raises(NotFoundError):
        store.remove_image("nobody")


def test_an_image_that_cannot_be_moved_away_as_a_whole_stays_whole(tmp_path: Path, monkeypatch) -> None:
    uids = write_pacs_export(tmp_path)
    store = open_store(tmp_path)
    store.labels.save(uids["ct"], "final", write_image(tmp_path / "l.nrrd"))
    files = store.files(uids["ct"])
    rename, calls = Path.rename, []

    def fail_once(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 3:
            raise OSError(errno.EIO, "no such luck")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(StorageError):
        store.remove_image(uids["ct"])
    assert len(calls) == 5  # two there, two back
    for later in (store, open_store(tmp_path)):
        assert later.files(uids["ct"]) == files
        assert all(file.is_file() for file in files)
        assert later.images.get(uids["ct"]).size == (4, 4, 3)
        assert later.labels.labelled("final") == [uids["ct"]]
    store.remove_image(uids["ct"])
    assert len([file for file in (store.data / "removed").rglob("IM*") if file.is_file()]) == 3


@pytest.mark.parametrize("name", ["/mnt/x", "../x", "a/../../x", "C:\\x", "", "."])
def test_the_data_folder_lies_below_the_studies(name: str) -> None:
    with pytest.raises(ValidationError, match="below the studies"):
        Settings(data_dir_name=name)
    assert Settings(data_dir_name=".data").data_dir(Path("/studies")) == Path("/studies/.data")


@dataclass(frozen=True)
class StubHeader:
    modality: str = "OT"
    patient_id: None = None
    study_uid: None = None
    series_uid: None = None
    series_description: None = None
    kind: str = "volume"
    size: tuple[int, int, int] = (1, 1, 1)
    sop_instance_uids: tuple[str, ...] = ()


def test_two_thousand_images_are_listed_and_counted_quickly(tmp_path: Path) -> None:
    for n in range(2000):
        (tmp_path / f"p{n // 10}").mkdir(exist_ok=True)
        (tmp_path / f"p{n // 10}/i{n}.nrrd").touch()
    store = FolderStore(tmp_path, header=lambda path: StubHeader())
    for what, call in (
        ("first scan", store.rescan),
        ("rescan of the unchanged tree", store.rescan),
        ("counts", store.counts),
        ("ids", store.images.ids),
        ("unlabelled", lambda: store.labels.unlabelled("final")),
    ):
        started = time.perf_counter()
        call()
        print(f"2,000 images, {what}: {1000 * (time.perf_counter() - started):.1f} ms")
    assert store.counts().images == 2000
    assert store.rescan().read == 0


def test_what_a_killed_upload_left_is_removed_after_a_day(tmp_path: Path) -> None:
    store = FolderStore(tmp_path, header=header)
    left = store.data / "incoming" / ".writing-series"
    young = store.data / "incoming" / ".writing-young"
    for folder in (left, young):
        folder.mkdir(parents=True)
        (folder / "00000.dcm").touch()
    os.utime(left, (0, 0))
    FolderStore(tmp_path, header=header)
    assert not left.exists()
    assert young.is_dir()
