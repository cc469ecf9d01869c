"""Segmentations of others: several segments may have one name, and each of them is read."""

import numpy as np
import pydicom

from hepatic.io.dicom_seg_read import read_dicom_seg, read_seg_header
from hepatic.io.grid import grid_of
from hepatic.io.labelmap import read_labelmap
from server.pacs.existing import read_existing
from tests.importers.dicom_files import write_ct, write_seg


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
