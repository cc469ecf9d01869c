"""What a reader corrects or draws in OHIF is a label of hepatic's: these voxels, of this reader, with its history."""

import time

import highdicom as hd
import httpx
import numpy as np
import pydicom
import pytest
import SimpleITK

from hepatic.settings import settings
from server.app import create_app
from server.running import running
from tests.importers.dicom_files import write_ct
from tests.slicer import connected, secret_of, web

from .browser import browsing
from .conftest import ROOT
from .ohif import Ohif, on_viewer

pytestmark = pytest.mark.viewer

FROM_THE_HEAD = ("from the head", "exported")
SERIES = (*FROM_THE_HEAD, "from the feet", "drawn", "of another patient", "of one more")
PHASES = ("ARTERIAL", "VENOUS")
OWN_EXPORT = """void commandsManager.runCommand(
  'storeSegmentation', {segmentationId: '1', dataSource: extensionManager.getActiveDataSource()[0]}, 'SEGMENTATION')"""


@pytest.fixture(scope="module")
def images(orthanc, tmp_path_factory):
    """CT series of a few voxels in the PACS, all but two in studies of their own: a header of each, by name."""
    headers = {}
    for number, name in enumerate((*SERIES, *PHASES), 1):
        study = {"patient": f"SAVES{number}", "study": f"1.2.826.8.{number}"}
        if name in PHASES:
            study = {"patient": "PHASES", "study": "1.2.826.8.99", "description": name}
        files = write_ct(tmp_path_factory.mktemp("ct"), **study)
        for file in files:
            ds = pydicom.dcmread(file)
            ds.SeriesNumber = number
            if name in FROM_THE_HEAD:
                ds.InstanceNumber = len(files) + 1 - ds.InstanceNumber
            ds.save_as(file)
        orthanc.store(files)
        headers[name] = pydicom.dcmread(files[0])
    return headers


