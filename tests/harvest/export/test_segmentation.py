"""Accepted boxes travel to a PACS as a segmentation of the series they were reviewed on."""

from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest

from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError
from hepatic.harvest.export.segmentation import segmentation
from hepatic.io.grid import grid_of
from hepatic.io.orient import upright_grid
from tests.dicom_validator import complaints
from tests.importers.conftest import scan, write_nifti
from tests.importers.dicom_files import write_ct

FIRST, SECOND = (1, 4, 6, 3, 9, 16), (2, 7, 12, 5, 20, 40)  # voxels (k, j, i) to one past the last; they overlap


def boxed(study, grid):
    """The study of the other tests, its lesion proposed at FIRST and the one drawn by hand at SECOND."""
    found, vessel, torn, drawn = study.candidates
    at = [tuple(box) for box in from_voxels([FIRST, SECOND], grid).tolist()]
    moved = replace(found, box=at[0]), vessel, torn, replace(drawn, box=at[1])
    return replace(study, grid=upright_grid(grid), candidates=moved)


def mask(box, shape):
    array = np.zeros(shape, bool)
    array[tuple(slice(a, b) for a, b in zip(box[:3], box[3:], strict=True))] = True
    return array


@pytest.mark.parametrize("prone", [False, True])
def test_each_box_comes_back_voxel_for_voxel_on_the_slices_as_they_were_scanned(study, tmp_path, tool, prone):
    series = write_ct(tmp_path / "venous", patient="P7", study="1.2", shape=(6, 32, 48), z0=100.0, prone=prone)
    file = tmp_path / "seg.dcm"
    segmentation(boxed(study, grid_of(series)), series).save_as(file)
    assert complaints(tool, file) == []
    seg = hd.seg.segread(file)
    slices = [pydicom.dcmread(path).SOPInstanceUID for path in series][1:5]
    found = seg.get_pixels_by_source_instance(slices, assert_missing_frames_are_empty=True)
    for number, box in enumerate((FIRST, SECOND)):
        assert np.array_equal(found[..., number], mask(box, (6, 32, 48))[1:5])
    listed = {str(uid) for _, _, uid in seg.get_source_image_uids()}
    assert listed == {str(uid) for uid in slices}, "slices without a box are left out"


@pytest.fixture
def series(tmp_path):
    return write_ct(tmp_path / "venous", patient="P7", study="1.2", shape=(6, 32, 48), z0=100.0)


def test_a_segment_says_which_candidate_it_is_what_found_it_and_who_accepted_or_drew_it(study, series):
    made = segmentation(boxed(study, grid_of(series)), series)
    found, drawn = made.SegmentSequence
    assert (found.SegmentLabel, found.TrackingUID, found.TrackingID) == (
        "lesion 1 (primary)",
        "2.25.1",
        "Lesion 2.25.1",
    )
    assert found.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"
    assert found.SegmentAlgorithmType == "SEMIAUTOMATIC"
    algorithm = found.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("ct_centernet3d", "ab" * 32)
    assert found.SegmentDescription == "Box proposed by ct_centernet3d, accepted by ann, bo"
    assert (drawn.TrackingUID, drawn.SegmentAlgorithmType) == ("2.25.4", "MANUAL")
    assert drawn.SegmentDescription == "Box drawn by ann"
    assert (str(made.ContentCreatorName), [str(name) for name in made.OperatorsName]) == ("ann^", ["ann^", "bo^"])
    assert (made.PatientID, made.StudyInstanceUID) == ("P7", "1.2")


def test_who_settled_a_dispute_is_its_creator(study, series, tmp_path, tool):
    _, _, torn, _ = study.candidates
    settled = replace(torn, verdict="true", state="adjudicated", adjudicated_by="Dr\\Chief=^" + "x" * 80)
    made = segmentation(replace(study, grid=grid_of(series), candidates=(settled,)), series)
    assert str(made.ContentCreatorName).startswith("Dr Chief")
    assert len(made.OperatorsName) == 2, "with ann, who said so, without bo, who did not"
    made.save_as(tmp_path / "seg.dcm")
    assert complaints(tool, tmp_path / "seg.dcm") == []


def test_a_study_without_accepted_boxes_or_without_its_dicom_series_is_refused(study, series, tmp_path):
    whole = boxed(study, grid_of(series))
    with pytest.raises(BadInputError, match="accepted"):
        segmentation(replace(whole, candidates=whole.candidates[1:3]), series)
    with pytest.raises(BadInputError, match="another format"):
        segmentation(whole, [write_nifti(tmp_path / "a.nii", scan())])
    with pytest.raises(BadInputError, match="another grid"):
        segmentation(whole, write_ct(tmp_path / "other", shape=(6, 32, 48)))
