"""The reports hepatic exports, read by OHIF's own code as MONAI Label ships it, in a real browser.

In most tests only what OHIF asks of other parts of itself (its services, its data source) is stood in for; in the last
one nothing is.
"""

import json
import os
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
import pytest

from hepatic.boxes import from_voxels
from hepatic.harvest.export.structured_report import structured_reports
from hepatic.io.grid import grid_of
from hepatic.settings import settings
from server.app import create_app
from server.running import running
from tests.harvest.export.conftest import study  # noqa: F401
from tests.importers.dicom_files import write_ct

from .browser import browsing
from .conftest import ROOT
from .ohif import Ohif

pytestmark = pytest.mark.viewer

OHIF = Path(find_spec("monailabel").origin).parent / "endpoints" / "static" / "ohif"

OPEN = r"""
(async () => {
  let need; webpackChunk.push([['probe'], {}, given => { need = given }]);
  for (const chunk of CHUNKS) try { await need.e(chunk) } catch {}  // those of workers do not load in a page
  const [id, code] = Object.entries(need.m).find(([, code]) => String(code).includes('src/utils/isRehydratable.js'));
  const used = name => need(String(code).match(new RegExp(`var ${name} = __webpack_require__\\((\\d+)\\)`))[1]);
  const with_ = (module, ...names) => Object.values(module).find(v => v && names.every(name => v[name]));
  const extension = need(id), core = used('src'), metaData = with_(used('core_dist_esm'), 'addProvider');
  const {ImageSet, MetadataProvider} = with_(core, 'ImageSet', 'MetadataProvider');
  const store = with_(core, 'getInstance', 'addInstances');
  const adapters = Object.values(need.m).find(code => String(code).includes('var dcmjs_es = __webpack_require__('));
  const dcmjs = need(String(adapters).match(/var dcmjs_es = __webpack_require__\((\d+)\)/)[1]).Ay;
  const natural = json => dcmjs.data.DicomMetaDictionary.naturalizeDataset(json);
  const report = natural(REPORT), slices = SLICES.map(natural), ids = slices.map(one => 'test:' + one.SOPInstanceUID);
  slices.forEach((one, n) => MetadataProvider.addImageIdToUIDs(ids[n], one));
  metaData.addProvider((type, imageId) => {
    const one = slices[ids.indexOf(imageId)];
    if (one && type === 'instance') return one;
    if (one && type === 'imagePlaneModule') return {
      rowCosines: [1, 0, 0], columnCosines: [0, 1, 0], imagePositionPatient: one.ImagePositionPatient,
      rowPixelSpacing: one.PixelSpacing[1], columnPixelSpacing: one.PixelSpacing[0],  // as it multiplies with them
      frameOfReferenceUID: one.FrameOfReferenceUID,
    };
  }, 10000);
  store.addInstances([report]);
  const made = [], series = new ImageSet(slices);
  const source = {retrieve: {}, getImageIdsForDisplaySet: () => ids};
  const extensionManager = {getDataSources: () => [source], getActiveDataSource: () => [source]};
  const services = {
    displaySetService: {
      activeDisplaySets: [series], EVENTS: {}, subscribe() {}, getDisplaySetByUID: () => shown,
    },
    measurementService: {
      getSourceMappings: () => [{annotationType: 'RectangleROI', toMeasurementSchema: one => one}],
      getSource: () => ({}),
      addRawMeasurement: (_, tool, {annotation}) => { made.push({tool, annotation}) },
    },
    customizationService: {getModeCustomization: () => undefined, getCustomization: (_, otherwise) => otherwise},
  };
  const servicesManager = {services};
  const handlers = extension.default.getSopClassHandlerModule({servicesManager, extensionManager});
  const handler = handlers.find(one => one.sopClassUids.includes(report.SOPClassUID));
  const [shown] = handler.getDisplaySetsFromSeries([report]);
  await shown.load();
  if (shown.isRehydratable)
    extension.hydrateStructuredReport({servicesManager, extensionManager, appConfig: {}}, shown.displaySetInstanceUID);
  return JSON.stringify({
    hydratable: shown.isRehydratable,
    measurements: shown.measurements.map(one => ({uid: one.TrackingUniqueIdentifier, loaded: one.loaded,
      labels: one.labels, type: one.coords[0].ValueType})),
    annotations: made.map(({tool, annotation}) => ({tool, on: annotation.metadata.referencedImageId,
      points: annotation.data.handles.points, finding: annotation.data.finding})),
  });
})()
"""


@pytest.fixture
def ohif(tmp_path, tool):
    app = create_app(ROOT / "tests" / "foreign_app", tmp_path / "studies", score_in_background=False)
    with running(app) as address, browsing(tool("chromium", "chromium"), tmp_path) as browser:
        browser.open(f"{address}/ohif/")
        browser.until("typeof webpackChunk !== 'undefined' && document.readyState === 'complete'")
        yield browser


