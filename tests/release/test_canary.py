"""One name in every field that a client can write: no byte of any de-identified export has it."""

import gzip
import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
import SimpleITK

from hepatic.geometry import Grid
from hepatic.harvest.export.formats import FORMATS
from hepatic.harvest.study import Candidate, Phase, Proposal, ProposedStudy
from hepatic.io.grid import grid_of
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.markups import ROI, encode_rois
from hepatic.io.orient import upright_grid
from hepatic.settings import settings
from sample_data import us
from server.app import create_app
from server.running import running
from tests.importers.dicom_files import write_ct
from tests.release.identified import SECRETS, left_in, name

TINY_APP = Path(__file__).parent.parent / "tiny_app"
CANARY, NUMBER = "Zwetschkenbaum", 83910427
STUDY = "1.2.9.5.77.1"
SECRET = (*SECRETS, CANARY, str(NUMBER))
KEYS = (
    "user", "author", "client_id", "model", "model_hash", "label_info", "label_names", "boxes_lps_mm", "boxes_known",
    "boxes_note", "classes", "params", "comment", "reason", "tags", "idx", "score", "verdict", "origin", "primary",
    "class", "patient", "modality", "kind", "size", "StudyInstanceUID", "SeriesInstanceUID", CANARY,
)  # fmt: skip
SHAPES = {
    "texts": CANARY,
    "numbers": NUMBER,
    "lists": [CANARY, NUMBER, [CANARY] * 6, [NUMBER] * 6, {"name": CANARY, "idx": CANARY}],
    "segments": [{"name": f"tumour {CANARY}", "idx": 1, CANARY: CANARY}, {"name": NUMBER, "idx": NUMBER}],
    "mappings": {CANARY: CANARY, "name": CANARY, "idx": NUMBER, "a": {"b": [CANARY]}},
}


def poison(shape: str) -> dict[str, object]:
    return dict.fromkeys(KEYS, SHAPES[shape])


@pytest.fixture
def folder(tmp_path) -> Path:
    """A CT and a still, whose headers name a patient, and a NIfTI file that does."""
    studies = tmp_path / "studies" / CANARY
    write_ct(studies / "ct", study=STUDY, shape=(6, 32, 48))
    us.write_us(studies, 1, seed=5, size="tiny", kind="cyst")
    for path in studies.rglob("*.dcm"):
        dataset = name(pydicom.dcmread(path))
        dataset.PatientName = f"{CANARY}^A"
        if dataset.Modality == "US":
            dataset.BurnedInAnnotation = "NO"
        dataset.save_as(path)
    return tmp_path / "studies"


@pytest.fixture
def pacs(orthanc, monkeypatch, tmp_path):
    """A PACS without anything, to which uploads are sent without their patients."""
    orthanc.empty()
    for key, value in {
        "DEIDENTIFY_UPLOADS": "true", "DEIDENTIFY_KEEP": "modified-dates patient-characteristics descriptors",
        "DICOMWEB_STOW": "true", "DICOMWEB_POLL_S": "0.2", "DICOMWEB_DATA_DIR": str(tmp_path / "data"),
    }.items():  # fmt: skip
        monkeypatch.setenv(f"HEPATIC_{key}", value)
    settings.cache_clear()
    yield orthanc
    settings.cache_clear()


