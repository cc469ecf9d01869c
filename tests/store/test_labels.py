"""The life of a label: saved, replaced, removed, restored; and what happens when things go wrong."""

import errno
import json
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.store import disk
from hepatic.store.disk import StorageError
from hepatic.store.folder import FolderStore
from hepatic.store.label import Label
from hepatic.store.names import base_name, check_tag, folder_key, name_of_key, safe_id
from tests.store.test_images import StubHeader


def open_store(root: Path, *images: str) -> FolderStore:
    root.mkdir(parents=True, exist_ok=True)
    for name in images:
        (root / f"{name}.nrrd").touch()
    store = FolderStore(root, header=lambda path: StubHeader())
    store.rescan()
    return store


def label_file(folder: Path, content: str, name: str = "label.nii.gz") -> Path:
    path = folder / name
    path.write_text(content)
    return path


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return open_store(tmp_path / "studies", "a", "b")


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_saving_again_adds_a_version_and_keeps_the_old_one(store: FolderStore, tmp_path: Path) -> None:
    first = store.labels.save("a", "final", label_file(tmp_path, "one"), author="ann", info={"n": 1})
    second = store.labels.save(
        "a", "final", label_file(tmp_path, "two", "l.seg.nrrd"), model="liver", model_hash="abc", info={"n": 2}
    )
    assert (first.version, second.version) == (1, 2)
    assert store.labels.latest("a", "final") == second
    assert store.labels.history("a", "final") == [first, second]
    assert [store.labels.path(v).read_text() for v in (first, second)] == ["one", "two"]
    assert files_below(store.data / "labels") == ["a/final/1.nii.gz", "a/final/2.seg.nrrd"]
    assert first.created.endswith("+00:00")
    assert (second.model, second.model_hash, first.author) == ("liver", "abc", "ann")


@pytest.mark.parametrize("name", ["l.nii.gz", "l.NRRD", "l.seg.nrrd", "l.nii", "l.json", "l.mrk.json", "1.2.3.nii.gz"])
def test_the_kind_of_label_file_is_kept(store: FolderStore, tmp_path: Path, name: str) -> None:
    label = store.labels.save("a", "final", label_file(tmp_path, "x", name))
    assert name.lower().endswith(Path(label.file).name[1:])


@pytest.mark.parametrize("name", ["l.exe", "nrrd", "l.nrrd.sh", "l", "l.gz"])
def test_other_files_are_refused(store: FolderStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="NRRD"):
        store.labels.save("a", "final", label_file(tmp_path, "x", name))


def test_a_removed_label_no_longer_counts_and_can_be_restored(store: FolderStore, tmp_path: Path) -> None:
    store.labels.save("a", "final", label_file(tmp_path, "one"), author="ann", info={"label_info": [{"name": "liver"}]})
    tombstone = store.labels.remove("a", "final", author="bob")
    assert (tombstone.version, tombstone.removed, tombstone.author) == (2, True, "bob")
    assert store.labels.unlabelled("final") == ["a", "b"]
    assert store.counts().segments == {}
    with pytest.raises(NotFoundError):
        store.labels.latest("a", "final")
    with pytest.raises(NotFoundError):
        store.labels.remove("a", "final")
    with pytest.raises(NotFoundError):
        store.labels.restore("a", "final", 2)
    restored = store.labels.restore("a", "final", 1, author="cy")
    assert (restored.version, restored.author, restored.info["restored_from"]) == (3, "cy", 1)
    assert store.labels.path(restored).read_text() == "one"
    assert store.counts().segments == {"final": {"liver": 1}}


def test_a_version_that_was_tampered_with_is_not_restored(store: FolderStore, tmp_path: Path) -> None:
    label = store.labels.save("a", "final", label_file(tmp_path, "one"))
    store.labels.path(label).write_text("eno")
    with pytest.raises(ConflictError, match="checksum"):
        store.labels.restore("a", "final", 1)


def test_images_are_found_by_the_segments_of_their_labels(store: FolderStore, tmp_path: Path) -> None:
    file = label_file(tmp_path, "x")
    store.labels.save("a", "final", file, info={"label_info": [{"name": "liver"}, {"name": "tumour"}, {"odd": 1}]})
    store.labels.save("b", "final", file, info={"params": {"label_names": {"liver": 1}}})
    assert store.labels.labelled("final", names=["liver"]) == ["a", "b"]
    assert store.labels.labelled("final", names=["tumour", "liver"]) == ["a"]
    assert store.labels.unlabelled("final", names=["tumour"]) == ["b"]
    store.labels.update_info("b", "final", {"label_names": ["tumour"]})
    assert store.labels.labelled("final", names=["tumour"]) == ["a", "b"]
    assert store.labels.latest("b", "final").info["params"] == {"label_names": {"liver": 1}}
    assert store.labels.tags("a") == ["final"]


