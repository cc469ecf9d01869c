"""A result as DICOM, for archives and viewers that know nothing else."""

import io
import json
import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest
import requests
import SimpleITK

from hepatic.io.dicom_seg_read import read_cine_seg
from hepatic.io.dicom_source import DicomSource
from hepatic.io.labelmap import read_labelmap

pytestmark = pytest.mark.viewer


def ask(server, output, params=None, model="dsa_ltdnet", **query):
    form = {"params": json.dumps(params or {})}
    return requests.post(f"{server}/infer/{model}", params={**query, "output": output}, data=form, timeout=60)


def test_a_run_is_answered_with_a_segmentation_of_it(server, demo, tool, tmp_path, app):
    run = demo[1][0]
    answer = ask(server, "dicom_seg", image=run.series_uid)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom"
    assert ".dcm" in answer.headers["content-disposition"]
    assert int(answer.headers["content-length"]) == len(answer.content)
    file = tmp_path / "seg.dcm"
    file.write_bytes(answer.content)
    said = subprocess.run([tool("dciodvfy", "dicom3tools"), "-new", file], capture_output=True, text=True, check=False)
    assert not [line for line in said.stderr.splitlines() if line.startswith(("Error", "Warning"))]

    labels = tmp_path / "labels.nrrd"
    image = ask(server, "image", image=run.series_uid)
    assert image.status_code == 200, image.text
    labels.write_bytes(image.content)
    expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(labels)))
    source = pydicom.dcmread(run.image, stop_before_pixels=True)
    seg = hd.seg.segread(file)
    found = seg.get_pixels_by_source_frame(
        source.SOPInstanceUID, list(range(1, len(expected) + 1)), combine_segments=True, ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )  # fmt: skip
    assert expected.any()
    assert np.array_equal(found, expected)
    version = requests.get(f"{server}/info/", timeout=30).json()["models"]["dsa_ltdnet"]["version"]
    assert seg.get_segment_description(1).algorithm_identification.version == version
    assert not [left for left in app.state.services.scratch.results_dir.iterdir() if left.suffix == ".dcm"]


def test_a_run_of_one_frame_comes_back_to_the_pixel(server, demo, tmp_path):
    run = pydicom.dcmread(demo[1][0].image)
    middle = run.pixel_array[run.NumberOfFrames // 2]
    run.NumberOfFrames, run.PixelData = 1, middle.tobytes()
    still = tmp_path / "still.dcm"
    run.save_as(still)
    answers = {}
    for output in ("image", "dicom_seg"):
        with still.open("rb") as file:
            answer = requests.post(
                f"{server}/infer/dsa_unet", params={"output": output}, files={"file": ("still.dcm", file)}, timeout=60
            )
        assert answer.status_code == 200, answer.text
        answers[output] = tmp_path / f"answer.{'nrrd' if output == 'image' else 'dcm'}"
        answers[output].write_bytes(answer.content)
    source = DicomSource.read(still)
    expected = read_labelmap(answers["image"], like=source.grid).array
    found = read_cine_seg(answers["dicom_seg"], source=source)
    assert expected.any()
    assert np.array_equal(found.array > 0, expected > 0)


def test_the_client_may_name_the_segments_as_with_the_stock_server(server, demo):
    about = {"label_info": [{"name": "HCC"}, {"name": "liver"}], "result_extension": ".nii.gz"}
    answer = ask(server, "dicom_seg", about, image=demo[1][0].series_uid)
    assert answer.status_code == 200, answer.text
    seg = pydicom.dcmread(io.BytesIO(answer.content))
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == ["HCC", "liver"]


def test_an_image_that_is_not_dicom_is_refused_before_the_model_runs(server, tmp_path):
    image = tmp_path / "image.nrrd"
    SimpleITK.WriteImage(SimpleITK.Image(8, 8, 3, SimpleITK.sitkInt16), str(image))
    with image.open("rb") as file:
        answer = requests.post(
            f"{server}/infer/dsa_unet", params={"output": "dicom_seg"}, files={"file": ("a.nrrd", file)}, timeout=60
        )
    assert answer.status_code == 422, answer.text
    assert "Ask with output=image" in answer.json()["detail"], answer.text
    assert str(tmp_path) not in answer.text


def test_a_series_of_another_modality_is_refused_by_the_model_as_ever(server, ct_series):
    answer = ask(server, "dicom_seg", image=ct_series)
    assert answer.status_code == 422, answer.text
    assert "modality XA" in answer.json()["detail"], answer.text
