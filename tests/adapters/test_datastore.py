"""MONAI Label's view of a studies folder."""

import inspect
import io
import json
import pickle
import time
import zipfile
from pathlib import Path

import pytest

from hepatic.adapters.datastore import UNCHECKED, HepaticDatastore
from hepatic.adapters.unknown import UnknownImageError, UnknownLabelError
from hepatic.errors import BadInputError, NotFoundError
from hepatic.store.disk import sha256_of
from tests.store.studies import write_image, write_pacs_export

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag  # isort: skip - after the adapter's stand-ins
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException  # isort: skip
from monailabel.tasks.activelearning.first import First  # isort: skip
from monailabel.tasks.activelearning.random import Random  # isort: skip


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    root = tmp_path / "studies"
    write_image(root / "a.nii.gz")
    write_image(root / "b.nrrd")
    return root


@pytest.fixture
def label(tmp_path: Path) -> str:
    return str(write_image(tmp_path / "label.seg.nrrd", value=1))


def test_every_method_of_the_interface_is_there(studies: Path) -> None:
    assert not inspect.isabstract(HepaticDatastore)
    for name in Datastore.__abstractmethods__:
        ours, theirs = (inspect.signature(getattr(c, name)).parameters for c in (HepaticDatastore, Datastore))
        assert list(ours) == list(theirs), name


def test_its_name_and_description_are_kept(studies: Path) -> None:
    datastore = HepaticDatastore(studies)
    assert datastore.name() == "studies"
    datastore.set_name("Ward 7")
    datastore.set_description("portal venous")
    again = HepaticDatastore(studies)
    assert (again.name(), again.description()) == ("Ward 7", "portal venous")


def test_a_label_makes_its_image_labelled(studies: Path, label: str) -> None:
    datastore = HepaticDatastore(studies)
    assert datastore.get_unlabeled_images() == datastore.list_images() == ["a", "b"]
    assert datastore.save_label("a", label, "final", {"label_info": [{"name": "liver"}], "client_id": "ann"}) == "a"
    predicted = {"model": "m", "params": {"label_names": {"x": 1}}}
    assert datastore.save_label("b", label, DefaultLabelTag.ORIGINAL, predicted) == "b"
    assert datastore.get_labeled_images() == ["a"]
    assert datastore.get_labeled_images(DefaultLabelTag.ORIGINAL) == ["b"]
    assert datastore.get_labeled_images("original", ["x"]) == ["b"]
    assert datastore.get_labeled_images("original", ["liver"]) == []
    assert datastore.get_unlabeled_images() == ["b"]
    assert datastore.get_labels_by_image_id("a") == {"final": "a"}
    assert datastore.get_label_by_image_id("a", "final") == "a"
    assert datastore.get_label_by_image_id("a", "original") == ""
    assert datastore.get_label("a", "final").read() == Path(label).read_bytes()
    status = datastore.status()
    assert (status["total"], status["completed"]) == (2, 1)
    assert status["label_tags"] == {"final": 1, "original": 1}
    assert status["label_names"] == {"final": {"liver": 1}, "original": {"x": 1}}
    assert json.dumps(status)


def test_saving_twice_keeps_both_versions(studies: Path, label: str) -> None:
    datastore = HepaticDatastore(studies)
    for n in (1, 2):
        params = {"model_hash": "abc", "n": n}
        datastore.save_label("a", label, "final", {"model": "liver", "params": params, "client_id": "ann"})
    versions = datastore.label_versions("a", "final")
    assert [(v.version, v.model, v.model_hash, v.author) for v in versions] == [
        (1, "liver", "abc", "ann"),
        (2, "liver", "abc", "ann"),
    ]
    assert datastore.get_label_uri("a", "final").endswith("2.seg.nrrd")
    assert datastore.get_label_info("a", "final")["params"]["n"] == 2
    datastore.update_label_info("a", "final", {"quality": "good"})
    info = datastore.get_label_info("a", "final")
    assert (info["quality"], info["version"], info["checksum"]) == ("good", 2, f"SHA256:{sha256_of(Path(label))}")
    datastore.remove_label("a", "final")
    assert datastore.get_labels_by_image_id("a") == {}
    assert len(datastore.label_versions("a", "final")) == 3


