"""Segmentations of others: several segments may have one name, and each of them is read."""

import numpy as np
import pydicom
import pytest

from hepatic.errors import BadInputError
from hepatic.io.dicom_seg import labels_seg, write_dicom_seg
from hepatic.io.dicom_seg_read import read_cine_seg, read_dicom_seg, read_seg_header
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.grid import grid_of
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import encode_labelmap, read_labelmap
from sample_data.us import write_us
from server.pacs.existing import read_existing
from tests.importers.dicom_files import write_ct, write_seg
from tests.runs import write_run


def segmentation(folder, types):
    """Two segments of one name, made by hand or by an algorithm; the file and the voxels of each."""
    masks = {name: np.zeros((8, 12, 16), bool) for name in ("Liver", "Mass")}
    masks["Liver"][2:4, 3:9, 4:8] = True
    masks["Mass"][6, 1:4, 2:5] = True
    file = write_seg(folder / "seg.dcm", write_ct(folder / "ct"), masks)
    dataset = pydicom.dcmread(file)
    for segment, kind in zip(dataset.SegmentSequence, types, strict=True):
        segment.SegmentLabel, segment.SegmentAlgorithmType = "Lesion", kind
        segment.SegmentAlgorithmName = "other_model"
    dataset.save_as(file)
    return file, list(masks.values())


def test_segments_of_one_name_are_one_structure(tmp_path):
    file, (first, second) = segmentation(tmp_path, ["MANUAL", "MANUAL"])
    found = read_dicom_seg(file, like=grid_of(tmp_path / "ct"))
    assert len(found.names) == 1
    assert np.array_equal(found.array > 0, first | second)


def test_a_segment_drawn_by_hand_does_not_hide_an_algorithm_s_of_its_name(tmp_path):
    file, voxels = segmentation(tmp_path, ["AUTOMATIC", "MANUAL"])
    assert read_seg_header(file).automatic == {1}
    found = {one.tag: one.file for one in read_existing(str(file), str(tmp_path / "ct"))}
    for tag, mask in zip(("original", "final"), voxels, strict=True):
        assert np.array_equal(read_labelmap(found[tag], like=grid_of(tmp_path / "ct")).array > 0, mask), tag
        found[tag].unlink()


# One picture


def one_slice(folder, modality):
    (file,) = write_ct(folder, shape=(1, 12, 16))
    dataset = pydicom.dcmread(file)
    dataset.Modality = modality
    dataset.save_as(file)
    return file


def without_frames(file):
    dataset = pydicom.dcmread(write_run(file, frames=1))
    del dataset.NumberOfFrames
    dataset.save_as(file)
    return file


def ultrasound(folder):
    write_us(folder, 1, seed=3, size="tiny", kind="hcc")
    return next((folder / "studies").rglob("*.dcm"))


STILLS = {
    "US": ultrasound,
    "US of one frame": lambda folder: write_run(folder / "still.dcm", frames=1, modality="US"),
    "XA of one frame": lambda folder: write_run(folder / "still.dcm", frames=1),
    "XA": lambda folder: without_frames(folder / "still.dcm"),
    "RF": lambda folder: write_run(folder / "still.dcm", frames=1, modality="RF"),
    "CT": lambda folder: one_slice(folder, "CT"),
    "MR": lambda folder: one_slice(folder, "MR"),
}


def drawn(source):
    """A liver with a tumour, on the one frame."""
    array = np.zeros(source.grid.shape, np.uint8)
    array[0, 2:9, 3:11], array[0, 4:6, 5:8] = 1, 2
    return Labelmap(array, source.grid, {"liver": 1, "tumour": 2})


@pytest.mark.parametrize("kind", STILLS)
def test_a_segmentation_of_one_picture_comes_back_to_the_pixel(tmp_path, kind):
    image = STILLS[kind](tmp_path)
    source = DicomSource.read(image)
    labels = drawn(source)
    by_hand, by_model, given = tmp_path / "hand.seg", tmp_path / "model.seg", tmp_path / "labels.nrrd"
    labels_seg(labels, source, names={}, algorithm=None, by="Dr. Else").save_as(by_hand, enforce_file_format=True)
    given.write_bytes(encode_labelmap(".nrrd", labels))
    write_dicom_seg(by_model, given, image, names=labels.names, algorithm=Algorithm("a_model", "1"))
    for file, tag in ((by_hand, "final"), (by_model, "original")):
        (found,) = read_existing(str(file), str(image))
        assert found.tag == tag
        back = read_labelmap(found.file, like=source.grid)
        found.file.unlink()
        assert {one["name"]: one["idx"] for one in found.info["label_info"]} == labels.names
        assert np.array_equal(back.array, labels.array)


# What does not fit


def changed(folder, frames, change):
    """A segmentation of a run, the source images of whose frames are changed; its file and the run."""
    source = DicomSource.read(write_run(folder / "run.dcm", frames=frames))
    array = np.zeros(source.grid.shape, np.uint8)
    array[:, 2:9, 3:11] = 1
    made = labels_seg(Labelmap(array, source.grid), source, names={"tumour": 1}, algorithm=None)
    for group in made.PerFrameFunctionalGroupsSequence:
        change(group)
    made.save_as(folder / "run.seg", enforce_file_format=True)
    return folder / "run.seg", source, array


def of(group):
    return group.DerivationImageSequence[0].SourceImageSequence[0]


def test_the_one_frame_of_a_file_may_be_named_by_its_number(tmp_path):
    file, source, array = changed(tmp_path, 1, lambda group: setattr(of(group), "ReferencedFrameNumber", 1))
    assert np.array_equal(read_cine_seg(file, source=source).array, array)


UNFIT = {
    "another image": (3, lambda group: setattr(of(group), "ReferencedSOPInstanceUID", "1.2.3")),
    "no image": (3, lambda group: group.pop("DerivationImageSequence")),
    "no frame": (3, lambda group: of(group).pop("ReferencedFrameNumber")),
    "a frame there is not": (1, lambda group: setattr(of(group), "ReferencedFrameNumber", 2)),
    "a frame too many": (
        3, lambda group: setattr(of(group), "ReferencedFrameNumber", int(of(group).ReferencedFrameNumber) + 1)
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNFIT)
def test_what_names_none_of_the_frames_is_no_empty_label(tmp_path, kind):
    file, source, _ = changed(tmp_path, *UNFIT[kind])
    with pytest.raises(BadInputError, match="frame"):
        read_cine_seg(file, source=source)


def test_of_an_object_about_several_files_each_gets_its_frames(tmp_path):
    def first_of_another(group):
        if of(group).ReferencedFrameNumber == 1:
            of(group).ReferencedSOPInstanceUID = "1.2.3"

    file, source, array = changed(tmp_path, 3, first_of_another)
    array[0] = 0
    assert np.array_equal(read_cine_seg(file, source=source).array, array)