class Client:
    """Writes a name wherever it can."""

    def __init__(self, http: httpx.Client, studies: Path, files: Path) -> None:
        self.http, self._files = http, files
        image = SimpleITK.GetImageFromArray(np.zeros((6, 32, 48), np.int16))
        image.SetMetaData("ITK_FileNotes", CANARY)
        SimpleITK.WriteImage(image, files / "n.nii.gz")
        self.ct = sorted((studies / CANARY / "ct").glob("*.dcm"))
        self.us = [file for file in studies.rglob("*.dcm") if file not in self.ct]
        self._grids = {"CT": grid_of(self.ct), "OT": grid_of(files / "n.nii.gz")}

    def put(self, place: str, **request: object) -> None:
        answer = self.http.put(place, **request)
        assert answer.status_code == 200, (place, answer.text)

    def images(self) -> dict[str, dict]:
        told = self.http.get("/datastore/", params={"output": "all"}).json()["objects"]
        return {image: one["image"]["info"] for image, one in told.items()}

    def upload_image(self) -> None:
        data = {"file": (f"{CANARY}.nii.gz", (self._files / "n.nii.gz").read_bytes())}
        self.put("/datastore/image", params={"image": CANARY}, files=data, data={"params": json.dumps(poison("texts"))})

    def upload_series(self, files: list[Path]) -> str:
        """Send a series in a zip, whose name and whose names in it name somebody, too."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number, file in enumerate(files):
                archive.write(file, f"{CANARY}/{CANARY}{number}.dcm")
        data = {"file": (f"{CANARY}.zip", packed.getvalue())}
        about = {"params": json.dumps(poison("texts"))}
        answer = self.http.put("/datastore/image", params={"image": CANARY}, files=data, data=about)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["image"])

    def label(self, image: str, modality: str, shape: str) -> None:
        written = self._files / ("label.json" if modality == "US" else "label.seg.nrrd")
        if modality == "US":
            rois = [ROI((0, 0, 0, 5, 5, 1), f"cyst {CANARY}", poison(shape)), ROI((0, 0, 0, 5, 5, 1), CANARY)]
            written.write_bytes(encode_rois(rois))
        else:
            grid = self._grids[modality]
            array = np.zeros(grid.shape, np.uint8)
            array[0, :2, :2], array[1, :2, :2] = 1, 2
            write_labelmap(written, Labelmap(array, grid, {f"tumour {CANARY}": 1, "tumour Hanselmayer": 2}))
        about = {"params": json.dumps(poison(shape))}
        data = {"label": (f"{CANARY}{''.join(written.suffixes)}", written.read_bytes())}
        self.put("/datastore/label", params={"image": image, "tag": "final"}, files=data, data=about)
        self.put("/datastore/label", params={"image": image, "tag": CANARY}, files=data, data=about)
        self.put("/datastore/label/info", params={"label": image, "tag": "final"}, data={"info": about["params"]})
        self.put("/datastore/image/info", params={"image": image}, data={"info": about["params"]})

    def read(self, study: str) -> None:
        asked = {"headers": {"X-Hepatic-Reader": CANARY}}
        assert self.http.post("/qa/api/v1/lease", json={"study": study}, **asked).status_code == 200
        said = {
            "study": study,
            "device": CANARY,
            CANARY: CANARY,
            "comment": CANARY,
            "decided_at": "2024-02-29T10:00:00Z",
        }
        events = [
            {"type": "decide", "candidate": "2.25.7", "verdict": "true"},
            {"type": "missed"},
            {"type": "box", "box": [-8.0, -15.0, 2.0, 0.0, -10.0, 8.0]},
            {"type": "finish"},
        ]
        sent = {"events": [{"id": str(uuid.uuid4()), **said, **one} for one in events]}
        answer = self.http.post("/qa/api/v1/events", json=sent, **asked)
        assert [one["status"] for one in answer.json()["results"]] == ["stored"] * 4, answer.text


@contextmanager
def served(folder: Path, files: Path, *, studies: str = "") -> Iterator[tuple[Client, object]]:
    server = create_app(TINY_APP, studies or folder, score_in_background=False, auth=False)
    with running(server) as address, httpx.Client(base_url=address, timeout=300) as http:
        yield Client(http, folder, files), server.state.services


def propose(services, image: str, grid: Grid) -> None:
    """Let a detector of a name that tells something have found a lesion."""
    box = (-8.0, -15.0, 2.0, 2.0, -10.0, 8.0)
    found = Candidate("2.25.7", box, 0.8, (Proposal(Phase.VENOUS, box, 0.8),), f"ct_{CANARY}", CANARY, 2)
    affine = tuple(map(tuple, grid.affine.tolist()))
    study = ProposedStudy(STUDY, CANARY, Phase.VENOUS, {Phase.VENOUS: image}, (found,), grid.size, affine, (), "c" * 64)
    services.harvest.store.proposals.add(study)


def parts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what a file consists of, unpacked."""
    if not data.startswith(b"PK"):
        yield "", data
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for one in archive.namelist():
            content = archive.read(one)
            if one.endswith(".gz"):
                content = gzip.decompress(content)
            if one.endswith(".dcm"):
                dataset = pydicom.dcmread(io.BytesIO(content))
                content = content.replace(dataset.PixelData, b"") if "PixelData" in dataset else content
            yield one, content


def orthanc_files(pacs) -> list[bytes]:
    """All that is in a PACS, its pixels taken out."""
    found = []
    with httpx.Client(base_url=pacs.url, timeout=30) as http:
        for instance in http.get("/instances").json():
            data = http.get(f"/instances/{instance}/file").content
            found.append(data.replace(pydicom.dcmread(io.BytesIO(data)).PixelData, b""))
    return found


def clean(answer: httpx.Response) -> list[str]:
    """Return the names of the parts of an answer, none of which holds the name."""
    assert answer.status_code == 200, answer.text
    assert left_in(str(answer.headers).encode(), SECRET) == []
    for one, content in (found := list(parts(answer.content))):
        assert left_in(one.encode(), SECRET) == []
        assert left_in(content, SECRET) == [], (one, content[:2000])
    return [one for one, _ in found]


def test_no_export_has_a_name_that_a_client_wrote_anywhere(folder, tmp_path) -> None:
    with served(folder, tmp_path) as (client, services):
        client.upload_image()
        images = client.images()
        ct = next(image for image, info in images.items() if info["modality"] == "CT")
        propose(services, ct, upright_grid(grid_of(client.ct)))
        client.read(STUDY)
        asked = {"deidentify": True, "keep": ["modified-dates", "patient-characteristics", "descriptors"]}
        for shape in SHAPES:
            for image, info in images.items():
                client.label(image, info["modality"], shape)
            listed = clean(client.http.get("/datastore/dataset", params=asked))
            assert len({one for one in listed if one.startswith("label/")}) == len(images) == 3
        for format in FORMATS:
            listed = clean(client.http.get("/qa/api/v1/export", params={**asked, "format": format}))
            assert "left_out.json" not in listed
        plain = client.http.get("/datastore/dataset").content
        assert CANARY in " ".join(one for one, _ in parts(plain))  # it was there to be found


def test_a_pacs_gets_uploads_without_names_and_its_exports_have_none(folder, tmp_path, pacs) -> None:
    with served(folder, tmp_path, studies=pacs.dicomweb_url) as (client, _):
        uploaded = {client.upload_series(client.ct), client.upload_series(client.us)}
        images = client.images()
        assert set(images) == uploaded
        sent = [content for instance in orthanc_files(pacs) for _, content in parts(instance)]
        assert len(sent) == len(client.ct) + len(client.us)
        for data in (*sent, json.dumps(images).encode()):
            assert left_in(data, SECRET) == []
        for shape in SHAPES:
            for image, info in images.items():
                client.label(image, info["modality"], shape)
            listed = clean(client.http.get("/datastore/dataset", params={"deidentify": True}))
            assert len({one for one in listed if one.startswith("label/")}) == 2
