"""OHIF in a real browser, on the studies of a real PACS: what a reader does in it, and what must then be true."""

import json
import time

import numpy as np
import pydicom
import pytest
import requests
import SimpleITK

from hepatic.settings import settings
from sample_data.ct.write import write_ct as write_phantoms
from server.app import create_app
from server.running import running
from tests.importers.dicom_files import write_ct

from .browser import browsing
from .conftest import ROOT
from .ohif import READY, Ohif, on_viewer

pytestmark = pytest.mark.viewer


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A simulated CT study, and three CT series of a few voxels, each in its study: the folder, and headers by name."""
    out = tmp_path_factory.mktemp("ohif")
    phantom = write_phantoms(out, 1, seed=0, size="small", follow_ups=False)[0]
    headers = {"phantom": pydicom.dcmread(next(phantom.series["venous"].iterdir()))}
    for number, name in enumerate(("from the feet", "from the head", "prone"), 1):
        folder = out / "studies" / name
        files = write_ct(folder, patient=f"OHIF{number}", study=f"1.2.826.{number}", prone=name == "prone")
        for file in files if name == "from the head" else ():
            ds = pydicom.dcmread(file)
            ds.InstanceNumber = len(files) + 1 - ds.InstanceNumber
            ds.save_as(file)
        headers[name] = pydicom.dcmread(files[0])
    return out / "studies", headers


@pytest.fixture(scope="module")
def ohif(orthanc, studies, tool, tmp_path_factory):
    """The viewer, served beside our app, with the studies in a PACS behind both."""
    orthanc.store(sorted(studies[0].rglob("*.dcm")))
    profile = tmp_path_factory.mktemp("browser")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEPATIC_DICOMWEB_DATA_DIR", str(tmp_path_factory.mktemp("hepatic")))
        patch.setenv("HEPATIC_PROPOSE_IN_BACKGROUND", "false")
        settings.cache_clear()
        app = create_app(ROOT / "tests" / "ohif_app", orthanc.dicomweb_url, score_in_background=False)
        with running(app) as address, browsing(tool("chromium", "chromium"), profile, size="1400,900") as browser:
            yield Ohif(browser, address)
    settings.cache_clear()


def inferred(address, model, series, **params):
    """What ``/infer`` gives a client that is not OHIF."""
    url = f"{address}/infer/{model}?image={series}&output=image"
    given = {"result_extension": ".nrrd", **params}
    answer = requests.post(url, files={"params": (None, json.dumps(given))}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.content


def by_name(file, labels, content, of, segments):
    """Labels of an NRRD in a viewer's volume, each voxel where it lies in the patient, numbered as the viewer does."""
    file.write_bytes(content)
    renumbered = np.zeros(256, np.uint8)
    for value, name in enumerate(of, 1):
        renumbered[value] = segments[name]
    return renumbered[on_viewer(SimpleITK.ReadImage(str(file)), labels)]


def test_a_liver_is_segmented_in_the_viewer_as_the_server_segments_it(ohif, studies, tmp_path):
    listed = ohif.list_studies("CT00000")
    assert "Phantom, CT00000" in listed
    assert "Jan-02-2024" in listed
    assert "Upload" not in listed, "nothing may be sent to the PACS from here"
    ohif.open(studies[1]["phantom"].StudyInstanceUID)
    ohif.connect()
    ohif.choose_model("Segmentation", "ct_liver")
    ohif.run("Segmentation")
    labels = ohif.labelmap()
    content = inferred(ohif.address, "ct_liver", ohif.shown_series())
    expected = by_name(tmp_path / "liver.nrrd", labels, content, ["liver"], ohif.segments())
    np.testing.assert_array_equal(labels[0], expected)
    assert expected.any()


@pytest.mark.parametrize("name", ["from the feet", "from the head", "prone"])
def test_every_voxel_of_a_label_is_where_it_belongs(ohif, studies, name, tmp_path):
    image = studies[1][name]
    ohif.open(image.StudyInstanceUID)
    ohif.connect()
    ohif.choose_model("Segmentation", "corner")
    ohif.run("Segmentation")
    labels = ohif.labelmap()
    content = inferred(ohif.address, "corner", image.SeriesInstanceUID)
    expected = by_name(tmp_path / "corner.nrrd", labels, content, ["tumour", "liver"], ohif.segments())
    np.testing.assert_array_equal(labels[0], expected)
    assert len(np.unique(expected)) == 3
    assert not np.array_equal(expected, expected[::-1])


