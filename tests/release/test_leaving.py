"""Images, labels and reviews leave a store without their patients, in every format."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
import SimpleITK
from typer.testing import CliRunner

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.errors import BadInputError
from hepatic.harvest.export.formats import FORMATS, write_export
from hepatic.harvest.export.pseudonymous import pseudonymous
from hepatic.harvest.export.reviewed import Decision, ReviewedCandidate, ReviewedStudy
from hepatic.harvest.study import Phase
from hepatic.io.dicom_seg_read import read_dicom_seg
from hepatic.io.grid import grid_of
from hepatic.io.header import header
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap, write_labelmap
from hepatic.io.markups import ROI, encode_rois
from hepatic.io.refusal import NotAnImageError
from hepatic.pacs.error import PacsError
from hepatic.release.dataset import write_dataset
from hepatic.release.leaving import Leaving
from hepatic.release.option import Option
from hepatic.release.quarantine import HeldError, Quarantine
from hepatic.settings import settings
from hepatic.store.folder import FolderStore
from sample_data import us
from server.app import create_app
from server.cli import app
from server.running import running
from tests.dicom_validator import complaints
from tests.importers.dicom_files import write_ct
from tests.pacs.fake_pacs import FakePacs, serving
from tests.release.identified import PATIENT_ID, SECRETS, left_in, name, uids, without_pixels

TINY_APP = Path(__file__).parent.parent / "tiny_app"
STUDY = "1.2.9.5.77.1"


@pytest.fixture
def store(tmp_path):
    """A CT, an ultrasound still that is held and a NIfTI file, all of one patient, with final labels."""
    studies = tmp_path / "studies"
    write_ct(studies / "ct", patient=PATIENT_ID, study=STUDY, shape=(6, 32, 48), z0=100.0)
    us.write_us(studies, 1, seed=5, size="tiny", kind="cyst")
    for path in studies.rglob("*.dcm"):
        name(pydicom.dcmread(path)).save_as(path)
    image = SimpleITK.GetImageFromArray(np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4))
    image.SetMetaData("ITK_FileNotes", "Aloisia Kratochvil")
    SimpleITK.WriteImage(image, studies / "Aloisia.nii.gz")
    (studies / "Aloisia.json").write_text(json.dumps({"PatientID": PATIENT_ID, "Modality": "CT"}))
    made = FolderStore(studies, header=header, not_images=(NotAnImageError,))
    made.rescan()
    for one in made.images.all():
        label = tmp_path / ("label.mrk.json" if one.modality == "US" else "label.seg.nrrd")
        if one.modality == "US":
            label.write_bytes(encode_rois([ROI((0, 0, 0, 5, 5, 1), "cyst of Aloisia", {"by": "Hanselmayer"})]))
            info = {"classes": {"malignancy": "benign"}}
        else:
            grid = grid_of(made.source(one.id))
            array = np.zeros(grid.shape, np.uint8)
            array[0, :2, :2] = 1
            write_labelmap(label, Labelmap(array, grid, {"tumour Aloisia": 1}))
            info = {"label_info": [{"name": "tumour Aloisia", "idx": 1}], "boxes_known": "complete"}
        made.labels.save(one.id, "final", label, author="Hanselmayer", info=info)
    yield made
    made.close()


def ids(store):
    return {"nifti" if not one.series_uid else one.modality: one.id for one in store.images.all()}


def originals(store):
    """All UIDs of the store's files and the ids of its images."""
    files = [pydicom.dcmread(file) for file in store.root.rglob("*.dcm") if ".hepatic" not in file.parts]
    return set().union(*map(uids, files)) | set(ids(store).values()) - {"Aloisia"}