def test_a_labelmap_whose_image_has_gone_is_kept_and_says_what_is_not_known(studies: Path, label: str) -> None:
    datastore = HepaticDatastore(studies)
    datastore.save_label("a", label, "final", {})
    assert UNCHECKED not in datastore.get_label_info("a", "final")
    datastore.image_files("a")[0].unlink()
    datastore.save_label("a", label, "final", {})
    assert "on its image" in datastore.get_label_info("a", "final")[UNCHECKED]
    assert datastore.get_label("a", "final").read() == Path(label).read_bytes()
    (studies / "broken.nrrd").write_text("no labelmap")
    with pytest.raises(BadInputError, match=r"broken\.nrrd"):
        datastore.save_label("a", str(studies / "broken.nrrd"), "final", {})
    with pytest.raises(UnknownImageError):
        datastore.save_label("nobody", label, "final", {})


def test_two_segments_of_one_name_are_refused(studies: Path, label: str) -> None:
    datastore = HepaticDatastore(studies)
    named = [{"name": name, "idx": value} for value, name in enumerate(("tumour", " Tumour", "liver"), 1)]
    with pytest.raises(BadInputError, match="several named tumour"):
        datastore.save_label("a", label, "final", {"label_info": named})
    assert datastore.get_labels_by_image_id("a") == {}
    datastore.save_label("a", label, "final", {"label_info": named[1:]})


def test_slicer_finds_the_original_label_s_names_where_it_looks(studies: Path, label: str) -> None:
    datastore = HepaticDatastore(studies)
    datastore.save_label("a", label, "original", {"model": "m", "params": {"label_names": {"liver": 1}}})
    everything = json.loads(json.dumps(datastore.json()))
    assert everything["objects"]["a"]["labels"]["original"]["info"]["params"]["label_names"] == {"liver": 1}
    assert everything["objects"]["a"]["labels"]["original"]["ext"] == ".seg.nrrd"
    assert everything["objects"]["a"]["image"]["ext"] == ".nii.gz"
    assert everything["objects"]["b"]["labels"] == {}
    assert set(everything) == {"name", "description", "images_dir", "labels_dir", "objects"}


def test_image_info_tells_what_a_viewer_asks_for(tmp_path: Path) -> None:
    uids = write_pacs_export(tmp_path)
    datastore = HepaticDatastore(tmp_path)
    xa = datastore.get_image_info(uids["xa"])
    assert (xa["PatientID"], xa["name"], xa["modality"]) == ("P1", "IM0", "XA")
    assert (xa["SeriesInstanceUID"], xa["StudyInstanceUID"]) == (uids["xa"], uids["study"])
    assert xa["path"] == datastore.get_image_uri(uids["xa"]) == str(tmp_path / "DICOM/PA0/ST0/SE1/IM0")
    assert "checksum" not in xa
    assert datastore.checksum(uids["xa"]) == f"SHA256:{sha256_of(Path(xa['path']))}"
    assert datastore.get_image_info(uids["xa"])["checksum"] == datastore.checksum(uids["xa"])
    ct = datastore.get_image_info(uids["ct"])
    assert ct["path"] == datastore.get_image(uids["ct"]) == str(tmp_path / "DICOM/PA0/ST0/SE0")
    assert ct["name"] == f"{uids['ct']}.nrrd"
    assert len(datastore.image_files(uids["ct"])) == 3
    assert datastore.checksum(uids["ct"]) == ""
    datastore.update_image_info(uids["ct"], {"strategy": {"first": {"ts": 1}}})
    assert datastore.get_image_info(uids["ct"])["strategy"] == {"first": {"ts": 1}}
    assert datastore.patient_id(uids["ct"]) == "P1"
    assert json.dumps(datastore.json())


def test_training_gets_the_pairs_and_knows_whose_and_which_they_are(tmp_path: Path, studies: Path, label: str) -> None:
    uids = write_pacs_export(studies)
    datastore = HepaticDatastore(studies)
    datastore.save_label(uids["ct"], label, "final", {})
    datastore.save_label("a", label, "final", {})
    datastore.save_label("a", label, "final", {"n": 2})
    pairs = {pair["image_id"]: pair for pair in datastore.datalist()}
    assert pairs["a"]["image"] == str(studies / "a.nii.gz")
    assert pairs["a"]["label"] == datastore.get_label_uri("a", "final")
    assert pairs[uids["ct"]]["image"] == str(studies / "DICOM/PA0/ST0/SE0")
    cases = {case.image_id: case for case in datastore.labelled_cases()}
    assert cases["a"].label_info == {"n": 2}
    assert (cases["a"].label_version, cases["a"].label_sha256) == (2, sha256_of(Path(label)))
    assert (cases[uids["ct"]].patient_id, len(cases[uids["ct"]].files)) == ("P1", 3)


