"""3D Slicer opens our files, and we open what it saves: with Slicer's own code (MRML and its modules' logic)."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK

from hepatic.geometry import Grid
from hepatic.io.image import Cine, Labelmap
from hepatic.io.labelmap import read_labelmap, write_labelmap
from hepatic.io.read import read
from tests.slicer import slicer_client_class

pytestmark = pytest.mark.viewer

NAMES = {"tumour": 1, "liver": 2}
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def angiography(server, demo, tmp_path_factory):
    """A run as the scanner writes it, what the server finds on it, and its truth."""
    run = demo[1][0]
    slicer = slicer_client_class()(server, str(tmp_path_factory.mktemp("answer")), "reader-1")
    answer, _ = slicer.infer("dsa_ltdnet", run.series_uid, {"result_extension": ".nrrd", "result_dtype": "uint8"})
    return run.image, Path(answer), run.segmentation


@pytest.fixture(scope="module")
def oblique_ct(tmp_path_factory):
    """A CT whose axes are not the patient's, with labels that no flip or swap of axes leaves alone."""
    folder = tmp_path_factory.mktemp("ct")
    turn, tip = np.radians((20.0, 35.0))
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tip), -np.sin(tip)], [0, np.sin(tip), np.cos(tip)]])
    image = SimpleITK.GetImageFromArray(np.random.default_rng(3).integers(-1000, 1000, (9, 24, 30)).astype(np.int16))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-110.0, 75.5, 1203.0))
    image.SetDirection((about_z @ about_x).ravel().tolist())
    SimpleITK.WriteImage(image, str(folder / "ct.nrrd"))
    grid = read(folder / "ct.nrrd").grid
    labels = np.zeros(grid.shape, np.uint8)
    labels[2:8, 3:20, 5:17], labels[3:5, 4:11, 6:9], labels[2, 3, 5] = 2, 1, 0
    write_labelmap(folder / "answer.nrrd", Labelmap(labels, grid, NAMES))
    write_labelmap(folder / "truth.seg.nrrd", Labelmap(labels, grid, NAMES))
    return folder / "ct.nrrd", folder / "answer.nrrd", folder / "truth.seg.nrrd"


@pytest.fixture(scope="module", params=["angiography", "oblique_ct"])
def opened(request, slicer_python, tmp_path_factory):
    """The three files of a case, opened and saved again by Slicer."""
    image, answer, truth = request.getfixturevalue(request.param)
    saved = tmp_path_factory.mktemp("saved")
    script = Path(__file__).with_name("slicer_reads.py")
    command = [slicer_python, script, image, answer, truth, saved, *NAMES]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return SimpleNamespace(
        image=read(image), answer=answer, truth=read_labelmap(truth), saved=saved, told=json.loads(ran.stdout)
    )


def assert_lies_on(node: dict, grid: Grid) -> None:
    assert tuple(node["dimensions"]) == grid.size
    assert np.allclose(node["ijk_to_ras"], LPS_TO_RAS @ grid.affine, rtol=0, atol=1e-4)


def test_the_picture_opens_as_a_scalar_volume_and_a_run_has_its_frames_on_k(opened):
    assert opened.told["volume"]["class"] == "vtkMRMLScalarVolumeNode"
    assert_lies_on(opened.told["volume"], opened.image.grid)
    ours = opened.image.frames if isinstance(opened.image, Cine) else opened.image.array
    assert np.array_equal(np.load(opened.saved / "volume.npy"), ours)


def test_an_answer_opens_as_a_labelmap_that_lies_on_the_picture(opened):
    assert opened.told["labels"]["class"] == "vtkMRMLLabelMapVolumeNode"
    assert opened.told["labels"]["dimensions"] == opened.told["volume"]["dimensions"]
    assert np.allclose(opened.told["labels"]["ijk_to_ras"], opened.told["volume"]["ijk_to_ras"], rtol=0, atol=1e-4)
    found = np.load(opened.saved / "labels.npy")
    assert np.array_equal(found, read_labelmap(opened.answer).array)
    assert set(np.unique(found)) == {0, 1, 2}, "a tumour and a liver, or nothing is shown by this"


def test_a_segmentation_opens_with_its_segments_by_name(opened):
    counts = {name: int((opened.truth.array == value).sum()) for name, value in NAMES.items()}
    assert [segment["name"] for segment in opened.told["truth"]] == ["tumour", "liver"]
    assert {segment["name"]: segment["voxels"] for segment in opened.told["truth"]} == counts
    assert all(counts.values())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("truth.seg.nrrd", id="a segmentation"),
        pytest.param("answer.seg.nrrd", id="an answer imported into segments"),
        pytest.param("truth.nii.gz", id="the labelmap that the extension submits"),
    ],
)
def test_what_slicer_saves_comes_back_voxel_for_voxel(opened, name):
    expected = read_labelmap(opened.answer).array if name.startswith("answer") else opened.truth.array
    file = opened.saved / name
    back = read_labelmap(file, like=opened.image.grid)
    assert np.array_equal(back.array, expected)
    if name.endswith(".seg.nrrd"):
        assert back.names == NAMES
        assert read_labelmap(file).array.size < expected.size, "Slicer saves no more than the extent of the segments"
