from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from hepatic.errors import BadInputError
from hepatic.io.image import Volume
from hepatic.io.labelmap import read_labelmap
from hepatic.io.read import read
from sample_data import ct
from sample_data.truth import read_truth


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def written(out: Path, study: ct.CTStudy) -> ct.WrittenCT:
    return ct.write_study(out, study)


def itk(folder: Path) -> sitk.Image:
    return sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))


def test_files_lie_by_patient_study_and_series(out: Path, written: ct.WrittenCT) -> None:
    for phase, folder in written.series.items():
        slices = list(folder.iterdir())
        ds = pydicom.dcmread(slices[0], stop_before_pixels=True)
        assert folder == out / "studies" / ds.PatientID / ds.StudyInstanceUID / ds.SeriesInstanceUID
        assert len(slices) == 24
        assert written.segmentations[phase] == out / "truth" / f"{ds.SeriesInstanceUID}.seg.nrrd"


def test_our_reader_and_simpleitk_agree_on_the_grid(study: ct.CTStudy, written: ct.WrittenCT) -> None:
    for phase, folder in written.series.items():
        ours, theirs = read(folder), itk(folder)
        assert isinstance(ours, Volume)
        assert ours.modality == "CT"
        assert ours.grid.matches(study.grid)
        assert ours.grid.size == theirs.GetSize()
        assert ours.grid.origin == pytest.approx(theirs.GetOrigin(), abs=1e-3)
        assert ours.grid.spacing == pytest.approx(theirs.GetSpacing(), abs=1e-3)
        assert (ours.array == study[phase].hu).all()
        assert (sitk.GetArrayFromImage(theirs) == study[phase].hu).all()


def test_labels_lie_on_the_grid_of_their_phase(study: ct.CTStudy, written: ct.WrittenCT) -> None:
    for phase, file in written.segmentations.items():
        labels = read_labelmap(file)
        assert labels.grid.matches(study.grid)
        assert labels.names == {"tumour": 1, "liver": 2}
        solid = np.array([False, *(lesion.solid for lesion in study.lesions)])[study[phase].labels]
        assert ((labels.array == 1) == solid).all()
        assert ((labels.array == 2) == (study[phase].liver & ~solid)).all()


def test_the_truth_counts_lesions_as_their_masks_do(out: Path, study: ct.CTStudy, written: ct.WrittenCT) -> None:
    images = read_truth(out)["images"]
    assert set(images) == {folder.name for folder in written.series.values()}
    for phase, folder in written.series.items():
        about, picture = images[folder.name], itk(folder)
        masks = sitk.ReadImage(str(out / "truth" / f"{folder.name}.lesions.mha"))
        assert masks.GetSpacing() == pytest.approx(picture.GetSpacing(), abs=1e-3)
        assert masks.GetOrigin() == pytest.approx(picture.GetOrigin(), abs=1e-3)
        shape = sitk.LabelShapeStatisticsImageFilter()
        shape.Execute(masks)
        assert (about["modality"], about["phase"], about["seed"]) == ("CT", phase, 7)
        assert [lesion["kind"] for lesion in about["lesions"]] == [lesion.kind for lesion in study.lesions]
        assert [lesion["primary"] for lesion in about["lesions"]] == [True] + [False] * (len(study.lesions) - 1)
        for lesion in about["lesions"]:
            i, j, k, columns, rows, slices = shape.GetBoundingBox(lesion["number"])
            assert lesion["box_voxels"] == [i, j, k, i + columns - 1, j + rows - 1, k + slices - 1]
            low, high = np.array(lesion["box_lps_mm"]).reshape(2, 3)
            assert low == pytest.approx(
                picture.TransformContinuousIndexToPhysicalPoint((i - 0.5, j - 0.5, k - 0.5)), abs=0.01
            )
            assert (low <= lesion["centre_lps_mm"]).all()
            assert (lesion["centre_lps_mm"] <= high).all()
            assert shape.GetPhysicalSize(lesion["number"]) / 1000 == pytest.approx(lesion["volume_ml"], abs=0.01)


def test_the_displacement_is_a_transform_for_simpleitk(out: Path, written: ct.WrittenCT) -> None:
    """It leads from a place in a phase to that of the same tissue in the venous one."""
    images = read_truth(out)["images"]
    venous = images[written.series["venous"].name]["lesions"]
    moved = 0.0
    for folder in written.series.values():
        field = sitk.ReadImage(str(out / "truth" / f"{folder.name}.displacement.mha"), sitk.sitkVectorFloat64)
        transform = sitk.DisplacementFieldTransform(field)
        for here, there in zip(images[folder.name]["lesions"], venous, strict=True):
            assert transform.TransformPoint(here["centre_lps_mm"]) == pytest.approx(there["centre_lps_mm"], abs=0.02)
            moved = max(moved, np.abs(np.subtract(here["centre_lps_mm"], there["centre_lps_mm"])).max())
    assert moved > 1