def test_the_archive_holds_images_labels_and_metadata(studies: Path, label: str) -> None:
    uids = write_pacs_export(studies)
    datastore = HepaticDatastore(studies)
    with pytest.raises(NotFoundError, match="Label an image first"):
        datastore.get_dataset_archive(None)
    datastore.save_label("a", label, "final", {})
    datastore.save_label(uids["ct"], label, "final", {})
    with zipfile.ZipFile(datastore.get_dataset_archive(None)) as archive:
        names = set(archive.namelist())
        assert set(json.loads(archive.read("metadata.json"))["objects"]) == set(datastore.list_images())
    ct = uids["ct"]
    assert names == {"image/a.nii.gz", "label/a.seg.nrrd", "metadata.json", f"label/{ct}.seg.nrrd"} | {
        f"image/{ct}/IM{k}" for k in range(3)
    }
    with zipfile.ZipFile(datastore.get_dataset_archive(1)) as archive:
        assert len(archive.namelist()) == 5


def test_images_can_be_added_and_removed(tmp_path: Path, studies: Path, label: str) -> None:
    datastore = HepaticDatastore(studies)
    new = str(write_image(tmp_path / "new.nii.gz", value=9))
    assert datastore.add_image("case_9", new, {"from": "slicer"}) == "case_9"
    assert datastore.get_image_info("case_9")["from"] == "slicer"
    assert isinstance(datastore.get_image("case_9"), io.BytesIO)
    datastore.save_label("case_9", label, "final", {})
    datastore.remove_image("case_9")
    assert datastore.list_images() == ["a", "b"]
    assert datastore.status()["completed"] == 0


@pytest.mark.parametrize("unknown", ["", "c", "../a", "a/../../b", "\ud800", "/etc/passwd"])
def test_unknown_ids_are_monai_label_s_error_and_ours(studies: Path, label: str, unknown: str) -> None:
    datastore = HepaticDatastore(studies)
    for call in (
        datastore.get_image_uri,
        datastore.get_image_info,
        datastore.get_image,
        datastore.image_files,
        datastore.patient_id,
        datastore.checksum,
        datastore.remove_image,
        datastore.get_labels_by_image_id,
        lambda i: datastore.update_image_info(i, {}),
        lambda i: datastore.save_label(i, label, "final", {}),
    ):
        with pytest.raises(ImageNotFoundException) as raised:
            call(unknown)
        assert isinstance(raised.value, NotFoundError)
    for call in (datastore.get_label_uri, datastore.get_label_info, datastore.remove_label, datastore.get_label):
        for image in (unknown, "a"):
            with pytest.raises(LabelNotFoundException):
                call(image, "final")


def test_a_tag_that_is_a_path_is_refused(studies: Path, label: str) -> None:
    datastore = HepaticDatastore(studies)
    with pytest.raises(BadInputError, match="tag"):
        datastore.save_label("a", label, "../../final", {})


@pytest.mark.parametrize("kind", [UnknownImageError, UnknownLabelError])
def test_the_errors_say_what_to_do_and_cross_processes(kind: type[NotFoundError]) -> None:
    error = kind("image", expected="an id", came="'x'", fix="Refresh.")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is kind
    assert str(again) == str(error) == "image: expected an id, but found 'x'. Refresh."
    assert again.msg == str(error)  # type: ignore[attr-defined]


def test_a_listing_notices_new_images_after_a_while_and_never_waits_for_a_long_scan(
    studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datastore = HepaticDatastore(studies, auto_rescan_seconds=0.05)
    fixed = HepaticDatastore(studies, auto_rescan_seconds=None)
    write_image(studies / "c.nrrd")
    time.sleep(0.1)
    assert datastore.list_images() == ["a", "b", "c"]
    rescan = datastore.store.rescan
    monkeypatch.setattr(datastore.store, "rescan", lambda **_: (time.sleep(1), rescan())[1])
    write_image(studies / "d.nrrd")
    time.sleep(0.1)
    started = time.monotonic()
    assert datastore.status()["total"] == 3
    assert time.monotonic() - started < 0.8
    monkeypatch.setattr(fixed.store, "rescan", lambda **_: pytest.fail("scanned without being asked"))
    assert len(fixed.list_images()) >= 3


def test_stock_strategies_work_on_it(studies: Path, label: str) -> None:
    datastore = HepaticDatastore(studies)
    assert First()({"strategy": "first"}, datastore)["id"] == "a"
    datastore.save_label("a", label, "final", {})
    datastore.update_image_info("b", {"strategy": {"random": {"ts": 1, "client_id": "x"}}})
    assert Random()({"strategy": "random"}, datastore)["id"] == "b"
    datastore.save_label("b", label, "final", {})
    assert Random()({"strategy": "random"}, datastore) is None
