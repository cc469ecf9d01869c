"""Uploads are read in a process that may not grow, may not linger, and is replaced when it breaks."""

import gzip
import json
import os
import pickle
import time

import numpy as np
import psutil
import pytest
import SimpleITK
from pydicom.uid import generate_uid
from safetensors.numpy import save_file

from hepatic.errors import BadInputError
from server.intake import inspection
from server.intake.inspector import Inspector
from tests.server.intake.test_archive import zipped
from tests.store.studies import write_ct_slice, write_image, write_xa_run


@pytest.fixture(scope="module")
def inspector():
    inspector = Inspector(memory_mib=256, seconds=10.0)
    yield inspector
    inspector.close()


def nifti_of(size, data=b""):
    import nibabel

    header = nibabel.Nifti1Header()
    header["dim"][: len(size) + 1] = [len(size), *size]
    header["datatype"], header["bitpix"], header["vox_offset"], header["magic"] = 2, 8, 352, b"n+1"
    header["pixdim"][:4] = 1
    return header.binaryblock + bytes(4) + data


def crash():
    os.kill(os.getpid(), 11)


def spin():
    inspection._allow_time()
    while True:
        pass


def modules():
    import sys

    return sorted(sys.modules)


def test_images_are_read_whole(inspector, tmp_path):
    series, study = generate_uid(), generate_uid()
    for k in range(3):
        write_ct_slice(tmp_path / f"{k}.dcm", series=series, study=study, k=k)
    write_xa_run(tmp_path / "run.dcm", series=generate_uid(), study=study)
    inspector.image(*(tmp_path / f"{k}.dcm" for k in range(3)))
    for name in ("run.dcm", "0.dcm"):
        inspector.image(tmp_path / name)
    for name in ("a.nii", "a.nii.gz", "a.nrrd"):
        inspector.image(write_image(tmp_path / name))


@pytest.mark.parametrize(
    ("wrote", "called"), [("a.nii", "a.nii.gz"), ("a.nii.gz", "a.nii"), ("a.nrrd", "a.nii"), ("a.nii", "a.dcm")]
)
def test_a_file_is_what_its_name_says(inspector, tmp_path, wrote, called):
    write_image(tmp_path / wrote).rename(tmp_path / f"other_{called}")
    with pytest.raises(BadInputError, match="as its name says"):
        inspector.image(tmp_path / f"other_{called}")


def test_an_nrrd_brings_its_own_pixels(inspector, tmp_path):
    write_image(tmp_path / "victim.nrrd")
    thief = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 3 2\nencoding: raw\ndata file: victim.nrrd\n\n"
    (tmp_path / "thief.nrrd").write_bytes(thief)
    with pytest.raises(BadInputError, match="with its pixels"):
        inspector.image(tmp_path / "thief.nrrd")


def test_an_image_that_needs_more_memory_is_refused_and_the_process_goes_on(inspector, tmp_path):
    size = (1000, 1000, 600)
    with gzip.open(tmp_path / "bomb.nii.gz", "wb", 1) as stream:
        stream.write(nifti_of(size))
        for _ in range(600):
            stream.write(bytes(1000 * 1000))
    assert (tmp_path / "bomb.nii.gz").stat().st_size < 4 << 20
    with pytest.raises(BadInputError, match="256 MiB of memory"):
        inspector.image(tmp_path / "bomb.nii.gz")
    inspector.image(write_image(tmp_path / "a.nrrd"))


@pytest.mark.parametrize("size", [(30000, 30000, 30000), (-1, 5, 5), (0, 5, 5), (5,) * 7, (32767,) * 7])
def test_absurd_sizes_are_refused_before_anything_is_allocated(inspector, tmp_path, size):
    (tmp_path / "a.nii").write_bytes(nifti_of(size, bytes(200)))
    began = time.monotonic()
    with pytest.raises(BadInputError):
        inspector.image(tmp_path / "a.nii")
    assert time.monotonic() - began < 5