def test_tags_that_differ_in_case_only_do_not_meet_on_any_file_system(store: FolderStore, tmp_path: Path) -> None:
    for tag in ("final", "Final", "FINAL"):
        store.labels.save("a", tag, label_file(tmp_path, tag))
    folders = [p.name for p in (store.data / "labels/a").iterdir()]
    assert len({name.lower() for name in folders}) == 3
    assert {name_of_key(name) for name in folders} == {"final", "Final", "FINAL"}
    assert name_of_key("final+0") is None
    assert folder_key(folder_key("0.").replace("+", "-")) != folder_key("0.")


@given(text=st.text(max_size=200))
@settings(max_examples=300)
def test_no_text_becomes_a_path_that_leads_elsewhere(text: str) -> None:
    for name in (safe_id(text), safe_id(text, unique="x"), folder_key(safe_id(text))):
        assert name not in ("", ".", "..")
        assert "/" not in name
        assert "\\" not in name
        assert "\0" not in name
        assert len(name) <= 160
    assert name_of_key(folder_key(safe_id(text))) == safe_id(text)
    try:
        assert "/" not in base_name(text)
        assert not base_name(text).startswith(".")
    except BadInputError:
        pass


_NASTY = st.one_of(
    st.sampled_from(
        ["", ".", "..", "../final", "a/b", "a\\b", ".x", "x" * 65, "final\n", "final\0", "é", "\ud800", "a b"]
    ),
    st.text(max_size=80).filter(
        lambda t: not (t and t[0] != "." and all(c.isascii() and (c.isalnum() or c in "_-.") for c in t))
    ),
)


@given(tag=_NASTY)
def test_a_tag_that_could_be_more_than_a_name_is_refused(tag: str) -> None:
    with pytest.raises(BadInputError, match="tag"):
        check_tag(tag)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    return open_store(tmp_path_factory.mktemp("shared") / "studies", "a")


@given(image_id=_NASTY, tag=_NASTY)
@settings(max_examples=60, deadline=None)
def test_nothing_is_written_for_an_id_or_tag_that_is_none(shared: FolderStore, image_id: str, tag: str) -> None:
    parent = shared.root.parent
    before = files_below(parent)
    file = next(shared.root.glob("*.nrrd"))
    for call in (
        lambda: shared.labels.save("a", tag, file),
        lambda: shared.labels.save(image_id, "final", file),
        lambda: shared.labels.latest(image_id, "final"),
        lambda: shared.labels.latest("a", tag),
        lambda: shared.labels.remove(image_id, "final"),
        lambda: shared.labels.history("a", tag) or check_tag(tag),
        lambda: shared.source(image_id),
        lambda: shared.remove_image(image_id),
    ):
        with pytest.raises(BadInputError):
            call()
    assert shared.labels.history(image_id, "final") == []
    assert [f for f in files_below(parent) if "index.db" not in f] == [f for f in before if "index.db" not in f]


