import dataclasses
import threading

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
import torch
from monai.inferers import SlidingWindowInferer

from hepatic.engine.card import ModelCard
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError, NotFoundError
from infer_tasks.dsa_unet import TASK
from tests.runs import write_run


class Level(torch.nn.Module):
    """Says tumour everywhere or nowhere, by its one weight."""

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(()))
        self.calls = 0

    def forward(self, image):
        self.calls += 1
        return torch.zeros_like(image) + self.level


TOY = dataclasses.replace(TASK, network=Level, presets={})


def publish(registry, level):
    card = ModelCard(task=TOY.name, preset=TOY.preset_name, seed=0, key_metric="dice")
    version = registry.publish({"level": torch.tensor(float(level))}, card).version
    return registry.promote(TOY.name, version).version


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "models")


@pytest.fixture
def run_file(tmp_path):
    """A grey run as a multi-frame file that is no DICOM: frames as slices."""
    return write_run(tmp_path / "run.dcm")


def test_without_a_model_the_answer_says_how_to_get_one(registry, run_file):
    with pytest.raises(NotFoundError, match="hepatic train dsa_unet"):
        Predictor(registry).predict(TOY, run_file)


def test_the_second_request_neither_reads_nor_prepares_again(registry, run_file):
    publish(registry, 5)
    predictor = Predictor(registry, device="cpu")
    first, second = (predictor.predict(TOY, run_file) for _ in range(2))
    assert np.array_equal(first.labelmap, second.labelmap)
    assert (predictor._sources.misses, predictor._sources.hits) == (1, 1)
    assert (predictor._prepared.misses, predictor._prepared.hits) == (1, 1)


def test_another_key_frame_is_another_preparation(registry, run_file):
    publish(registry, 5)
    predictor = Predictor(registry, device="cpu")
    frames = [predictor.predict(TOY, run_file, params={"key_frame": k}).facts["key_frame"] for k in (3, 4, "5")]
    assert frames == [3, 4, 5]


def test_a_file_replaced_in_place_is_read_again(registry, run_file, tmp_path):
    publish(registry, 5)
    predictor = Predictor(registry, device="cpu")
    before = predictor.predict(TOY, run_file).grid.size
    write_run(run_file, frames=7)
    assert predictor.predict(TOY, run_file).grid.size != before


def test_a_promoted_version_answers_the_next_request(registry, run_file):
    first = publish(registry, 5)
    predictor = Predictor(registry, device="cpu")
    assert predictor.predict(TOY, run_file).labelmap.any()
    second = publish(registry, -5)
    answer = predictor.predict(TOY, run_file)
    assert (answer.version, answer.labelmap.any()) == (second, False)
    registry.rollback(TOY.name)
    assert predictor.predict(TOY, run_file).version == first


def test_a_request_under_way_finishes_on_the_model_it_began_with(registry, run_file):
    publish(registry, 5)
    predictor = Predictor(registry, device="cpu")
    begun, go_on, answers = threading.Event(), threading.Event(), []
    network = predictor.model(TOY).network
    forward = network.forward

    def slow(image):
        begun.set()
        assert go_on.wait(30)
        return forward(image)

    network.forward = slow
    thread = threading.Thread(target=lambda: answers.append(predictor.predict(TOY, run_file)))
    thread.start()
    assert begun.wait(30)
    second = publish(registry, -5)
    meanwhile = predictor.predict(TOY, run_file)
    go_on.set()
    thread.join(30)
    assert meanwhile.version == second
    assert not meanwhile.labelmap.any()
    assert answers[0].version != second
    assert answers[0].labelmap.any()


@pytest.mark.parametrize("sent", ["x", 2.5, 999, None, True, [3]])
def test_a_key_frame_that_is_none_is_refused(registry, run_file, sent):
    publish(registry, 5)
    with pytest.raises(BadInputError, match="key_frame"):
        Predictor(registry, device="cpu").predict(TOY, run_file, params={"key_frame": sent})


def test_a_run_that_a_viewer_sends_back_as_a_volume_gives_what_the_run_gives(registry, run_file, tmp_path):
    publish(registry, 5)
    predictor = Predictor(registry, device="cpu")
    sitk.WriteImage(sitk.ReadImage(str(run_file)), str(tmp_path / "run.nii.gz"))
    run, volume = predictor.predict(TOY, run_file), predictor.predict(TOY, tmp_path / "run.nii.gz")
    assert np.array_equal(run.labelmap, volume.labelmap)
    assert run.facts["key_frame"] == volume.facts["key_frame"]
    assert volume.facts["lesions"][0]["size_mm"] is None


