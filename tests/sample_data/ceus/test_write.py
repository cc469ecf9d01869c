from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from hepatic.io.grid import grid_of
from hepatic.io.labelmap import read_labelmap
from sample_data import ceus
from sample_data.truth import read_truth

STYLES = {
    "colour, two": ceus.Style(colour=True, side_by_side=True, even=False),
    "grey, one": ceus.Style(colour=False, side_by_side=False, even=True),
}
Written = dict[str, tuple[Path, Path]]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ceus")


@pytest.fixture(scope="module")
def written(out: Path) -> Written:
    return {
        name: ceus.write_ceus(out, 1, seed=seed, size="tiny", style=style)[0]
        for seed, (name, style) in enumerate(STYLES.items(), 36)
    }


def test_files_have_no_errors(written: Written, dicom_errors: Callable[[Path], list[str]]) -> None:
    for pair in written.values():
        assert [dicom_errors(file) for file in pair] == [[], []]


def test_still_and_cine_are_two_series_of_one_study(written: Written) -> None:
    for still, cine in written.values():
        one, other = (pydicom.dcmread(file, stop_before_pixels=True) for file in (still, cine))
        assert (one.PatientID, one.StudyInstanceUID) == (other.PatientID, other.StudyInstanceUID)
        assert one.SeriesInstanceUID != other.SeriesInstanceUID
        assert (one.SOPClassUID.name, other.SOPClassUID.name) == (
            "Ultrasound Image Storage",
            "Ultrasound Multi-frame Image Storage",
        )
        assert "ContrastBolusAgent" in other
        assert "ContrastBolusAgent" not in one


def test_uneven_times_are_a_vector_and_even_ones_a_number(out: Path, written: Written) -> None:
    for style, (_, file) in zip(STYLES.values(), written.values(), strict=True):
        ds = pydicom.dcmread(file, stop_before_pixels=True)
        keyword = "FrameTime" if style.even else "FrameTimeVector"
        assert ds.FrameIncrementPointer == pydicom.tag.Tag(keyword)
        told = read_truth(out)["images"][ds.SeriesInstanceUID]["frame_times_s"]
        steps = [ds.FrameTime] * (len(told) - 1) if style.even else list(ds.FrameTimeVector)[1:]
        assert np.diff(told) * 1000 == pytest.approx(np.array(steps, float))
        assert ds.NumberOfFrames == len(told)


def test_regions_are_one_or_two_and_show_the_same_at_the_same_place(out: Path, written: Written) -> None:
    for style, (_, file) in zip(STYLES.values(), written.values(), strict=True):
        ds = pydicom.dcmread(file)
        regions = ds.SequenceOfUltrasoundRegions
        assert len(regions) == 1 + style.side_by_side
        about = read_truth(out)["images"][ds.SeriesInstanceUID]
        assert [region["content"] for region in about["regions"]] == ["contrast", "tissue"][: len(regions)]
        assert ds.PhotometricInterpretation == ("RGB" if style.colour else "MONOCHROME2")
        assert len(about["lesions"][0]["boxes"]) == ds.NumberOfFrames
    first, second = pydicom.dcmread(written["colour, two"][1]).SequenceOfUltrasoundRegions
    assert first.RegionLocationMaxX1 < second.RegionLocationMinX0
    assert first.PhysicalDeltaX == second.PhysicalDeltaX


def test_the_contrast_side_is_amber_and_the_other_grey(written: Written) -> None:
    ds = pydicom.dcmread(written["colour, two"][1])
    late = ds.pixel_array[60].astype(int)
    sides = [
        late[r.RegionLocationMinY0 : r.RegionLocationMaxY1 + 1, r.RegionLocationMinX0 : r.RegionLocationMaxX1 + 1]
        for r in ds.SequenceOfUltrasoundRegions
    ]
    colourful = [np.ptp(side, axis=-1).mean() for side in sides]
    assert colourful[0] > 20
    assert colourful[1] == 0


def test_the_truth_says_what_there_is(out: Path, written: Written) -> None:
    images = read_truth(out)["images"]
    for seed, (still, cine) in enumerate(written.values(), 36):
        patient = ceus.draw_patient(seed)
        about = images[cine.parent.name]
        assert (about["label"], about["pathology"]) == (patient.label, patient.pathology)
        assert about["echo_onset_s"] == pytest.approx(patient.arrival_s, abs=1e-3)
        assert about["washout_onset_s"] == pytest.approx(patient.washout_onset_s, abs=1e-2)
        assert (images[still.parent.name]["label"], images[still.parent.name]["shows"]) == (patient.label, "B-mode")


def test_the_segment_follows_the_lesion_on_every_frame(out: Path, written: Written) -> None:
    for _, file in written.values():
        about = read_truth(out)["images"][file.parent.name]
        labels = read_labelmap(out / "truth" / f"{file.parent.name}.seg.nrrd", like=grid_of(file))
        assert labels.names == {about["label"]: 1}
        for frame, box, in_plane in zip(labels.array, about["lesions"][0]["boxes"], about["in_plane"], strict=True):
            y, x = np.nonzero(frame)
            if in_plane:
                assert [x.min(), y.min(), x.max(), y.max()] == box
            else:
                assert not len(x)


def test_styles_differ_and_times_reach_beyond_three_minutes() -> None:
    drawn = {ceus.draw_style(seed) for seed in range(60)}
    assert len(drawn) == 8
    for style in drawn:
        assert style.times_s[0] == 0
        assert style.times_s[-1] >= 208
