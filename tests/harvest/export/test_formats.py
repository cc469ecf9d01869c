"""Everything reviewed can be taken out in every format."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.export.formats import FORMATS, write_export
from hepatic.importers.keep import keep
from hepatic.importers.kinds import IMPORTERS
from hepatic.io.grid import grid_of
from hepatic.io.header import header
from hepatic.io.labelmap import read_labelmap
from hepatic.io.markups import read_rois
from hepatic.io.orient import upright_grid
from hepatic.io.read import read
from hepatic.io.refusal import NotAnImageError
from hepatic.store.disk import DiskFullError
from hepatic.store.folder import FolderStore
from tests.importers.dicom_files import write_ct


@pytest.fixture
def series(tmp_path):
    return write_ct(tmp_path / "venous", patient="P7", study="1.2", shape=(6, 32, 48), z0=100.0)


@pytest.fixture
def study(study, series):
    return replace(study, grid=grid_of(series))


@pytest.fixture
def export(tmp_path, series):
    def run(kind, *studies):
        def files_of(image_id):
            if image_id != "1.2.4":
                raise NotFoundError(image_id, expected="its files", came="none", fix="Put them back.")
            return series

        path = tmp_path / f"out{FORMATS[kind].suffix}"
        return path, write_export(kind, studies, path, files_of=files_of)

    return run


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_writes_a_file_of_its_kind_and_nothing_else(export, study, kind, tmp_path):
    path, left_out = export(kind, study)
    assert left_out == {}
    start = {".csv": b'"study_uid",', ".json": b"{", ".zip": b"PK"}[path.suffix]
    assert path.read_bytes().startswith(start)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, "venous"])


def test_markups_hold_the_accepted_boxes_with_their_candidates(export, study, tmp_path):
    path, _ = export("markups", study)
    with zipfile.ZipFile(path) as archive:
        archive.extract("1.2.mrk.json", tmp_path)
    rois = read_rois(tmp_path / "1.2.mrk.json")
    assert [roi.about["candidate"] for roi in rois] == ["2.25.1", "2.25.4"]
    np.testing.assert_allclose(rois[0].box, study.candidates[0].box)
    assert rois[0].label == "lesion 1 (primary)"


def test_labelmaps_lie_on_the_reference_series(export, study, tmp_path, series):
    path, _ = export("nifti", study)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    labels = read_labelmap(tmp_path / "1.2.nii.gz", like=grid_of(series))
    assert set(np.unique(labels.array)) == {0, 1, 2}
    assert json.loads((tmp_path / "1.2.json").read_text())["candidates"] == {"1": "2.25.1", "2": "2.25.4"}


def test_reports_are_dicom_files_of_the_study(export, study):
    path, _ = export("sr", study)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        final = pydicom.dcmread(io.BytesIO(archive.read("1.2.dcm")))
    assert names == ["1.2.dcm", "1.2-slices.dcm", "1.2-reader-1.dcm", "1.2-reader-2.dcm"]
    assert (final.StudyInstanceUID, final.PatientID, final.Modality) == ("1.2", "P7", "SR")


def test_a_segmentation_is_a_dicom_file_of_the_study(export, study):
    path, _ = export("seg", study)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["1.2.dcm"]
        made = pydicom.dcmread(io.BytesIO(archive.read("1.2.dcm")))
    assert (made.StudyInstanceUID, made.PatientID, made.Modality) == ("1.2", "P7", "SEG")


def test_a_study_that_cannot_be_written_is_named_and_the_others_are_there(export, study):
    gone = replace(study, study_uid="1.9", image_ids={study.reference: "gone"})
    path, left_out = export("sr", gone, study)
    assert list(left_out) == ["1.9"]
    with zipfile.ZipFile(path) as archive:
        assert "1.2.dcm" in archive.namelist()
        assert json.loads(archive.read("left_out.json")) == left_out


def test_a_data_set_for_nnunet_is_read_back_with_its_patients(export, study, tmp_path):
    unfinished = replace(study, study_uid="1.3", complete=False)
    path, left_out = export("nnunet", study, unfinished)
    assert "complete" in left_out["1.3"]
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "Dataset500")
    (tmp_path / "Dataset500" / "left_out.json").unlink()
    store = FolderStore(tmp_path / "studies", header=header, not_images=(NotAnImageError,))
    importer = IMPORTERS["nnunet"]
    (case,) = importer.cases(tmp_path / "Dataset500")
    outcome = keep(store, importer.data_set, case)
    assert (outcome.image, outcome.label, outcome.boxes) == ("added", "added", 1)  # the smaller box lies in the larger
    image = store.images.get(store.images.ids()[0])
    assert image.patient_id == "P7"
    assert grid_of(store.source(image.id)).matches(study.grid, tolerance_mm=0.01)
    assert read(store.source(image.id)).array[0, 0, 0] == 1000 - 1024
    store.close()


def test_a_data_set_for_nnunet_holds_the_series_upright_as_it_was_reviewed(study, tmp_path):
    series = write_ct(tmp_path / "prone", shape=(6, 32, 48), z0=100.0, prone=True)
    grid = upright_grid(grid_of(series))
    path = tmp_path / "out.zip"
    assert write_export("nnunet", [replace(study, grid=grid)], path, files_of=lambda _: series) == {}
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    assert grid_of(tmp_path / "imagesTr" / "1.2_0000.nii.gz").matches(grid, tolerance_mm=0.01)


def test_a_study_uid_is_never_a_path(export, study):
    path, _ = export("markups", replace(study, study_uid="../../etc/passwd"))
    with zipfile.ZipFile(path) as archive:
        assert [name for name in archive.namelist() if "/" in name or name.startswith(".")] == []


def test_an_unknown_format_is_refused(study, tmp_path):
    with pytest.raises(BadInputError, match="csv, json, coco, markups, nifti, sr, seg, nnunet"):
        write_export("xlsx", [study], tmp_path / "x", files_of=lambda _: [])


def test_a_full_disk_leaves_nothing_half_written(study, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(DiskFullError):
        write_export("nifti", [study], tmp_path / "out.zip", files_of=lambda _: [])
    assert list(tmp_path.glob("*out*")) == []
    assert list(tmp_path.glob(".writing*")) == []