def test_the_dataset_leaves_without_patients(store, tmp_path) -> None:
    secrets = (*SECRETS, *originals(store))
    server = create_app(TINY_APP, store.root, score_in_background=False, auth=False)
    with running(server) as address, httpx.Client(base_url=address, timeout=300) as client:
        assert client.get("/datastore/dataset", params={"keep": "descriptors"}).status_code == 422
        asked = {"deidentify": True, "keep": ["modified-dates", "descriptors"]}
        held = client.get("/datastore/dataset", params=asked)
        Quarantine(store).approve(ids(store)["US"], by="Dr. K")
        whole = client.get("/datastore/dataset", params=asked)
    for answer, images in ((held, 2), (whole, 3)):
        assert answer.status_code == 200, answer.text
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            archive.extractall(tmp_path / str(images))
            assert left_in(" ".join(archive.namelist()).encode(), secrets) == []
        told = json.loads((tmp_path / str(images) / "metadata.json").read_text())["objects"]
        assert len(told) == images
        assert len({one["image"]["info"]["patient"] for one in told.values()}) == 1
        for path in (tmp_path / str(images)).rglob("*"):
            if path.is_file():
                data = SimpleITK.ReadImage(path) if path.name.endswith(".nii.gz") else None
                assert left_in(without_pixels(path) if path.suffix == ".dcm" else path.read_bytes(), secrets) == []
                assert data is None or "Aloisia" not in str([data.GetMetaData(key) for key in data.GetMetaDataKeys()])
    (left,) = json.loads((tmp_path / "2" / "left_out.json").read_text()).values()
    assert "nobody has approved" in left
    rows = list(csv.DictReader((tmp_path / "3" / "deidentification.csv").open()))
    assert {row["action"] for row in rows} >= {"removed", "replaced", "new UID", "shifted", "cleaned"}
    stills = [ds for ds in map(pydicom.dcmread, (tmp_path / "3").rglob("*.dcm")) if ds.Modality == "US"]
    assert [(ds.PatientIdentityRemoved, ds.BurnedInAnnotation) for ds in stills] == [("YES", "NO")]
    assert "113101" in {item.CodeValue for item in stills[0].DeidentificationMethodCodeSequence}
    labels = {path.name: read_labelmap(path) for path in (tmp_path / "3" / "label").glob("*.seg.nrrd")}
    assert len(labels) == 2
    assert all(dict(one.names) == {"tumour": 1} for one in labels.values())
    (nifti,) = (tmp_path / "3" / "image").glob("*.nii.gz")
    assert (SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(nifti)).ravel() == np.arange(24)).all()


def test_the_command_line_exports_and_tells_who_is_who(store, tmp_path, tool) -> None:
    def run(*words, code=0):
        result = CliRunner().invoke(app, ["deidentify", *map(str, words)])
        assert result.exit_code == code, result.output
        return result.output

    said = run("export", tmp_path / "out", "--studies", store.root, "--report", tmp_path / "report.csv", code=1)
    assert "left out: 1." in said
    assert (tmp_path / "report.csv").read_text().startswith("attribute,action,elements")
    made = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.suffix for path in made} == {".dcm", ".gz", ".nrrd"}
    assert left_in(" ".join(map(str, made)).encode(), (*SECRETS[:-2], *originals(store))) == []
    (seg,) = [path for path in made if path.suffix == ".dcm" and pydicom.dcmread(path).Modality == "SEG"]
    assert complaints(tool, seg) == []
    assert left_in(seg.read_bytes(), (*SECRETS, *originals(store))) == []
    slices = [path for path in seg.parent.glob("*.dcm") if path != seg]
    labels = read_dicom_seg(seg, like=grid_of(sorted(slices)))
    assert (labels.array.sum(), list(labels.names)) == (4, ["tumour"])
    (patient,) = (tmp_path / "out").iterdir()
    assert PATIENT_ID in run("lookup", patient.name, "--studies", store.root)
    log = "".join(file.read_text() for file in (store.data / "audit").glob("*.jsonl"))
    assert '"deidentify lookup"' in log
    assert patient.name in log
    assert PATIENT_ID not in log
    said = run("folder", store.root / "ct", tmp_path / "folder", "--studies", store.root, "--keep", "modified-dates")
    assert "6 files are in" in said
    assert (tmp_path / "folder" / patient.name).is_dir()
    for words in (["folder", str(store.root), str(tmp_path / "x")], ["lookup", patient.name]):
        mistyped = CliRunner().invoke(app, ["deidentify", *words, "--studies", str(tmp_path / "nowhere")])
        assert isinstance(mistyped.exception, BadInputError)
    assert not (tmp_path / "nowhere").exists()


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def swapped(path: Path) -> None:
    path.write_text("Aloisia")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [gone, cut, swapped, a_folder])
@pytest.mark.parametrize("what", ["image", "label"])
def test_one_bad_file_keeps_no_other_image_in(store, tmp_path, spoil, what) -> None:
    spoilt = ids(store)["CT"]
    case = next(one for one in store.labelled_cases("final") if one.image_id == spoilt)
    spoil(case.files[3] if what == "image" else case.label)
    leaving = Leaving(store)
    (tmp_path / "out").mkdir()
    for image, count in ((spoilt, 0), (ids(store)["nifti"], 2)):
        label = next((one for one in store.labelled_cases("final") if one.image_id == image), None)
        try:
            leaving.export(store.images.get(image), tmp_path / "out", label=case if image == spoilt else label)
        except BadInputError:
            assert count == 0
        assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == count
    cases = [case, *(one for one in store.labelled_cases("final") if one.image_id == ids(store)["nifti"])]
    with zipfile.ZipFile(write_dataset(Leaving(store), cases, tmp_path / "archives")) as archive:
        listed = archive.namelist()
        told = archive.read("left_out.json")
    assert len([one for one in listed if one.startswith(("image/", "label/"))]) == 2
    assert left_in(told, (*SECRETS, *originals_but(case.files[3], store))) == []
    assert list(json.loads(told)) == [leaving.by.pseudonyms.image(spoilt)]


