"""A server over a folder of studies, with a PACS behind it."""

import time
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
import requests

from hepatic.io.dicom_seg import labels_seg
from hepatic.io.image import Labelmap
from hepatic.settings import settings
from server.app import create_app
from server.running import running
from tests.importers.dicom_files import write_ct
from tests.pacs.fake_pacs import FakePacs, serving
from tests.runs import write_run

APP = Path(__file__).parents[2] / "boxes_app"
CT_SHAPE = (8, 16, 20)


@pytest.fixture(scope="session")
def studies_files(tmp_path_factory):
    """A CT series stored from the head down, and a run; the CT's folder and the run's file."""
    folder = tmp_path_factory.mktemp("originals")
    for number, file in enumerate(reversed(write_ct(folder / "ct", patient="P7", study="1.2.7", shape=CT_SHAPE))):
        file.rename(file.with_name(f"{number}.dcm"))
    return folder / "ct", write_run(folder / "run.dcm", frames=6)


@pytest.fixture
def studies(tmp_path, studies_files):
    """A folder with copies of both; nobody else's labels are in it."""
    ct, run = studies_files
    folder = tmp_path / "studies"
    for file in (*ct.iterdir(), run):
        target = folder / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return folder


@pytest.fixture
def ct(studies):
    return studies / "ct"


@pytest.fixture
def ct_uid(ct):
    return str(pydicom.dcmread(next(ct.iterdir()), stop_before_pixels=True).SeriesInstanceUID)


@pytest.fixture
def pacs(studies):
    """A PACS that has the images of the folder."""
    fake = FakePacs()
    for file in studies.rglob("*.dcm"):
        fake.take(file)
    return fake


@pytest.fixture
def pacs_url(pacs):
    with serving(pacs) as url:
        yield url


class Address(str):
    """Where a server is; ``app`` is what runs there."""


@contextmanager
def served(studies, pacs_url, results="", app=APP):
    """Serve the folder with that PACS behind it; yield the address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEPATIC_DICOMWEB_URL", pacs_url)
        patch.setenv("HEPATIC_DICOMWEB_RESULTS", results)
        settings.cache_clear()
        try:
            made = create_app(app, studies, score_in_background=False, auth=False)
            with running(made) as address:
                there = Address(address)
                there.app = made
                yield there
        finally:
            settings.cache_clear()


def told(address, **query):
    return requests.get(f"{address}/pacs/", params=query, timeout=30).json()


def wait_for(found, seconds=90.0):
    """Return what a function finds as soon as that is something."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.1)
    return result


def results(pacs, modality):
    """What a PACS holds of a modality, in the order in which it came."""
    return [pydicom.dcmread(pydicom.filebase.DicomBytesIO(pacs.instances[str(ds.SOPInstanceUID)][0]))
            for ds in pacs.datasets(Modality=modality)]  # fmt: skip


def label(address, image, tag, folder, suffix=".nrrd"):
    answer = requests.get(f"{address}/datastore/label", params={"label": image, "tag": tag}, timeout=30)
    if answer.status_code != 200:
        return None
    file = folder / f"{tag}{suffix}"
    file.write_bytes(answer.content)
    return file


def by_another(path, source, array, *, algorithm=None, by="", names=None):
    """A segmentation as another hepatic would have made it."""
    labels = Labelmap(array, source.grid)
    made = labels_seg(labels, source, names=names or {"liver": 1}, algorithm=algorithm, by=by)
    made.save_as(path, enforce_file_format=True)
    return path
