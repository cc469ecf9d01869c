"""The way to the DICOMweb server, with a real Orthanc at its end: what OHIF sends, searches and fetches."""

import numpy as np
import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient
from pydicom.uid import ExplicitVRLittleEndian

from hepatic.pacs.spec import PacsSpec
from tests.runs import write_run
from tests.server.test_ohif import raw
from tests.server.test_proxy import proxied


@pytest.fixture(scope="module")
def url(orthanc):
    with proxied(PacsSpec(orthanc.dicomweb_url, takes_studies=True), max_body_bytes=8 << 20) as address:
        yield address


@pytest.fixture(scope="module")
def runs(url, tmp_path_factory):
    """Two runs, sent through the proxy to where nothing is; as they were."""
    folder = tmp_path_factory.mktemp("runs")
    sent = [pydicom.dcmread(write_run(folder / f"{patient}.dcm", patient=patient)) for patient in ("A1", "B2")]
    client = DICOMwebClient(url, stow_url_prefix="stow")
    assert not client.store_instances(sent).get("FailedSOPSequence")
    return sent


def test_a_search_finds_what_its_query_string_says(url, runs):
    client = DICOMwebClient(url, qido_url_prefix="qido")
    for run in runs:
        found = client.search_for_studies(search_filters={"StudyInstanceUID": run.StudyInstanceUID})
        assert [one["00100020"]["Value"] for one in found] == [[run.PatientID]]
    assert len(client.search_for_studies(limit=1)) == 1
    for query in ("PatientID=A*&includefield=00081030", "limit=5&00100020=A*"):
        answer = requests.get(f"{url}/qido/studies?{query}", timeout=10)
        assert [one["0020000D"]["Value"] for one in answer.json()] == [[runs[0].StudyInstanceUID]]
        assert answer.headers["content-type"] == "application/dicom+json"


def test_what_is_fetched_is_what_was_sent(url, runs):
    client = DICOMwebClient(url, wado_url_prefix="wado")
    run = runs[0]
    path = (run.StudyInstanceUID, run.SeriesInstanceUID, run.SOPInstanceUID)
    fetched = client.retrieve_instance(*path)
    np.testing.assert_array_equal(fetched.pixel_array, run.pixel_array)
    frames = client.retrieve_instance_frames(
        *path, frame_numbers=[2, 5], media_types=(("application/octet-stream", ExplicitVRLittleEndian),)
    )
    assert frames == [run.pixel_array[1].tobytes(), run.pixel_array[4].tobytes()]


@pytest.mark.parametrize("operation", ["wado", "qido"])
def test_metadata_come_under_either_name_as_viewers_ask(url, runs, operation):
    address = f"{url}/{operation}/studies/{runs[0].StudyInstanceUID}/series/{runs[0].SeriesInstanceUID}/metadata"
    answer = requests.get(address, headers={"Accept": "application/dicom+json"}, timeout=10)
    assert answer.json()[0]["00280008"]["Value"] == [12]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["../instances", "../tools/reset", "%2e%2e/system", "studies/../../system", "wado/../../system", "/system"]
)
def test_orthancs_own_interface_is_out_of_reach(url, runs, orthanc, path):
    assert requests.get(f"{orthanc.url}/system", timeout=10).ok
    assert raw(url, f"/proxy/dicom/{path}")[0] in (404, 422)


def test_when_it_is_down_the_answer_is_a_sentence_and_when_it_is_back_what_it_has(url, runs, orthanc):
    orthanc.stop()
    try:
        answer = requests.get(f"{url}/qido/studies", timeout=10)
        assert answer.status_code == 502
        assert "cannot be reached" in answer.json()["detail"]
    finally:
        orthanc.start()
    assert len(requests.get(f"{url}/qido/studies", timeout=10).json()) == 2
