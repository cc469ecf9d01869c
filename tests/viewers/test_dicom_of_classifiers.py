"""What a classifier says of an ultrasound picture or cine, as DICOM: a report, and on request where it looked."""

import json

import highdicom as hd
import numpy as np
import pydicom
import pytest
import requests

from hepatic.io.dicom_report_read import read_report
from hepatic.io.dicom_source import DicomSource
from tests.dicom_validator import complaints

from .ultrasound import served_ultrasound

pytestmark = pytest.mark.viewer


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with served_ultrasound(tmp_path_factory.mktemp("us")) as found:
        yield found


def asked(served, model, image, output, **params):
    _, address, ids = served
    query = {"image": ids[image], "output": output}
    form = {"params": json.dumps(params)}
    return requests.post(f"{address}/infer/{model}", params=query, data=form, timeout=60)


def source_of(served, image):
    app, _, ids = served
    return DicomSource.read(app.state.services.host.image_path(ids[image]))


@pytest.mark.parametrize(("model", "image"), [("us_bmode", "still"), ("us_ceus", "cine")])
def test_a_class_is_a_report_with_the_lesion_s_box(served, tmp_path, tool, model, image):
    told = asked(served, model, image, "json", roi="44,52,74,94").json()
    file = tmp_path / "sr.dcm"
    file.write_bytes(asked(served, model, image, "dicom_sr", roi="44,52,74,94").content)
    assert complaints(tool, file) == []
    found = read_report(file, source_of(served, image))
    assert found.classes == {"diagnosis": told["result"]}
    assert (found.algorithm.name, found.algorithm.version) == (model, told["model_version"])
    (group,) = hd.sr.srread(file).content.get_planar_roi_measurement_groups()
    left, top, right, bottom = told["roi"]
    assert group.roi.value[:4] == pytest.approx(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]))
    shown = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
    assert shown.get("ReferencedFrameNumber") == (None if image == "still" else told["frame"] + 1)


def test_where_it_looked_is_a_secondary_capture_on_request(served, tmp_path, tool):
    file = tmp_path / "sc.dcm"
    file.write_bytes(asked(served, "us_fll", "still", "dicom_sc").content)
    assert complaints(tool, file) == []
    drawn = pydicom.dcmread(file)
    plain = pydicom.dcmread(served[0].state.services.host.image_path(served[2]["still"]))
    assert drawn.BurnedInAnnotation == plain.BurnedInAnnotation
    assert drawn.pixel_array.shape == (plain.Rows, plain.Columns, 3)
    redder = drawn.pixel_array[..., 0].astype(int) - drawn.pixel_array[..., 2]
    assert redder.max() > 40, "something was looked at"
    assert drawn.SeriesDescription == "Where us_fll looked"
