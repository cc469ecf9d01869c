import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from hepatic.errors import BadInputError
from sample_data import dsa
from sample_data.truth import read_truth
from sample_data.write import WrittenSeries, labelmap, write_dsa


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def written(out: Path) -> list[WrittenSeries]:
    return write_dsa(out, 1, seed=1, variant="both") + write_dsa(out, 1, seed=2)


def test_files_lie_by_patient_study_and_series(out: Path, written: list[WrittenSeries]) -> None:
    for one in written:
        ds = pydicom.dcmread(one.image, stop_before_pixels=True)
        folder = out / "studies" / ds.PatientID / ds.StudyInstanceUID / ds.SeriesInstanceUID
        assert one.image == folder / f"{ds.SOPInstanceUID}.dcm"
        assert one.segmentation == out / "truth" / f"{ds.SeriesInstanceUID}.seg.nrrd"
        assert (one.patient_id, one.study_uid, one.series_uid) == (
            ds.PatientID,
            ds.StudyInstanceUID,
            ds.SeriesInstanceUID,
        )
    assert [one.patient_id for one in written] == ["DSA0001", "DSA0001", "DSA0002"]
    everything = {path for path in out.rglob("*") if path.is_file()}
    assert everything == {path for one in written for path in (one.image, one.segmentation)} | {
        out / "truth" / "truth.json"
    }


def test_a_segmentation_lies_on_the_grid_of_its_image(written: list[WrittenSeries]) -> None:
    for one in written:
        image, truth = sitk.ReadImage(str(one.image)), sitk.ReadImage(str(one.segmentation))
        assert truth.GetSize() == image.GetSize()
        assert truth.GetSpacing() == pytest.approx(image.GetSpacing())
        assert truth.GetOrigin() == pytest.approx(image.GetOrigin())
        assert truth.GetDirection() == pytest.approx(image.GetDirection())
        assert truth.GetPixelID() == sitk.sitkUInt8


def test_a_segmentation_names_tumour_and_liver(written: list[WrittenSeries]) -> None:
    truth = sitk.ReadImage(str(written[0].segmentation))
    assert [truth.GetMetaData(f"Segment{index}_Name") for index in (0, 1)] == ["tumour", "liver"]
    assert [truth.GetMetaData(f"Segment{index}_LabelValue") for index in (0, 1)] == ["1", "2"]
    assert b"encoding: gzip" in written[0].segmentation.read_bytes()[:2000]


def test_only_the_key_frame_and_the_two_after_it_are_labelled(written: list[WrittenSeries]) -> None:
    for one in written:
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(one.segmentation)))
        labelled = np.flatnonzero(labels.any((1, 2)))
        assert labelled.tolist() == [one.key_frame, one.key_frame + 1, one.key_frame + 2]
        assert set(np.unique(labels)) == {0, 1, 2}


def test_tumour_is_1_and_the_rest_of_the_liver_2(written: list[WrittenSeries]) -> None:
    run = dsa.simulate(1)
    labels = labelmap(run)[run.key_frame]
    assert ((labels == 1) == run.tumour[0]).all()
    assert ((labels == 2) == (run.liver[0] & ~run.tumour[0])).all()
    assert (sitk.GetArrayFromImage(sitk.ReadImage(str(written[0].segmentation))) == labelmap(run)).all()


def test_the_truth_of_every_image_is_kept(out: Path, written: list[WrittenSeries]) -> None:
    images = read_truth(out)["images"]
    assert set(images) == {one.series_uid for one in written}
    for one in written:
        about = images[one.series_uid]
        assert (about["patient"], about["study"], about["seed"]) == (one.patient_id, one.study_uid, one.seed)
        assert about["modality"] == "XA"
        assert about["key_frame"] == one.key_frame
        assert len(about["frame_times_ms"]) == pydicom.dcmread(one.image, stop_before_pixels=True).NumberOfFrames
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(one.segmentation)))[one.key_frame]
        for lesion in about["lesions"]:
            xmin, ymin, xmax, ymax = lesion["box"]
            assert (labels[ymin : ymax + 1, xmin : xmax + 1] == 1).mean() > 0.5
            assert lesion["blood_supply"] in ("rich", "poor")
    assert [images[one.series_uid]["variant"] for one in written] == ["unsubtracted", "subtracted", "subtracted"]


def test_the_truth_is_not_in_the_studies(out: Path, written: list[WrittenSeries]) -> None:
    assert {path.suffix for path in (out / "studies").rglob("*") if path.is_file()} == {".dcm"}
    assert len(json.loads((out / "truth" / "truth.json").read_text())["images"]) == len(written)


def test_writing_again_gives_the_same_files(written: list[WrittenSeries], tmp_path: Path) -> None:
    (again,) = write_dsa(tmp_path, 1, seed=2)
    assert again.image.read_bytes() == written[2].image.read_bytes()
    assert again.segmentation.read_bytes() == written[2].segmentation.read_bytes()


def test_progress_is_told_of_every_run(tmp_path: Path) -> None:
    calls: list[None] = []
    write_dsa(tmp_path, 2, seed=3, progress=lambda: calls.append(None))
    assert len(calls) == 2


def test_bad_arguments_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(BadInputError, match="count"):
        write_dsa(out, 0)
    with pytest.raises(BadInputError, match="seed"):
        write_dsa(out, 1, seed=-1)
    with pytest.raises(BadInputError, match="size"):
        write_dsa(out, 1, size="huge")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="variant"):
        write_dsa(out, 1, variant="raw")  # type: ignore[arg-type]
    assert not out.exists()
    out.write_text("a file")
    with pytest.raises(BadInputError, match="found a file"):
        write_dsa(out, 1)