@pytest.fixture
def series(tmp_path):
    return write_ct(tmp_path / "ct", patient="P7", study="1.2", shape=(6, 32, 48), z0=100.0)


@pytest.fixture
def reviewed(study, series):  # noqa: F811
    grid = grid_of(series)
    box = from_voxels([[1, 15, 20, 3, 25, 30]], grid)[0].tolist()
    return replace(study, grid=grid, candidates=(replace(study.candidates[0], box=tuple(box)), study.candidates[3]))


def opened(ohif, report, series, tmp_path):
    """What OHIF makes of a report."""
    report.dataset.save_as(tmp_path / "sr.dcm")
    slices = []
    for file in series:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        slices.append(json.loads(header.to_json()))
    chunks = sorted({int(found[1]) for p in OHIF.iterdir() if (found := re.match(r"(\d+)\.bundle\..*js$", p.name))})
    script = (
        OPEN.replace("CHUNKS", json.dumps(chunks))
        .replace("SLICES", json.dumps(slices))
        .replace("REPORT", pydicom.dcmread(tmp_path / "sr.dcm").to_json())
    )
    return json.loads(ohif.run(script))


def test_ohif_makes_an_annotation_of_each_lesion_on_its_key_slice(ohif, reviewed, series, tmp_path):
    slices = next(report for report in structured_reports(reviewed, series) if report.name == "slices")
    found = opened(ohif, slices, series, tmp_path)
    assert found["hydratable"]
    assert [(one["uid"], one["loaded"]) for one in found["measurements"]] == [("2.25.1", True), ("2.25.4", True)]
    first = found["annotations"][0]
    assert first["tool"] == "RectangleROI"
    assert first["on"] == "test:" + pydicom.dcmread(series[2]).SOPInstanceUID
    points = np.array(first["points"])
    box = np.array(reviewed.candidates[0].box)
    np.testing.assert_allclose([*points.min(axis=0)[:2], *points.max(axis=0)[:2]], box[[0, 1, 3, 4]], atol=1e-3)
    assert np.ptp(points[:, 2]) == 0
    assert {label["label"] for label in found["measurements"][0]["labels"]} >= {"Area", "Certainty of finding"}


def test_ohif_opens_the_report_in_space_without_making_annotations_of_it(ohif, reviewed, series, tmp_path):
    found = opened(ohif, structured_reports(reviewed, series)[0], series, tmp_path)
    assert not found["hydratable"]
    assert [one["type"] for one in found["measurements"]] == ["SCOORD3D", "SCOORD3D"]
    assert found["annotations"] == []


@pytest.fixture
def square(series):
    """The series with square pixels: of others OHIF takes the one spacing for the other."""
    for file in series:
        ds = pydicom.dcmread(file)
        ds.PixelSpacing = [0.8, 0.8]
        ds.save_as(file)
    return series


@pytest.fixture
def viewer(orthanc, square, tool, tmp_path, monkeypatch):
    """The viewer on a study in a PACS, to which studies may be sent."""
    orthanc.empty()
    orthanc.store(square)
    monkeypatch.setenv("HEPATIC_DICOMWEB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HEPATIC_DICOMWEB_STOW", "1")
    settings.cache_clear()
    app = create_app(ROOT / "tests" / "ohif_app", orthanc.dicomweb_url, score_in_background=False)
    chromium = tool("chromium", "chromium")
    with running(app) as address, browsing(chromium, tmp_path, size="1400,900") as browser:
        yield Ohif(browser, address)
    monkeypatch.undo()
    settings.cache_clear()


def test_a_report_is_sent_with_ohif_listed_and_its_rectangles_lie_on_their_slices(viewer, reviewed, series, tmp_path):
    report = next(report for report in structured_reports(reviewed, series) if report.name == "slices")
    report.dataset.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    viewer.list_studies("P7")
    assert viewer.upload(tmp_path / "sr.dcm") == ["/proxy/dicom/wado/studies"], "the only place below wado for it"
    viewer.open("1.2", mode="viewer", viewports=1)
    rectangles = viewer.load_report("Reviewed lesions", 2)
    if folder := os.environ.get("HEPATIC_TEST_PICTURES"):
        viewer.browser.picture(Path(folder) / "ohif-report.png")
    boxes = {2: reviewed.candidates[0].box, 1: reviewed.candidates[1].box}
    assert len(rectangles) == len(boxes)
    for one in rectangles:
        k = next(k for k, file in enumerate(series) if pydicom.dcmread(file).SOPInstanceUID in one["on"])
        points = np.array(one["points"])
        found = [*points.min(axis=0)[:2], *points.max(axis=0)[:2]]
        left, *others = np.array(boxes.pop(k))[[0, 1, 3, 4]]
        np.testing.assert_allclose(found, [max(left, -10.4), *others], atol=1e-3)  # one reaches beyond the image's edge
        np.testing.assert_allclose(points[:, 2], pydicom.dcmread(series[k]).ImagePositionPatient[2], atol=1e-3)
