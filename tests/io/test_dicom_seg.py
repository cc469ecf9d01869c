"""Labels as DICOM segmentations: valid, read back by another library to the same voxels, tied to their source."""

import logging
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.uid import SegmentationStorage

from hepatic.errors import BadInputError
from hepatic.io.dicom_seg import write_dicom_seg
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.read import read
from hepatic.labels import STRUCTURES, structure
from sample_data.write import write_dsa
from tests.dicom_validator import complaints
from tests.runs import write_run
from tests.viewers.conftest import write_ct_series

NAMES = {"tumour": 1, "liver": 2}
MODEL = Algorithm("dsa_ltdnet", "20260101-1")


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct") / "series"
    write_ct_series(folder)
    for file in folder.glob("*.dcm"):
        ds = pydicom.dcmread(file)
        ds.StudyDate, ds.PatientName = "20260101", "Phantom^CT"
        ds.save_as(file)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_dsa(tmp_path_factory.mktemp("demo"), 1, seed=0, size="small")[0].image


def written(tmp_path, source, labels, names=None, *, suffix=".nrrd", own_names=None):
    """Write labels (a function of the source's shape), and a segmentation of them; return both."""
    image = read(source)
    array = labels(image.grid.shape)
    labelmap = tmp_path / f"labels{suffix}"
    write_labelmap(labelmap, Labelmap(array, image.grid, own_names or {}))
    file = tmp_path / "seg.dcm"
    write_dicom_seg(file, labelmap, source, names=NAMES if names is None else names, algorithm=MODEL)
    return array, file


def few(shape):
    array = np.zeros(shape, np.uint8)
    array[1:3, 2:9, 3:11] = 2
    array[2, 4:6, 5:8] = 1
    return array


def of_series(file, source):
    """Read by highdicom, onto the slices of the series, in the order in which our grid has them."""
    slices = sorted((pydicom.dcmread(f) for f in source.glob("*.dcm")), key=lambda d: d.ImagePositionPatient[2])
    seg = hd.seg.segread(file)
    return seg.get_pixels_by_source_instance(
        [d.SOPInstanceUID for d in slices], combine_segments=True, ignore_spatial_locations=False,
        assert_missing_frames_are_empty=True,
    )  # fmt: skip


def of_cine(file, source, frames):
    seg = hd.seg.segread(file)
    uid = pydicom.dcmread(source, stop_before_pixels=True).SOPInstanceUID
    return seg.get_pixels_by_source_frame(
        uid, list(range(1, frames + 1)), combine_segments=True, ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )  # fmt: skip


def test_a_series_comes_back_voxel_for_voxel(tmp_path, ct, tool):
    array, file = written(tmp_path, ct, few)
    assert np.array_equal(of_series(file, ct), array)
    assert complaints(tool, file) == []


def test_a_run_comes_back_voxel_for_voxel_on_its_frames(tmp_path, run, tool):
    array, file = written(tmp_path, run, few)
    assert np.array_equal(of_cine(file, run, len(array)), array)
    assert complaints(tool, file) == []


def test_only_frames_with_something_in_them_are_written(tmp_path, run, ct):
    _, cine = written(tmp_path, run, few)
    assert pydicom.dcmread(cine).NumberOfFrames == 3  # the tumour on one, the liver on two
    _, volume = written(tmp_path, ct, few)
    assert pydicom.dcmread(volume).NumberOfFrames == 3


@pytest.mark.parametrize("source", ["run", "ct"])
def test_nothing_found_is_a_segmentation_too(tmp_path, source, request, tool):
    source = request.getfixturevalue(source)
    _, file = written(tmp_path, source, lambda shape: np.zeros(shape, np.uint8))
    assert not hd.seg.segread(file).pixel_array.any()
    assert complaints(tool, file) == []


@pytest.mark.parametrize("source", ["run", "ct"])
def test_it_says_what_it_is_of_whom_and_by_what(tmp_path, source, request):
    source = request.getfixturevalue(source)
    _, file = written(tmp_path, source, few)
    image = pydicom.dcmread(next(source.glob("*.dcm")) if source.is_dir() else source, stop_before_pixels=True)
    seg = hd.seg.segread(file)
    assert (seg.SOPClassUID, seg.Modality) == (SegmentationStorage, "SEG")
    for same in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate"):
        assert seg.get(same) == image.get(same)
    assert seg.SeriesInstanceUID != image.SeriesInstanceUID
    assert seg.SOPInstanceUID != image.SOPInstanceUID
    assert seg.get("FrameOfReferenceUID") == image.get("FrameOfReferenceUID")
    assert next(uids[:2] for uids in seg.get_source_image_uids()) == (image.StudyInstanceUID, image.SeriesInstanceUID)
    tumour, liver = (seg.get_segment_description(n) for n in (1, 2))
    assert (tumour.segment_label, liver.segment_label) == ("tumour", "liver")
    assert tumour.segmented_property_type.value == "108369006"
    assert liver.segmented_property_type.value == "10200004"
    assert str(tumour.algorithm_type.value) == "AUTOMATIC"
    assert (tumour.algorithm_identification.name, tumour.algorithm_identification.version) == (
        MODEL.name,
        MODEL.version,
    )