def test_a_label_holds_whole_numbers_on_its_image(inspector, tmp_path):
    image = write_image(tmp_path / "image.nrrd")
    inspector.label(write_image(tmp_path / "label.nii.gz", value=1), image)
    elsewhere = SimpleITK.GetImageFromArray(np.ones((2, 3, 4), np.uint8))
    elsewhere.SetOrigin((500, 500, 500))
    SimpleITK.WriteImage(elsewhere, str(tmp_path / "elsewhere.nrrd"))
    with pytest.raises(BadInputError, match="the label file"):
        inspector.label(tmp_path / "elsewhere.nrrd", image)
    inspector.label(tmp_path / "elsewhere.nrrd")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.full((2, 3, 4), 0.5, np.float32)), str(tmp_path / "half.nrrd"))
    with pytest.raises(BadInputError, match="whole label values"):
        inspector.label(tmp_path / "half.nrrd")


@pytest.mark.parametrize("content", [b"[1]", b"{", b"[" * 100_000, b"\xff", b'{"a": ' + b"9" * 10_000 + b"}"])
def test_markups_are_a_json_object(inspector, tmp_path, content):
    (tmp_path / "a.json").write_text(json.dumps({"markups": []}))
    inspector.label(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BadInputError, match="JSON object"):
        inspector.label(tmp_path / "a.json")


def test_weights_are_tensors_and_nothing_else(inspector, tmp_path):
    weights = tmp_path / "w.safetensors"
    save_file({"a": np.zeros(8, np.float32)}, weights)
    inspector.weights(weights)
    whole = weights.read_bytes()
    lying = whole.replace(b"[8]", b"[9]")
    beyond = whole.replace(b"[0,32]", b"[0,99]")
    pickled, torch_file = pickle.dumps({"a": 1}), zipped(tmp_path / "w.zip", [("data.pkl", b"x")]).read_bytes()
    polyglot = whole + torch_file
    for content in (pickled, torch_file, lying, beyond, polyglot, b"\xff" * 8 + whole, b"", whole[:-1]):
        weights.write_bytes(content)
        with pytest.raises(BadInputError, match="safetensors"):
            inspector.weights(weights)


def test_a_process_that_breaks_or_lingers_is_replaced_and_its_upload_refused(tmp_path):
    inspector = Inspector(memory_mib=256, seconds=4.0)
    try:
        with pytest.raises(BadInputError, match="ended the process"):
            inspector._ask(crash)
        with pytest.raises(BadInputError, match=r"takes longer|ended the process"):
            inspector._ask(spin)
        inspector.image(write_image(tmp_path / "a.nrrd"))
        imported = set(inspector._ask(modules))
        assert "hepatic.io.read" in imported
        assert not {"torch", "monai", "fastapi"} & imported
        [process] = [child for child in psutil.Process().children() if child.pid == inspector._ask(os.getpid)]
    finally:
        inspector.close()
    assert not process.is_running()


def test_a_process_that_died_while_nobody_asked_ruins_no_upload(inspector, tmp_path):
    inspector._ask(os.getpid)
    [slot] = inspector._executor._slots.values()
    slot._process.kill()
    slot._process.join()
    inspector.image(write_image(tmp_path / "a.nrrd"))


def test_an_archive_of_one_series_gives_its_files_and_leaves_out_the_rest(inspector, tmp_path):
    series, study = generate_uid(), generate_uid()
    members = [("DICOMDIR", b"no image"), ("README.TXT", b"start viewer.exe"), ("inner.zip", b"PK\3\4")]
    for k in range(3):
        write_ct_slice(tmp_path / "in" / str(k), series=series, study=study, k=k)
        members.append((f"DICOM/IM{k}", (tmp_path / "in" / str(k)).read_bytes()))
    (tmp_path / "out").mkdir()
    files = inspector.unpack(zipped(tmp_path / "a.zip", members), tmp_path / "out")
    assert sorted((tmp_path / "out").iterdir()) == files
    assert [file.suffix for file in files] == [".dcm"] * 3


@pytest.mark.parametrize("names", [[], ["a.nrrd", "b.nii.gz"], ["a.nrrd", "b.nrrd"]])
def test_an_archive_without_one_image_is_refused(inspector, tmp_path, names):
    members = [(name, write_image(tmp_path / name).read_bytes()) for name in names]
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInputError, match="the archive"):
        inspector.unpack(zipped(tmp_path / "a.zip", [*members, ("notes.txt", b"x")]), tmp_path / "out")
