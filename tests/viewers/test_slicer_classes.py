"""A classifier in 3D Slicer: an answer is a segment named by class; what a reader makes of it becomes class and box."""

import json
import subprocess
from pathlib import Path

import pytest
import requests

import infer_tasks
from hepatic.adapters.training_cases import cases_for
from hepatic.io.labelmap import read_labelmap
from hepatic.tasks.discover import discover_tasks
from tests.slicer import connected

from .ultrasound import served_ultrasound

pytestmark = pytest.mark.viewer

TASKS = discover_tasks(infer_tasks)
SLICER_PARAMS = {"result_extension": ".nrrd", "result_dtype": "uint8"}
BOX = (44, 52, 74, 94)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with served_ultrasound(tmp_path_factory.mktemp("us")) as found:
        yield found


@pytest.fixture
def slicer(served, tmp_path):
    return connected(served[1], tmp_path)


def corrected(slicer_python, image, answer, names, out, name):
    """What Slicer's own code makes of an answer that a reader corrects."""
    script = Path(__file__).with_name("slicer_corrects.py")
    command = [slicer_python, script, image, answer, out, name, ",".join(map(str, BOX)), *names]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


def test_slicer_lists_the_fronts_beside_segmentations_and_shows_no_classifier(slicer):
    models = slicer.info()["models"]
    for name in ("us_bmode", "us_ceus", "us_fll"):
        assert models[name]["type"] == "classification"
        assert models[f"{name}_region"]["type"] == "segmentation"
    assert "ct_phase_region" not in models, "it looks nowhere in particular"


@pytest.mark.parametrize(
    ("model", "image", "note", "name", "truth"),
    [
        ("us_fll", "still", "lesion_type", "FNH", "fnh"),
        ("us_bmode", "still", "diagnosis", "non-HCC", "non_hcc"),
        ("us_ceus", "cine", "diagnosis", "hcc p>0.99", "hcc"),
    ],
)
def test_a_segment_that_a_reader_renames_and_redraws_becomes_class_and_box(
    served, slicer, slicer_python, tmp_path, model, image, note, name, truth
):
    app, address, ids = served
    file = app.state.services.host.image_path(ids[image])
    answer, told = slicer.infer(f"{model}_region", ids[image], SLICER_PARAMS)
    names = sorted(told["label_names"], key=told["label_names"].get)
    frame = told["frame"]
    assert set(map(int, read_labelmap(Path(answer)).array.nonzero()[0])) == {frame}

    back = corrected(slicer_python, file, answer, names, tmp_path / "label.nrrd", name)
    assert back["came"] == names, "every class with its probability, the concluded one first"
    assert back["came"][0].startswith(f"{told['result']} p")
    saved = slicer.save_label(ids[image], str(tmp_path / "label.nrrd"), params={"label_info": back["label_info"]})
    assert saved["classes"][note] == truth

    task = TASKS[model]
    case = next(one for one in cases_for(task, app.state.services.host.datastore) if one.image_id == ids[image])
    sample = case.sample(task)
    left, top, right, bottom = BOX
    assert sample["truth"] == truth
    assert sample["boxes"] == [pytest.approx((top, left, bottom, right))]
    shown = requests.get(f"{address}/cases/api/v1/images/{ids[image]}", timeout=60).json()
    assert shown["reading"]["classes"][note] == truth
    assert shown["reading"]["boxes"] == [pytest.approx(BOX)]
    assert shown["reading"]["frame"] == frame
    assert shown["history"][0]["by"] == "reader-1"
