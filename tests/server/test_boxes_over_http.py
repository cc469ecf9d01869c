"""A detector behind the real server: what 3D Slicer's own client and OHIF's request get, save and train."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import requests
import SimpleITK

from hepatic.engine.weights import Registry
from hepatic.io.dicom_report_read import read_report
from hepatic.io.dicom_source import DicomSource
from hepatic.io.markups import ROI, encode_rois, read_rois
from hepatic.io.sidecar import Sidecar, write_sidecar
from hepatic.settings import settings
from server.app import create_app
from server.running import running
from tests.dicom_validator import complaints
from tests.engine.toys import CLASSIFIER, DETECTOR, box_of, serve, serve_detector, write_ct
from tests.importers.dicom_files import write_ct as write_dicom_ct
from tests.slicer import connected

APP = Path(__file__).parent.parent / "boxes_app"
PATIENTS = 4
SERIES = "1.2.840.99.1"
SLICER = {"result_extension": ".nrrd", "result_dtype": "uint8", "min_score": 0.5}
OHIF = {"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False, "restore_label_idx": False}


def centre(number):
    return 3, 5, 5 + number


def write_series(folder, *centres):
    """A CT series of DICOM with a bright block around each centre (k, j, i)."""
    array = np.full((8, 16, 20), 1024, np.uint16)  # 0 HU
    for k, j, i in centres:
        array[k - 1 : k + 2, j - 2 : j + 3, i - 2 : i + 3] = 1124
    for file, pixels in zip(write_dicom_ct(folder, patient="P9", shape=array.shape), array, strict=True):
        ds = pydicom.dcmread(file)
        ds.PixelData, ds.SeriesInstanceUID = pixels.tobytes(), SERIES
        ds.save_as(file)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct")
    for number in range(PATIENTS):
        write_sidecar(folder / f"p{number}.nrrd", Sidecar(f"P{number}", f"1.2.{number}", "venous", "CT"))
        write_ct(folder / f"p{number}.nrrd", centre(number), seed=number)
    write_series(folder / "series", (2, 5, 6), (5, 8, 11))
    registry = Registry(settings().data_dir(folder) / "models")
    serve_detector(registry)
    serve(registry, CLASSIFIER, **{"line.weight": [[-1.0], [1.0]], "line.bias": [0.0, 0.0]})
    return folder


@pytest.fixture(scope="module")
def server(studies):
    app = create_app(APP, studies, score_in_background=False, auth=False)
    with running(app) as address:
        yield address


@pytest.fixture
def slicer(server, tmp_path):
    return connected(server, tmp_path)


def ask(server, model, image, output, params):
    return requests.post(
        f"{server}/infer/{model}",
        params={"image": image, "output": output},
        data={"params": json.dumps(params)},
        timeout=60,
    )


def test_slicer_lists_the_detector_beside_the_segmentations_and_gets_rois(slicer):
    models = slicer.info()["models"]
    assert models[DETECTOR.name]["type"] == "detection"
    assert models[f"{DETECTOR.name}_boxes"]["type"] == "segmentation"
    file, params = slicer.infer(DETECTOR.name, "p1", dict(SLICER))
    assert file.endswith(".json"), "the suffix tells Slicer to load markups"
    (roi,) = read_rois(Path(file))
    assert roi.box == pytest.approx(box_of(centre(1)))
    assert roi.about["candidate"] == params["boxes"][0]["candidate"]


def test_ohif_gets_a_raw_labelmap_of_the_boxes(server, studies):
    answer = ask(server, f"{DETECTOR.name}_boxes", "p1", "image", {**OHIF, "min_score": 0.5})
    (studies.parent / "ohif.nrrd").write_bytes(answer.content)
    result = SimpleITK.ReadImage(str(studies.parent / "ohif.nrrd"))
    assert result.GetPixelID() == SimpleITK.sitkUInt8
    assert result.GetSize() == SimpleITK.ReadImage(str(studies / "p1.nrrd")).GetSize()
    assert int(SimpleITK.GetArrayFromImage(result).sum()) == 3 * 5 * 5


def test_json_has_boxes_and_classes(server):
    boxes = ask(server, DETECTOR.name, "p2", "json", {"min_score": 0.5}).json()["boxes"]
    assert np.array([box["box"] for box in boxes]) == pytest.approx(np.array([box_of(centre(2))]))
    classes = ask(server, CLASSIFIER.name, "p2", "json", {}).json()
    assert set(classes["probabilities"]) == set(CLASSIFIER.labels)


def test_a_pacs_gets_a_segmentation_with_a_segment_for_each_box(server, studies, tmp_path, tool):
    answer = ask(server, DETECTOR.name, SERIES, "dicom_seg", {"min_score": 0.5})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    file = tmp_path / "seg.dcm"
    file.write_bytes(answer.content)
    assert complaints(tool, file) == []
    seg = hd.seg.segread(file)
    told = ask(server, DETECTOR.name, SERIES, "json", {"min_score": 0.5}).json()
    tracked = [segment.TrackingUID for segment in seg.SegmentSequence]
    assert tracked == [box["candidate"] for box in told["boxes"]]
    slices = [pydicom.dcmread(path).SOPInstanceUID for path in sorted((studies / "series").glob("*.dcm"))]
    found = seg.get_pixels_by_source_instance(slices[1:7], assert_missing_frames_are_empty=True)
    expected = np.zeros((6, 16, 20, 2), bool)
    expected[0:3, 3:8, 4:9, 0] = expected[3:6, 6:11, 9:14, 1] = True
    tallest = seg.get_segment_description(1)
    assert tallest.SegmentAlgorithmType == "AUTOMATIC"
    assert tallest.algorithm_identification.version == told["model_version"]
    order = [0, 1] if found[0, ..., 0].any() else [1, 0]
    assert np.array_equal(found[..., order].astype(bool), expected)


@pytest.mark.parametrize(
    ("output", "kind"), [("dicom_sr", "Comprehensive3DSR"), ("dicom_sr_slices", "ComprehensiveSR")]
)
def test_a_pacs_gets_the_boxes_as_a_report(server, studies, tmp_path, tool, output, kind):
    answer = ask(server, DETECTOR.name, SERIES, output, {"min_score": 0.5})
    assert answer.headers["content-type"] == "application/dicom", answer.text
    file = tmp_path / "sr.dcm"
    file.write_bytes(answer.content)
    assert complaints(tool, file) == []
    assert type(hd.sr.srread(file)).__name__ == kind
    told = ask(server, DETECTOR.name, SERIES, "json", {"min_score": 0.5}).json()
    found = read_report(file, DicomSource.read(studies / "series"))
    assert [box.about["candidate"] for box in found.boxes] == [box["candidate"] for box in told["boxes"]]
    in_plane = [0, 1, 3, 4] if output == "dicom_sr_slices" else slice(None)
    for one, other in zip(found.boxes, told["boxes"], strict=True):
        assert np.array(one.box)[in_plane] == pytest.approx(np.array(other["box"])[in_plane], abs=1e-3)
    assert (found.algorithm.name, found.algorithm.version) == (DETECTOR.name, told["model_version"])


def test_a_pacs_gets_a_class_with_how_probable_each_is(server, studies, tmp_path, tool):
    file = tmp_path / "sr.dcm"
    file.write_bytes(ask(server, CLASSIFIER.name, SERIES, "dicom_sr", {}).content)
    assert complaints(tool, file) == []
    told = ask(server, CLASSIFIER.name, SERIES, "json", {}).json()
    assert read_report(file, DicomSource.read(studies / "series")).classes == {"phase": told["result"]}
    (group,) = hd.sr.srread(file).content.get_image_measurement_groups()
    found = {one.name.meaning.removeprefix("Probability of "): one.value / 100 for one in group.get_measurements()}
    assert found == pytest.approx(told["probabilities"], abs=1e-4)


def test_a_model_that_looks_nowhere_has_no_heat_map(server):
    answer = ask(server, CLASSIFIER.name, SERIES, "dicom_sc", {})
    assert answer.status_code == 422
    assert "where it looked" in answer.json()["detail"]


def test_nothing_found_is_a_segmentation_too(server):
    answer = ask(server, DETECTOR.name, SERIES, "dicom_seg", {"min_score": 1})
    (segment,) = pydicom.dcmread(io.BytesIO(answer.content)).SegmentSequence
    assert segment.SegmentLabel == "lesion"


def test_an_image_that_is_not_dicom_has_no_segmentation(server):
    answer = ask(server, DETECTOR.name, "p1", "dicom_seg", {"min_score": 0.5})
    assert answer.status_code == 422
    assert "Ask with output=image" in answer.json()["detail"]


def test_an_option_out_of_range_is_a_clear_answer(server):
    answer = ask(server, DETECTOR.name, "p1", "json", {"min_score": 2})
    assert answer.status_code == 422
    assert "min_score" in answer.text


def test_boxes_corrected_in_slicer_train_the_next_detector(slicer, server, tmp_path):
    for number in range(PATIENTS):
        file = tmp_path / f"{number}.json"
        file.write_bytes(encode_rois([ROI(box_of(centre(number)), "corrected")]))
        slicer.save_label(f"p{number}", str(file), params={"label_info": [], "model": DETECTOR.name})
    slicer.train_start(DETECTOR.name, {"max_epochs": 20, "start": "scratch"})
    deadline, stats = time.monotonic() + 240, {}
    while "metrics" not in stats and time.monotonic() < deadline:
        time.sleep(0.5)
        stats = slicer.info()["train_stats"][DETECTOR.name]
    assert stats["metrics"]["p1td_10"] == 1
    assert isinstance(stats["best_metric"], float)


def test_the_command_line_writes_boxes_too(studies, tmp_path):
    command = [sys.executable, "-m", "server.cli", "infer", DETECTOR.name, str(studies / "p3.nrrd")]
    command += [
        "--app",
        str(APP),
        "--studies",
        str(studies),
        "--out",
        str(tmp_path),
        "-p",
        "min_score=0",
        "-p",
        "most=1",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    (roi,) = read_rois(tmp_path / f"p3_{DETECTOR.name}.mrk.json")
    told = json.loads((tmp_path / f"p3_{DETECTOR.name}.json").read_bytes())
    assert roi.box == pytest.approx(told["boxes"][0]["box"])