def test_an_image_of_another_modality_is_refused(registry, tmp_path):
    publish(registry, 5)
    ultrasound = write_run(tmp_path / "us.dcm", modality="US")
    with pytest.raises(BadInputError, match=r"expected modality XA.*found US"):
        Predictor(registry, device="cpu").predict(TOY, ultrasound)


def test_a_picture_in_colour_is_no_angiography(registry, tmp_path):
    publish(registry, 5)
    colour = sitk.GetImageFromArray(np.zeros((4, 8, 8, 3), np.uint8), isVector=True)
    sitk.WriteImage(colour, str(tmp_path / "colour.nrrd"))
    with pytest.raises(BadInputError, match="run of grey frames"):
        Predictor(registry, device="cpu").predict(TOY, tmp_path / "colour.nrrd")


def test_weights_of_another_pre_processing_are_told_apart(registry, run_file, caplog):
    card = ModelCard(task=TOY.name, preset=TOY.preset_name, seed=0, key_metric="dice", pre_fingerprint="another")
    version = registry.publish({"level": torch.tensor(5.0)}, card).version
    registry.promote(TOY.name, version)
    Predictor(registry, device="cpu").predict(TOY, run_file)
    assert "another pre-processing" in caplog.text


def test_the_cache_stays_within_its_bound(registry, tmp_path):
    publish(registry, 5)
    predictor = Predictor(registry, device="cpu", cache_mib=1)
    for seed in range(8):
        predictor.predict(TOY, write_run(tmp_path / f"{seed}.dcm", seed=seed, size=(160, 120)))
    assert predictor._sources.bytes + predictor._prepared.bytes <= 1 << 20
    assert predictor._sources.misses == 8


def test_an_image_larger_than_half_the_cache_is_kept(registry, tmp_path):
    publish(registry, 5)
    predictor = Predictor(registry, device="cpu", cache_mib=1)
    run = write_run(tmp_path / "run.dcm", seed=0, size=(160, 120), frames=32)
    for _ in range(2):
        predictor.predict(TOY, run)
    assert predictor._sources.bytes > 1 << 19
    assert (predictor._sources.misses, predictor._sources.hits) == (1, 1)


class Bright(torch.nn.Module):
    """Looks at one voxel at a time; notes the shapes it was given."""

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(()))
        self.shapes = []

    def forward(self, image):
        self.shapes.append(tuple(image.shape))
        return image - self.level


def whole_volume(sample):
    return {**sample, "image": torch.from_numpy(sample["source"].array.astype(np.float32))[None], "facts": {}}


def on_its_grid(sample):
    return {**sample, "labelmap": (sample["probabilities"][0] > 0.5).numpy().astype(np.uint8)}


def test_a_volume_larger_than_the_window_is_answered_window_by_window(registry, tmp_path):
    array = np.random.default_rng(0).integers(-100, 100, (20, 30, 26)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "ct.nrrd"))
    windows = SlidingWindowInferer(roi_size=(16, 16, 16), sw_batch_size=2, overlap=0.25, mode="gaussian")
    fields = {"network": Bright, "inferer": windows, "pre": (whole_volume,), "post": (on_its_grid,), "modality": "CT"}
    task = dataclasses.replace(TOY, **fields)
    publish(registry, 0)
    predictor = Predictor(registry, device="cpu")
    found = predictor.predict(task, tmp_path / "ct.nrrd")
    assert np.array_equal(found.labelmap, array > 0)
    assert {shape[2:] for shape in predictor.model(task).network.shapes} == {(16, 16, 16)}
    assert len(predictor.model(task).network.shapes) > 1


def test_memory_stays_flat_over_hundreds_of_different_images(registry, tmp_path):
    publish(registry, 5)
    predictor = Predictor(registry, device="cpu", cache_mib=8)
    memory, rss_mib = psutil.Process(), []
    for seed in range(500):
        predictor.predict(TOY, write_run(tmp_path / "run.dcm", seed=seed, size=(160, 120), frames=16))
        rss_mib.append(memory.memory_info().rss / 2**20)
    decoded_mib = 350 * 160 * 120 * 16 / 2**20
    print(f"{rss_mib[149]:.0f} MiB after 150 images, {rss_mib[-1]:.0f} after 500; decoded meanwhile: {decoded_mib:.0f}")
    assert predictor._sources.misses == 500
    assert rss_mib[-1] - rss_mib[149] < decoded_mib / 5
