"""Our own app over simulated angiographies, served; and the client that 3D Slicer uses."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from hepatic.settings import settings
from sample_data.write import write_dsa
from server.app import create_app
from server.running import running
from tests.conftest import missing
from tests.slicer import connected, secret_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def slicer_python():
    folder = ROOT / ".venv-slicer"
    if not any(folder.glob(".installed-*")):
        missing("3D Slicer's code (.venv-slicer)", "Make it: make slicer")
    return folder / "bin" / "python"


def write_ct_series(folder, slices=5):
    """A CT of a few slices, written as DICOM files of one series."""
    folder.mkdir(parents=True)
    study, series = generate_uid(), generate_uid()
    pixels = np.random.default_rng(7).integers(0, 2000, (slices, 12, 16)).astype(np.uint16)
    for number in range(slices):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "CT0001", study, series
        ds.Modality, ds.InstanceNumber, ds.FrameOfReferenceUID = "CT", number + 1, series
        ds.ImagePositionPatient = [-10.0, -20.0, 30.0 + 2.5 * number]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness = [0.8, 0.9], 2.5
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 12, 16, 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        ds.PixelData = pixels[number].tobytes()
        ds.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return series


@pytest.fixture(scope="module")
def auth(request):
    """Whether the server asks for a login; not unless a test is parametrised with it."""
    return getattr(request, "param", False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory, auth):
    out = tmp_path_factory.mktemp("demo")
    runs = write_dsa(out, 3, seed=0, size="small")
    return out, runs


@pytest.fixture(scope="module")
def ct_series(demo):
    return write_ct_series(demo[0] / "studies" / "CT0001")


@pytest.fixture(scope="module")
def studies(request, demo, ct_series):
    """Where the images are: in a folder, unless a test is parametrised with ``pacs``."""
    folder = demo[0] / "studies"
    if getattr(request, "param", "folder") == "folder":
        yield folder
        return
    orthanc = request.getfixturevalue("orthanc")
    orthanc.store(folder.rglob("*.dcm"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HEPATIC_DICOMWEB_DATA_DIR", str(demo[0] / "data"))
        settings.cache_clear()
        yield orthanc.dicomweb_url
    settings.cache_clear()


@pytest.fixture(scope="module")
def app(studies, auth):
    return create_app(ROOT / "apps" / "hepatic", studies, score_in_background=True, auth=auth)


@pytest.fixture(scope="module")
def server(app):
    with running(app) as address:
        yield address


@pytest.fixture
def slicer(server, tmp_path, app):
    return connected(server, tmp_path, secret_of(app, "reviewer"))