def originals_but(path: Path, store) -> set[str]:
    return {one.id for one in store.images.all()} | {path.name}


def test_a_dataset_with_patients_goes_on_without_a_file_that_has_gone_too(store) -> None:
    min((store.root / "ct").glob("*.dcm")).unlink()
    datastore = HepaticDatastore(store.root, auto_rescan_seconds=None, scan=False)
    with zipfile.ZipFile(datastore.get_dataset_archive(None)) as archive:
        assert set(json.loads(archive.read("left_out.json"))) == {ids(store)["CT"], ids(store)["US"]}
        assert any(one.startswith("image/Aloisia") for one in archive.namelist())
    for path in store.root.rglob("*.nii.gz"):
        path.unlink()
    with pytest.raises(BadInputError):
        datastore.get_dataset_archive(None)
    datastore.store.close()


def test_the_rest_of_a_folder_leaves_and_the_exit_code_says_what_stayed(tmp_path) -> None:
    source = tmp_path / "in"
    first, *_ = write_ct(source, shape=(3, 12, 16))
    data = first.read_bytes()
    for name_, content in (("again", data), ("cut", data[:200]), ("none", b""), ("text", b"Aloisia")):
        (source / f"{name_}.dcm").write_bytes(content)
    (tmp_path / "studies").mkdir()
    words = ["folder", str(source), str(tmp_path / "out"), "--studies", str(tmp_path / "studies")]
    result = CliRunner().invoke(app, ["deidentify", *words], env={"COLUMNS": "300"})
    assert result.exit_code == 1, result.output
    assert "3 files are in" in result.output
    assert "left out: 4." in result.output
    assert [line.split("/")[-1].split(":")[0] for line in result.output.splitlines() if "left out: /" in line] == [
        "again.dcm", "cut.dcm", "none.dcm", "text.dcm",
    ]  # fmt: skip
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 3


