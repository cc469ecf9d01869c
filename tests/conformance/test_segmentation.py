"""Every segmentation task: labels that are declared, on the grid of the image."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from hepatic.adapters.infer import HepaticInferTask
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.read import read
from tests.conformance.models import name_of, predictor, sure_network, tasks_of, turned

all_tasks = pytest.mark.parametrize("task", tasks_of("segmentation"), ids=name_of)


@all_tasks
def test_the_result_lies_on_the_sources_grid_with_declared_labels_only(task, studies, tmp_path):
    image = studies[task.modality][0].image
    model = HepaticInferTask(task, predictor(task, tmp_path, sure_network(task)), results=tmp_path)
    file, params = model({"image": str(image)})
    result, source = sitk.ReadImage(file), opened(image)
    assert result.GetPixelID() == sitk.sitkUInt8
    assert result.GetSize() == source.GetSize()
    for get in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(result, get)() == pytest.approx(getattr(source, get)(), abs=1e-4)
    values = set(np.unique(sitk.GetArrayFromImage(result))) - {0}
    assert values
    assert values <= set(params["label_names"].values()) == set(range(1, len(task.labels) + 1))


@all_tasks
def test_an_oblique_image_keeps_its_place_in_the_patient(task, studies, tmp_path):
    image = turned(read(studies[task.modality][0].image))
    sample = task.prepare({"source": image, "options": task.parse_options({})})
    with torch.inference_mode():
        probabilities = task.probabilities(sure_network(task)(sample["image"][None]))[0]
    finished = task.finish({**sample, "probabilities": probabilities})
    assert finished["labelmap"].shape == image.grid.shape
    write_labelmap(tmp_path / "result.nrrd", Labelmap(finished["labelmap"], image.grid))
    back = sitk.ReadImage(str(tmp_path / "result.nrrd"))
    corner = [n - 1 for n in image.grid.size]
    expected = (image.grid.affine @ [*corner, 1])[:3]
    assert back.TransformIndexToPhysicalPoint([int(n) for n in corner]) == pytest.approx(expected, abs=1e-3)
    assert np.array_equal(sitk.GetArrayFromImage(back), finished["labelmap"])


def opened(image):
    """An image as ITK reads it: a file, or the series of a folder."""
    if not image.is_dir():
        return sitk.ReadImage(str(image))
    return sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(image)))