def test_a_segmentation_that_lies_in_the_pacs_is_shown_as_it_was_found(ohif, studies, orthanc, tmp_path):
    image = studies[1]["from the head"]
    answer = requests.post(f"{ohif.address}/infer/corner?image={image.SeriesInstanceUID}&output=dicom_seg", timeout=60)
    (tmp_path / "corner.dcm").write_bytes(answer.content)
    orthanc.store([tmp_path / "corner.dcm"])
    ohif.open(image.StudyInstanceUID, mode="viewer", viewports=1)
    slices, segments = ohif.stored_segmentation()
    assert segments == [{"1": "tumour", "2": "liver"}]
    (tmp_path / "corner.nrrd").write_bytes(inferred(ohif.address, "corner", image.SeriesInstanceUID))
    expected = SimpleITK.ReadImage(str(tmp_path / "corner.nrrd"))
    for k, found in enumerate(SimpleITK.GetArrayFromImage(expected)):
        height = expected.TransformIndexToPhysicalPoint((0, 0, k))[2]
        np.testing.assert_array_equal(slices[round(height, 3)].reshape(found.shape), found)


def test_points_that_are_clicked_arrive_where_they_were_clicked(ohif, studies, tmp_path):
    image = studies[1]["from the head"]
    ohif.open(image.StudyInstanceUID)
    ohif.connect()
    ohif.tab("pointprompts")
    ohif.choose_model("PointPrompts", "clicked")
    ohif.choose_organ("liver")
    ohif.click_voxel(11, 4, 5)
    ohif.run("PointPrompts")
    labels = ohif.labelmap()
    content = inferred(ohif.address, "clicked", image.SeriesInstanceUID, liver=[[11, 4, 5]])
    expected = by_name(tmp_path / "clicked.nrrd", labels, content, ["liver"], ohif.segments())
    np.testing.assert_array_equal(labels[0], expected)
    assert [expected.any(axis=axes).sum() for axes in ((0, 1), (0, 2), (1, 2))] == [5, 3, 1]


def test_the_next_sample_is_opened_from_the_panel(ohif, studies):
    ohif.open(studies[1]["prone"].StudyInstanceUID)
    ohif.connect()
    ohif.tab("activelearning")
    ohif.press("Next Sample")
    ohif.browser.until("!!document.querySelector('.nextSampleForm .actionButton')")
    ohif.browser.until("/[0-9.]{20}/.test(document.querySelector('.nextSampleForm').innerText)")
    shown = ohif.browser.run("document.querySelector('.nextSampleForm').innerText")
    next_one = next(one for one in studies[1].values() if one.StudyInstanceUID in shown)
    assert next_one.PatientID in shown
    ohif.browser.run("window.confirm = () => true")
    ohif.click("document.querySelector('.nextSampleForm .actionButton')")
    ohif.browser.until(f"location.search === '?StudyInstanceUIDs={next_one.StudyInstanceUID}' && {READY % 3}")


def test_only_the_trainer_that_is_named_in_the_options_is_started(ohif, studies):
    ohif.open(studies[1]["prone"].StudyInstanceUID)
    ohif.connect()
    ohif.click("[...document.querySelectorAll('a')].find(one => one.innerText === 'Options / Configurations')")
    ohif.choose("select[name=selectSection]", "train")
    ohif.choose("select[name=selectName]", "clicked")
    ohif.type("#trainclickedpasses", "3")
    ohif.press("Confirm")
    ohif.tab("activelearning")
    ohif.press("Update Model")
    deadline = time.monotonic() + 60
    while not any(one["status"] == "DONE" for one in trainings(ohif.address)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    asked = [one["request"] for one in trainings(ohif.address)]
    assert [(one["model"], one["passes"]) for one in asked] == [("clicked", 3)]


def trainings(address):
    answer = requests.get(f"{address}/train/?all=true", timeout=10)
    return answer.json() if answer.ok else []