def test_an_archive_is_no_folder_and_the_refusal_says_what_keeps_labels(store, tmp_path) -> None:
    datastore = HepaticDatastore(store.root, auto_rescan_seconds=None, scan=False)
    words = ["deidentify", "folder", datastore.get_dataset_archive(None), str(tmp_path / "out"), "--studies"]
    datastore.store.close()
    with pytest.raises(BadInputError, match=r"Unpack an archive first.*deidentify=true"):
        CliRunner().invoke(app, [*words, str(store.root)], catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def test_a_held_picture_stays_and_its_copy_leaves_no_trace(store, tmp_path) -> None:
    leaving = Leaving(store)
    image = store.images.get(ids(store)["US"])
    (tmp_path / "out").mkdir()
    with pytest.raises(HeldError):
        leaving.export(image, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_no_file_says_where_its_copy_is_written(store, tmp_path) -> None:
    for path in (store.root / "ct").glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = f"1.2.840.10008./../../escaped{path.stem}"
        dataset.save_as(path)
    store.rescan()
    target = tmp_path / "out" / "below"
    target.mkdir(parents=True)
    made = Leaving(store).export(store.images.get(ids(store)["CT"]), target).image
    assert made
    assert {path.suffix for path in made} == {".dcm"}
    assert all(path.resolve().is_relative_to(target) for path in made)
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_label_of_another_kind_stays(store, tmp_path) -> None:
    label = tmp_path / "note.json"
    label.write_text('{"note": "Aloisia"}')
    store.labels.save(ids(store)["CT"], "final", label)
    (case,) = [one for one in store.labelled_cases("final") if one.image_id == ids(store)["CT"]]
    with pytest.raises(BadInputError):
        Leaving(store).label(case, tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_reviews_leave_without_patients_and_readers(store, tmp_path, format) -> None:
    image = ids(store)["CT"]
    grid = grid_of(store.source(image))
    decision = Decision("Hanselmayer", "true", 1, "2024-02-29T10:00:00+00:00", "2024-02-29T10:00:04+00:00")
    lesion = ReviewedCandidate(
        "1.2.826.0.1.77", (-8.0, -15.0, 102.0, 2.0, -10.0, 108.0), 2, "model", "adjudicated", "true", True,
        (decision, replace(decision, reader="Kratochvil", verdict="false")), 0.8, (), "ct_centernet3d", "ab" * 32,
        adjudicated_by="Hanselmayer", adjudicated_at="2024-02-29T11:00:00+00:00",
    )  # fmt: skip
    study = ReviewedStudy(STUDY, PATIENT_ID, Phase.VENOUS, {Phase.VENOUS: image}, grid, (lesion,), complete=True)
    leaving = Leaving(store, [Option.DATES])
    folder = tmp_path / "copies"
    folder.mkdir()
    target = tmp_path / f"out{FORMATS[format].suffix}"
    names = leaving.by.pseudonyms
    left_out = write_export(
        format, [pseudonymous(study, names)], target, files_of=lambda _: leaving.image(image, folder)
    )
    assert left_out == {}
    parts = {target.name: target.read_bytes()}
    if target.suffix == ".zip":
        with zipfile.ZipFile(target) as archive:
            parts = {one: archive.read(one) for one in archive.namelist()}
    assert len(parts) >= (2 if format in ("sr", "nnunet", "nifti") else 1)
    secrets = (*SECRETS, *originals(store), "1.2.826.0.1.77", "20240229")
    for file, data in parts.items():
        assert left_in(file.encode(), secrets) == []
        assert left_in(data, secrets) == []
    if format == "csv":
        rows = list(csv.DictReader(io.StringIO(parts[target.name].decode())))
        assert {row["patient_id"] for row in rows} == {names.patient(PATIENT_ID)}
        assert {row["seconds"] for row in rows} == {"4.0"}
        assert rows[0]["reader"] != rows[1]["reader"]
        assert rows[0]["reader"] == rows[0]["adjudicated_by"]


@pytest.fixture
def pacs(tmp_path, monkeypatch):
    """A PACS with a series and a still of a patient, and where the data of its studies lie here."""
    write_ct(tmp_path / "ct", patient=PATIENT_ID, study=STUDY, shape=(3, 12, 16))
    us.write_us(tmp_path / "us", 1, seed=5, size="tiny", kind="cyst")
    fake = FakePacs()
    for path in (*(tmp_path / "ct").glob("*.dcm"), *(tmp_path / "us").rglob("*.dcm")):
        name(pydicom.dcmread(path)).save_as(path)
        fake.take(path)
    monkeypatch.setenv("HEPATIC_DICOMWEB_DATA_DIR", str(tmp_path / "data"))
    settings.cache_clear()
    with serving(fake) as url:
        yield url, tmp_path / "ct", fake
    settings.cache_clear()


def test_the_command_line_exports_from_a_pacs_what_is_labelled(pacs, tmp_path) -> None:
    url, files, _ = pacs
    datastore = HepaticDatastore(url, auto_rescan_seconds=None)
    ct = next(image.id for image in datastore.store.images.all() if image.modality == "CT")
    still = next(image.id for image in datastore.store.images.all() if image.modality == "US")
    (tmp_path / "label.json").write_bytes(encode_rois([ROI((0, 0, 0, 5, 5, 5), "cyst of Aloisia")]))
    datastore.save_label(ct, str(tmp_path / "label.json"), "final", {})
    datastore.store.close()
    words = ["deidentify", "export", str(tmp_path / "out"), "--studies", url]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    made = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(path.suffix for path in made) == [".dcm"] * 4
    secrets = (*SECRETS, *set().union(*(uids(pydicom.dcmread(path)) for path in files.glob("*.dcm"))))
    for path in made:
        assert left_in(str(path.relative_to(tmp_path)).encode(), secrets) == []
        assert left_in(without_pixels(path) if path.suffix == ".dcm" else path.read_bytes(), secrets) == []
    held = CliRunner().invoke(app, [*words, "--image", still, "--image", ct])
    assert held.exit_code == 1
    assert "left out: 1." in held.output


@pytest.mark.parametrize("trouble", ["failing", "gone", "locked"])
def test_a_dataset_of_a_pacs_goes_on_without_an_image_that_it_does_not_give(pacs, tmp_path, trouble) -> None:
    url, _, fake = pacs
    datastore = HepaticDatastore(url, auto_rescan_seconds=None)
    ct, still = (datastore.store.images.all(modality=kind)[0] for kind in ("CT", "US"))
    (tmp_path / "label.json").write_bytes(encode_rois([ROI((0, 0, 0, 5, 5, 5), "cyst")]))
    for image in (ct, still):
        datastore.save_label(image.id, str(tmp_path / "label.json"), "final", {})
    fake.trouble[ct.series_uid] = trouble
    Quarantine(datastore.store).approve(still.id, by="Dr. K")
    with zipfile.ZipFile(datastore.get_dataset_archive(None)) as archive:
        (left,) = json.loads(archive.read("left_out.json"))
        assert (left, sum(name.startswith("image/") for name in archive.namelist())) == (ct.id, 1)
    with zipfile.ZipFile(datastore.deidentified_archive(None, ())) as archive:
        (left,) = json.loads(archive.read("left_out.json"))
        assert left == Leaving(datastore.store).by.pseudonyms.image(ct.id)
        assert sum(name.startswith("label/") for name in archive.namelist()) == 1
    fake.trouble["search"] = "locked"
    if trouble == "locked":
        with pytest.raises(PacsError):
            datastore.get_dataset_archive(None)
    datastore.store.close()