def test_the_log_says_nothing_of_the_images(tmp_path, ct, caplog):
    caplog.set_level(logging.INFO)
    written(tmp_path, ct, few)
    uid = pydicom.dcmread(next(ct.glob("*.dcm")), stop_before_pixels=True).SOPInstanceUID
    assert caplog.records == []
    assert uid not in caplog.text


def test_two_segmentations_of_one_image_have_uids_of_their_own(tmp_path, run):
    _, one = written(tmp_path, run, few)
    first = pydicom.dcmread(one)
    _, two = written(tmp_path, run, few)
    second = pydicom.dcmread(two)
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID


def test_values_with_gaps_are_numbered_from_one_and_strange_names_get_a_code_that_claims_nothing(tmp_path, run, tool):
    def labels(shape):
        array = np.zeros(shape, np.uint8)
        array[3, :5, :5], array[4, :5, :5], array[5, :5, :5] = 4, 9, 200
        return array

    array, file = written(tmp_path, run, labels, {"HCC p=0.93": 9, "Portal_Vein": 4, "x" * 90: 200})
    found = of_cine(file, run, len(array))
    assert [found[frame].max() for frame in (3, 4, 5)] == [1, 2, 3]
    seg = hd.seg.segread(file)
    assert seg.get_segment_description(1).segmented_property_type.value == STRUCTURES["portal vein"].type[0]
    assert seg.get_segment_description(2).segment_label == "HCC p=0.93"
    assert seg.get_segment_description(2).segmented_property_type.value == "85756007"
    assert complaints(tool, file) == []


def test_a_name_for_a_value_beyond_all_reason_is_an_empty_segment_and_takes_no_memory(tmp_path, run):
    array, file = written(tmp_path, run, few, {"tumour": 1, "liver": 2, "far": 10**15})
    assert [each.SegmentLabel for each in hd.seg.segread(file).SegmentSequence] == ["tumour", "liver", "far"]
    assert np.array_equal(of_cine(file, run, len(array)), array)


def test_the_names_in_the_file_go_before_those_of_the_answer(tmp_path, run):
    _, file = written(tmp_path, run, few, {"other": 1}, suffix=".seg.nrrd", own_names={"lesion": 1, "liver": 2})
    assert [each.SegmentLabel for each in hd.seg.segread(file).SegmentSequence] == ["lesion", "liver"]


def test_a_single_frame_without_a_place_works_too(tmp_path, tool):
    source = write_run(tmp_path / "one.dcm", frames=1)
    array, file = written(tmp_path, source, lambda shape: np.ones(shape, np.uint8))
    assert np.array_equal(hd.seg.segread(file).pixel_array.reshape(array.shape), array)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("examples_ybr_color.dcm", id="an ultrasound cine in colour"),
        pytest.param("CT_small.dcm", id="one CT slice"),
        pytest.param("MR_small_jp2klossless.dcm", id="one MR slice, compressed"),
    ],
)
def test_files_of_real_scanners_get_valid_segmentations(tmp_path, tool, name):
    def labels(shape):
        array = np.zeros(shape, np.uint8)
        array[0, 2:5, 3:9], array[-1, 5:8, 1:5] = 1, 2
        return array

    source = Path(pydicom.data.__file__).parent / "test_files" / name
    array, file = written(tmp_path, source, labels)
    several = len(array) > 1
    found = (
        of_cine(file, source, len(array)) if several else hd.seg.segread(file).get_volume(combine_segments=True).array
    )
    assert np.array_equal(found, array)
    assert not [line for line in complaints(tool, file) if line.startswith("Error")]


def test_an_image_without_uids_cannot_be_referred_to(tmp_path):
    source = Path(pydicom.data.__file__).parent / "test_files" / "JPEGLSNearLossless_08.dcm"
    with pytest.raises(BadInputError, match="StudyInstanceUID"):
        written(tmp_path, source, lambda shape: np.ones(shape, np.uint8))


def test_slices_that_do_not_say_where_they_lie_are_refused(tmp_path, ct):
    folder = tmp_path / "ct"
    folder.mkdir()
    for file in ct.glob("*.dcm"):
        ds = pydicom.dcmread(file)
        del ds.FrameOfReferenceUID
        ds.save_as(folder / file.name)
    with pytest.raises(BadInputError, match="FrameOfReferenceUID"):
        written(tmp_path, folder, few)


def test_another_format_is_told_what_to_ask_for(tmp_path, ct):
    image = read(ct)
    for file in (tmp_path / "image.nii.gz", tmp_path / "labels.nrrd"):
        write_labelmap(file, Labelmap(np.zeros(image.grid.shape, np.uint8), image.grid))
    with pytest.raises(BadInputError, match="output=image"):
        write_dicom_seg(
            tmp_path / "s.dcm", tmp_path / "labels.nrrd", tmp_path / "image.nii.gz", names=NAMES, algorithm=MODEL
        )


@pytest.mark.parametrize("name", ["Tumor", "tumour", "Portal_Vein", "hepatic-vein", "LIVER"])
def test_a_structure_is_known_however_it_is_spelt(name):
    assert structure(name) is not None


def test_every_code_is_one_that_dicom_libraries_know():
    from pydicom.sr.codedict import codes

    known = {getattr(codes.SCT, keyword).value for keyword in codes.SCT.dir()}
    for each in STRUCTURES.values():
        assert {each.type[0], each.category[0]} <= known, each.name