def test_a_full_disk_says_so_and_leaves_nothing(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = store.labels.save("a", "final", label_file(tmp_path, "one"))

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    with pytest.raises(StorageError, match="free some space"):
        store.labels.save("a", "final", label_file(tmp_path, "two"))
    with pytest.raises(StorageError, match="free some space"):
        store.add_image(label_file(tmp_path, "new"), name="new.nrrd")
    monkeypatch.undo()
    assert files_below(store.data / "labels") == ["a/final/1.nii.gz"]
    assert store.labels.latest("a", "final") == kept
    assert store.images.ids() == ["a", "b"]
    assert sorted(p.name for p in store.root.iterdir()) == [".hepatic", "a.nrrd", "b.nrrd"]


def test_a_label_whose_row_cannot_be_written_is_not_kept_either(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("hepatic.store.label_rows.insert", fail)
    with pytest.raises(StorageError, match="healthy"):
        store.labels.save("a", "final", label_file(tmp_path, "one"))
    monkeypatch.undo()
    assert files_below(store.data / "labels") == []
    assert store.labels.save("a", "final", label_file(tmp_path, "two")).version == 1


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/.hepatic").write_text("a file where the data folder should be")
    with pytest.raises(StorageError, match=r"\.hepatic"):
        open_store(tmp_path / "studies")
    (tmp_path / "studies/.hepatic").unlink()
    (tmp_path / "studies/.hepatic").mkdir()
    (tmp_path / "studies/.hepatic/index.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageError, match=r"index\.db cannot be used"):
        open_store(tmp_path / "studies")


def test_a_file_whose_row_was_not_committed_is_adopted(store: FolderStore, tmp_path: Path) -> None:
    store.labels.save("a", "final", label_file(tmp_path, "one"))
    label_file(store.data / "labels/a/final", "two", "2.nrrd")
    label_file(store.data / "labels/a/final", "half", f"{disk.TEMPORARY}fresh")
    again = open_store(store.root)
    (adopted,) = again.reconciled.adopted
    assert (adopted.version, adopted.info, adopted.file) == (2, {"adopted": True}, "labels/a/final/2.nrrd")
    assert again.labels.latest("a", "final") == adopted
    label_file(store.data / "labels/a/final", "three", "3.nrrd")
    assert store.labels.save("a", "final", label_file(tmp_path, "four")).version == 4
    assert [v.version for v in store.labels.history("a", "final")] == [1, 2, 3, 4]
    assert open_store(store.root).reconciled.adopted == ()


def test_reconciling_reports_what_it_cannot_explain(store: FolderStore, tmp_path: Path) -> None:
    gone = store.labels.save("a", "final", label_file(tmp_path, "one"))
    store.labels.save("a", "final", label_file(tmp_path, "two"))
    store.labels.path(gone).unlink()
    label_file(store.data / "labels/a/final", "?", "notes.txt")
    (store.data / "labels/nobody/final").mkdir(parents=True)
    label_file(store.data / "labels/nobody/final", "?", "1.nrrd")
    old = label_file(store.data / "labels/a/final", "half", f"{disk.TEMPORARY}old")
    disk.os.utime(old, (time.time() - 9999,) * 2)
    found = open_store(store.root).reconciled
    assert found.vanished == (gone,)
    assert set(found.unclaimed) == {"labels/a/final/notes.txt", "labels/nobody/final/1.nrrd"}
    assert (found.stale, old.exists()) == (1, False)
    with pytest.raises(NotFoundError, match="whose file is not there"):
        store.labels.path(gone)


def test_labels_survive_the_loss_of_the_index(store: FolderStore, tmp_path: Path) -> None:
    for tag, content in (("final", "one"), ("final", "two"), ("Original", "three")):
        store.labels.save("a", tag, label_file(tmp_path, content))
    store.close()
    for file in store.data.glob("index.db*"):
        file.unlink()
    again = open_store(store.root)
    assert again.labels.path(again.labels.latest("a", "final")).read_text() == "two"
    assert again.labels.path(again.labels.latest("a", "Original")).read_text() == "three"
    assert [v.version for v in again.labels.history("a", "final")] == [1, 2]


def test_a_backup_is_a_copy_of_the_folder(store: FolderStore, tmp_path: Path) -> None:
    store.labels.save("a", "final", label_file(tmp_path, "one"), info={"who": "ann"})
    store.set_about("name", "Ward 7")
    store.close()
    shutil.copytree(store.root, tmp_path / "copy")
    copy = open_store(tmp_path / "copy")
    assert copy.labels.path(copy.labels.latest("a", "final")) == tmp_path / "copy/.hepatic/labels/a/final/1.nii.gz"
    assert json.dumps(copy.labels.latest("a", "final").info) == '{"who": "ann"}'
    assert copy.about("name") == "Ward 7"


def test_a_label_that_continues_a_history_is_saved_only_if_that_is_still_the_history(
    store: FolderStore, tmp_path: Path
) -> None:
    def save(content: str, after: list[Label] | None = None) -> Label:
        return store.labels.save("a", "final", label_file(tmp_path, content), after=after)

    first = save("one", after=[])
    seen = store.labels.history("a", "final")
    assert seen == [first]
    for change in (
        lambda: save("two"),
        lambda: store.labels.update_info("a", "final", {"told": 1}),
        lambda: store.labels.remove("a", "final"),
    ):
        change()
        with pytest.raises(ConflictError, match="history"):
            save("late", after=seen)
        seen = store.labels.history("a", "final")
    assert save("three", after=seen).version == 4
    assert files_below(store.data / "labels") == ["a/final/1.nii.gz", "a/final/2.nii.gz", "a/final/4.nii.gz"]
