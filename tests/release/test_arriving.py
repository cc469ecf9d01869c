"""Images arrive without their patients where that is asked for."""

import io
import os
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
import SimpleITK
from typer.testing import CliRunner

from hepatic.errors import BadInputError
from hepatic.io.header import header
from hepatic.io.labelmap import read_labelmap
from hepatic.io.refusal import NotAnImageError
from hepatic.release.pseudonyms import Pseudonyms
from hepatic.settings import settings
from hepatic.store.folder import FolderStore
from sample_data import us
from server.app import create_app
from server.cli import app
from server.running import running
from tests.importers.dicom_files import write_ct, write_seg
from tests.release.identified import PATIENT_ID, SECRETS, left_in, name, uids, without_pixels

TINY_APP = Path(__file__).parent.parent / "tiny_app"


@pytest.fixture
def export(tmp_path) -> Path:
    """A CT with a segmentation, and a still with text, as a workstation exports them."""
    folder = tmp_path / "Aloisia"
    slices = write_ct(folder / "ct", patient=PATIENT_ID, study="1.2.9.5.77.1")
    us.write_us(folder, 1, seed=5, size="tiny", kind="cyst")
    for path in folder.rglob("*.dcm"):
        name(pydicom.dcmread(path)).save_as(path)
    mask = np.zeros((8, 12, 16), bool)
    mask[2:4, 3:6, 4:8] = True
    write_seg(folder / "seg.dcm", slices, {"Liver": np.ones((8, 12, 16), bool), "Mass": mask})
    return folder


def secrets(folder: Path) -> tuple[str, ...]:
    return (*SECRETS, *set().union(*(uids(pydicom.dcmread(path)) for path in folder.rglob("*.dcm"))))


def everything(folder: Path) -> list[Path]:
    """All files below a folder but the list of who is who."""
    found = [Path(place) / file for place, _, files in os.walk(folder) for file in files]
    return [path for path in found if path.parent.name != "deidentify"]


def check(studies: Path, named: tuple[str, ...]) -> None:
    for path in everything(studies):
        assert left_in(str(path.relative_to(studies)).encode(), named) == []
        data = without_pixels(path) if path.suffix == ".dcm" else path.read_bytes()
        assert left_in(data, named) == [], path


def test_an_import_keeps_no_patient_and_finds_its_segmentation(export, tmp_path) -> None:
    studies = tmp_path / "studies"
    words = ["import", "dicom", str(export), "--studies", str(studies), "--deidentify", "--keep", "modified-dates"]
    for said in ("2 images and 1 labels", "2 images were there already"):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        assert said in result.output
    check(studies, secrets(export))
    store = FolderStore(studies, header=header, not_images=(NotAnImageError,))
    found = {image.modality: image for image in store.images.all()}
    assert found["CT"].patient_id == Pseudonyms.of(store.data).patient(PATIENT_ID)
    label = store.labels.latest(found["CT"].id, "final")
    assert set(read_labelmap(store.labels.path(label)).names) == {"liver", "Mass"}
    still = pydicom.dcmread(store.files(found["US"].id)[0])
    assert (still.PatientIdentityRemoved, still.BurnedInAnnotation) == ("NO", "YES")
    store.close()


def test_what_cannot_be_de_identified_is_not_imported_so(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    words = ["import", "lits", str(tmp_path / "in"), "--studies", str(tmp_path / "studies"), "--deidentify"]
    assert isinstance(CliRunner().invoke(app, words).exception, BadInputError)
    alone = ["import", "dicom", str(tmp_path / "in"), "--studies", str(tmp_path / "s"), "--keep", "descriptors"]
    assert isinstance(CliRunner().invoke(app, alone).exception, BadInputError)


@pytest.fixture
def deidentifying(monkeypatch):
    monkeypatch.setenv("HEPATIC_DEIDENTIFY_UPLOADS", "true")
    monkeypatch.setenv("HEPATIC_DEIDENTIFY_KEEP", "modified-dates")
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


def test_uploads_keep_no_patient(export, tmp_path, deidentifying) -> None:
    studies = tmp_path / "studies"
    image = SimpleITK.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    image.SetMetaData("ITK_FileNotes", "Aloisia Kratochvil")
    SimpleITK.WriteImage(image, tmp_path / "n.nii.gz")
    server = create_app(TINY_APP, studies, score_in_background=False, auth=False)
    with running(server) as address, httpx.Client(base_url=address, timeout=300) as client:

        def put(path: Path, **query: str) -> str:
            files = {"file": (path.name, io.BytesIO(path.read_bytes()))}
            answer = client.put("/datastore/image", params=query, files=files, data={"params": '{"who": "Aloisia"}'})
            assert answer.status_code == 200, answer.text
            return str(answer.json()["image"])

        run = min((export / "ct").glob("*.dcm"))
        series = put(run)
        assert put(run) == series
        volume = put(tmp_path / "n.nii.gz", image="Grünwald_Aloisia")
        listed = client.get("/datastore/", params={"output": "all"}).json()["objects"]
    assert set(listed) == {series, volume}
    assert series == Pseudonyms.of(studies / ".hepatic").uid(str(pydicom.dcmread(run).SeriesInstanceUID))
    kept = [path for path in everything(studies) if path.parent.name != "audit"]  # it says what was asked for
    named = secrets(export)
    for path in kept:
        assert left_in(str(path.relative_to(studies)).encode(), named) == []
        if path.suffix in (".dcm", ".json", ".db"):
            assert left_in(without_pixels(path) if path.suffix == ".dcm" else path.read_bytes(), named) == [], path
    (nifti,) = studies.glob("*.nii.gz")
    read = SimpleITK.ReadImage(nifti)
    assert (SimpleITK.GetArrayFromImage(read).ravel() == np.arange(24)).all()
    assert "Aloisia" not in "".join(read.GetMetaData(key) for key in read.GetMetaDataKeys())


def test_a_wrong_option_is_said_at_the_start(tmp_path, deidentifying) -> None:
    deidentifying.setenv("HEPATIC_DEIDENTIFY_KEEP", "everything")
    settings.cache_clear()
    with pytest.raises(BadInputError, match="HEPATIC_DEIDENTIFY_KEEP"):
        create_app(TINY_APP, tmp_path / "studies", score_in_background=False, auth=False)