@pytest.fixture(scope="module")
def app(orthanc, images, tmp_path_factory):
    """Ours, on the PACS, to which it sends labels and passes on what browsers send; it asks for a login."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEPATIC_DICOMWEB_DATA_DIR", str(tmp_path_factory.mktemp("hepatic")))
        patch.setenv("HEPATIC_DICOMWEB_RESULTS", "labels")
        patch.setenv("HEPATIC_DICOMWEB_STOW", "1")
        patch.setenv("HEPATIC_DICOMWEB_POLL_S", "1")
        patch.setenv("HEPATIC_PROPOSE_IN_BACKGROUND", "false")
        settings.cache_clear()
        yield create_app(ROOT / "tests" / "ohif_app", orthanc.dicomweb_url, score_in_background=False, auth=True)
    settings.cache_clear()


@pytest.fixture(scope="module")
def ohif(app, tool, tmp_path_factory):
    """The viewer, in which Dr. K is logged in."""
    secret = secret_of(app, "reviewer")
    profile = tmp_path_factory.mktemp("browser")
    with running(app) as address, browsing(tool("chromium", "chromium"), profile, size="1400,900") as browser:
        browser.open(f"{address}/login?next=%2Fohif%2F")
        browser.until("document.querySelector('#password') !== null")
        browser.run(f"document.querySelector('#password').value = {secret!r}; document.querySelector('button').click()")
        browser.until("location.pathname.startsWith('/ohif')")
        yield Ohif(browser, address)


@pytest.fixture
def slicer(ohif, app, tmp_path):
    return connected(ohif.address, tmp_path, secret_of(app, "reviewer"))


def saved(slicer, image, tag="final"):
    """The label as 3D Slicer gets it."""
    return SimpleITK.ReadImage(slicer.download_label(image.SeriesInstanceUID, tag))


def labels_of(slicer, image):
    """What is kept with each label of an image, by tag."""
    labels = slicer.datastore()["objects"][image.SeriesInstanceUID]["labels"]
    return {tag: label["info"] for tag, label in labels.items()}


def wait_for(look):
    """What a look comes to as soon as that is something."""
    deadline = time.monotonic() + 120
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def corrected(ohif, image):
    """Open a series, have a model segment it, and paint over that: the labels that are shown, and their numbers."""
    ohif.open(image.StudyInstanceUID)
    if ohif.shown_series() != image.SeriesInstanceUID:
        ohif.show(image.SeriesInstanceUID)
    ohif.connect()
    ohif.tab("segmentation")
    ohif.choose_model("Segmentation", "corner")
    ohif.run("Segmentation")
    computed = ohif.labelmap()[0]
    ohif.use("Brush")
    shown = ohif.labelmap()
    assert not np.array_equal(shown[0], computed)
    assert not np.array_equal(shown[0], shown[0][::-1])
    return shown, ohif.segments()


def segmentations(orthanc, image):
    """What the PACS has of segmentations of a study: which version each is, and who made it."""
    asked = {"Level": "Instance", "Query": {"Modality": "SEG", "StudyInstanceUID": str(image.StudyInstanceUID)}}
    with httpx.Client(base_url=orthanc.url, trust_env=False) as client:
        found = client.post("/tools/find", json=asked).json()
        tags = [client.get(f"/instances/{one}/simplified-tags").json() for one in found]
    return sorted((one["ContentLabel"], one["ContentCreatorName"]) for one in tags)


def test_a_labelmap_is_corrected_and_saved_voxel_for_voxel_with_who_drew_it(ohif, images, slicer, app, orthanc):
    image = images["from the head"]
    shown, numbers = corrected(ohif, image)
    assert ohif.save_label() == "Saved in hepatic: liver, tumour, on series LIVER 3 PHASE"
    np.testing.assert_array_equal(on_viewer(saved(slicer, image), shown), shown[0])
    info = labels_of(slicer, image)["final"]
    assert info["label_info"] == [{"name": name, "idx": numbers[name]} for name in ("liver", "tumour")]
    assert info["author"] == "reader-1"
    first, second = f"VERSION_{info['version']}", f"VERSION_{info['version'] + 1}"
    wait_for(lambda: (first, "reader-1^") in segmentations(orthanc, image))

    ohif.use("Eraser", panel=False)
    again = ohif.labelmap()
    assert not np.array_equal(again[0], shown[0])
    assert ohif.export_segmentation().startswith("Saved in hepatic: ")
    np.testing.assert_array_equal(on_viewer(saved(slicer, image), again), again[0])
    labels = app.state.services.host.datastore.store.labels
    history = labels.history(image.SeriesInstanceUID, "final")[-2:]
    assert [one.author for one in history] == ["reader-1", "reader-1"]
    kept = SimpleITK.ReadImage(str(labels.path(history[0])))
    np.testing.assert_array_equal(on_viewer(kept, shown), shown[0])
    wait_for(lambda: (second, "reader-1^") in segmentations(orthanc, image))

    ohif.browser.run(f"services.segmentationService.setSegmentLabel('1', {numbers['tumour']}, ' Liver')")
    assert ohif.save_label() == "Saved in hepatic: liver, on series LIVER 3 PHASE"  # segments of one name are one
    np.testing.assert_array_equal(on_viewer(saved(slicer, image), again), np.where(again[0], numbers["liver"], 0))


@pytest.mark.parametrize("name", SERIES[1:3])
def test_a_download_is_the_same_voxels(ohif, images, slicer, name, tmp_path):
    image = images[name]
    shown, numbers = corrected(ohif, image)
    (tmp_path / "label.dcm").write_bytes(ohif.download_segmentation())
    assert ohif.save_label().startswith("Saved in hepatic: ")
    label = saved(slicer, image)
    np.testing.assert_array_equal(on_viewer(label, shown), shown[0])
    segmentation = hd.seg.segread(tmp_path / "label.dcm")
    for number in numbers.values():
        frames = [
            (group.PlanePositionSequence[0].ImagePositionPatient[2], segmentation.get_stored_frame(at, as_index=True))
            for at, group in enumerate(segmentation.PerFrameFunctionalGroupsSequence)
            if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
        ]
        expected = shown[0] == number
        assert sum(int(frame.sum()) for _, frame in frames) == expected.sum()
        for height, frame in frames:
            np.testing.assert_array_equal(frame, expected[round((height - shown[1][2, 3]) / shown[1][2, 2])])


def test_what_is_drawn_in_the_mode_segmentation_is_saved(ohif, images, slicer):
    image = images["drawn"]
    ohif.open(image.StudyInstanceUID, mode="segmentation", viewports=1)
    assert ohif.save_label() == "Not saved. There is no segmentation in this viewport."
    ohif.click("[...document.querySelectorAll('span, div')].findLast(one => one.innerText === 'Add Segmentation')")
    ohif.browser.until("services.segmentationService.getSegmentations().length")
    assert ohif.save_label() == "Not saved. Nothing is drawn in this segmentation."
    ohif.use("Brush", panel=False)
    drawn = ohif.drawn()
    assert ohif.save_label() == "Saved in hepatic: Segment 1, on series LIVER 3 PHASE"
    label = saved(slicer, image)
    voxels = SimpleITK.GetArrayFromImage(label)
    assert len(drawn) == len(voxels) == 8
    for height, row in drawn.items():
        k = label.TransformPhysicalPointToIndex((*label.GetOrigin()[:2], height))[2]
        np.testing.assert_array_equal(voxels[k].ravel(), row)
    assert labels_of(slicer, image)["final"]["label_info"] == [{"name": "Segment 1", "idx": 1}]


def test_a_segmentation_that_another_ohif_exports_is_a_label(ohif, images, slicer):
    image = images["exported"]
    shown, numbers = corrected(ohif, image)
    before = {tag: info["version"] for tag, info in labels_of(slicer, image).items()}
    ohif.browser.run(OWN_EXPORT)
    ohif.press("Save")
    new = wait_for(
        lambda: [tag for tag, info in labels_of(slicer, image).items() if before.get(tag) != info["version"]]
    )
    assert set(new) <= {"final", "pacs"}  # final, unless a reader has saved one
    found = on_viewer(saved(slicer, image, new[0]), shown)
    listed = {one["name"]: one["idx"] for one in labels_of(slicer, image)[new[0]]["label_info"]}
    assert set(listed) == set(numbers)
    for name, number in numbers.items():
        np.testing.assert_array_equal(found == listed[name], shown[0] == number)


def test_a_label_is_of_the_series_on_which_it_was_drawn(ohif, images, slicer):
    first, other = (images[name] for name in PHASES)
    drawn, _ = corrected(ohif, first)
    ohif.show(other.SeriesInstanceUID)
    assert "series ARTERIAL is not saved" in ohif.connect_again()
    assert "The segmentation is of series ARTERIAL" in ohif.run_refused("Segmentation")
    assert ohif.save_label().startswith("Not saved. ")
    assert ohif.save_label("1").startswith("Not saved. This segmentation belongs to series ARTERIAL")
    np.testing.assert_array_equal(ohif.labelmap()[0], drawn[0])
    assert not labels_of(slicer, other)

    ohif.show(first.SeriesInstanceUID)
    np.testing.assert_array_equal(ohif.labelmap()[0], drawn[0])
    assert ohif.save_label().endswith(", on series ARTERIAL")

    ohif.show(other.SeriesInstanceUID)
    ohif.connect()
    ohif.tab("segmentation")
    ohif.choose_model("Segmentation", "corner")
    ohif.run("Segmentation")
    found = ohif.labelmap()
    assert not np.array_equal(found[0], drawn[0])
    assert ohif.save_label().endswith(", on series VENOUS")
    for image, labels in ((first, drawn), (other, found)):
        np.testing.assert_array_equal(on_viewer(saved(slicer, image), labels), labels[0])


def test_a_series_that_was_saved_is_no_next_sample_and_is_learned_from(ohif, images, slicer, app):
    offered = slicer.next_sample("first", {})["id"]
    corrected(ohif, next(one for one in images.values() if one.SeriesInstanceUID == offered))
    assert ohif.save_label().startswith("Saved in hepatic: ")
    ohif.click("document.querySelector('[data-cy=monailabel-btn]')")
    ohif.connect()
    ohif.tab("activelearning")
    ohif.press("Next Sample")
    ohif.browser.until("/[0-9.]{20}/.test(document.querySelector('.nextSampleForm')?.innerText)")
    shown = ohif.browser.run("document.querySelector('.nextSampleForm').innerText")
    assert [one for one in images.values() if one.StudyInstanceUID in shown]
    assert offered not in [shown, *(slicer.next_sample("first", {})["id"] for _ in images)]
    with web(app) as client:
        learned = client.post(f"{ohif.address}/train/clicked?run_sync=true", json={}, timeout=60).json()
    assert {"liver", "tumour"} <= set(learned["drawn"][offered])