def test_the_displacement_brings_a_phase_onto_the_venous_one(
    out: Path, written: ct.WrittenCT, study: ct.CTStudy
) -> None:
    """The liver of the venous phase, resampled by the true transform, is the liver of the phase."""
    venous = sitk.ReadImage(str(written.segmentations["venous"])) > 0
    for phase in ("nc", "arterial", "delayed"):
        name = written.series[phase].name  # type: ignore[index]
        field = sitk.ReadImage(str(out / "truth" / f"{name}.displacement.mha"), sitk.sitkVectorFloat64)
        soft = sitk.Cast(venous, sitk.sitkFloat32)
        moved = sitk.Resample(soft, sitk.DisplacementFieldTransform(field), sitk.sitkLinear)
        arrays = sitk.GetArrayFromImage(moved) > 0.5, study[phase].liver  # type: ignore[index]
        still = sitk.GetArrayFromImage(venous) > 0
        dice = [2 * (one & arrays[1]).sum() / (one.sum() + arrays[1].sum()) for one in (arrays[0], still)]
        assert dice[0] > 0.975
        assert dice[0] > dice[1]


def test_a_missing_phase_is_not_written(out: Path, study: ct.CTStudy, tmp_path: Path) -> None:
    for missing in ("venous", "nc"):
        written = ct.write_study(tmp_path / missing, study, ct.Flaws(missing=missing))  # type: ignore[arg-type]
        assert set(written.series) == set(ct.PHASES) - {missing}
        images = read_truth(tmp_path / missing)["images"].values()
        assert {about["flaws"]["missing"] for about in images} == {missing}
        assert all((about["venous_series"] is None) == (missing == "venous") for about in images)
        assert len(list((tmp_path / missing / "studies").glob("*/*/*"))) == 3


def test_swapped_numbers_and_bad_names_are_in_the_header_and_the_truth(study: ct.CTStudy, tmp_path: Path) -> None:
    flaws = ct.Flaws(order={"nc": 2, "arterial": 4, "venous": 3, "delayed": 5}, naming="misleading")
    written = ct.write_study(tmp_path, study, flaws)
    images = read_truth(tmp_path)["images"]
    heads = {phase: pydicom.dcmread(next(folder.iterdir())) for phase, folder in written.series.items()}
    assert heads["venous"].SeriesNumber < heads["arterial"].SeriesNumber
    assert heads["venous"].AcquisitionTime > heads["arterial"].AcquisitionTime
    assert "venous" in heads["arterial"].SeriesDescription
    for phase, folder in written.series.items():
        about = images[folder.name]
        assert about["flaws"] == {"missing": None, "swapped": True, "naming": "misleading"}
        assert about["series_description"] == heads[phase].SeriesDescription
        assert about["phase"] == phase


def test_some_patients_have_two_studies(tmp_path: Path) -> None:
    twice = next(seed for seed in range(50) if ct.visits_of(seed) == 2)
    calls: list[None] = []
    written = ct.write_ct(tmp_path, 1, seed=twice, progress=lambda: calls.append(None))
    assert [one.visit for one in written] == [0, 1]
    assert len({one.patient_id for one in written}) == 1
    assert len({one.study_uid for one in written}) == 2
    assert len(calls) == 1
    assert len(ct.write_ct(tmp_path / "once", 1, seed=twice, follow_ups=False)) == 1


def test_writing_again_gives_the_same_files(out: Path, written: ct.WrittenCT, tmp_path: Path) -> None:
    again = ct.write_study(tmp_path, ct.simulate(7))
    assert again.study_uid == written.study_uid
    for file in (file for file in out.rglob("*") if file.is_file()):
        assert (tmp_path / file.relative_to(out)).read_bytes() == file.read_bytes()


def test_bad_arguments_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(BadInputError, match="count"):
        ct.write_ct(out, 0)
    with pytest.raises(BadInputError, match="seed"):
        ct.write_ct(out, 1, seed=-1)
    with pytest.raises(BadInputError, match="size"):
        ct.write_ct(out, 1, size="huge")  # type: ignore[arg-type]
    assert not out.exists()
    out.write_text("a file")
    with pytest.raises(BadInputError, match="found a file"):
        ct.write_ct(out, 1)
