import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage

from sample_data import ct
from sample_data.ct.ct_image import ct_series, header


@pytest.fixture(scope="module")
def written(study: ct.CTStudy, tmp_path_factory: pytest.TempPathFactory) -> ct.WrittenCT:
    return ct.write_study(tmp_path_factory.mktemp("ct"), study)


def files(written: ct.WrittenCT) -> list[Path]:
    return [file for folder in written.series.values() for file in sorted(folder.iterdir())]


def said(tool: Path, *arguments: str | Path) -> list[str]:
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


def test_no_file_has_an_error(written: ct.WrittenCT, tool) -> None:
    dciodvfy = tool("dciodvfy", "dicom3tools")
    for folder in written.series.values():
        for file in sorted(folder.iterdir())[::6]:
            assert said(dciodvfy, "-new", file) == ["CTImage"]


def test_the_files_of_a_study_agree_with_each_other(written: ct.WrittenCT, tool) -> None:
    assert said(tool("dcentvfy", "dicom3tools"), *files(written)) == []


def test_the_validators_would_see_an_error(written: ct.WrittenCT, tool, tmp_path: Path) -> None:
    one, other = (pydicom.dcmread(file) for file in files(written)[:2])
    del one.RescaleType, one.KVP
    other.PatientID = "CT99999"
    one.save_as(tmp_path / "0.dcm")
    other.save_as(tmp_path / "1.dcm")
    assert any(line.startswith("Error") for line in said(tool("dciodvfy", "dicom3tools"), "-new", tmp_path / "0.dcm"))
    assert said(tool("dcentvfy", "dicom3tools"), tmp_path / "0.dcm", tmp_path / "1.dcm") != []


def test_a_series_is_a_phase_in_one_frame_of_reference(study: ct.CTStudy) -> None:
    flaws = ct.Flaws()
    heads = [header(study, phase, flaws.label(phase), 0) for phase in ct.PHASES]
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "ImagePositionPatient", "PixelSpacing"):
        assert len({str(head[keyword].value) for head in heads}) == 1
    for keyword in ("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "AcquisitionTime", "AcquisitionNumber"):
        assert len({str(head[keyword].value) for head in heads}) == 4
    assert all(head.SOPClassUID == CTImageStorage for head in heads)
    assert all(head.StudyInstanceUID.startswith("2.25.") for head in heads)


def test_times_say_when_a_phase_was_taken(study: ct.CTStudy) -> None:
    flaws = ct.Flaws()
    heads = {phase: header(study, phase, flaws.label(phase), 0) for phase in ct.PHASES}

    def seconds(clock: str) -> float:
        return 3600 * int(clock[:2]) + 60 * int(clock[2:4]) + float(clock[4:])

    assert "ContrastBolusStartTime" not in heads["nc"]
    assert "ContrastBolusAgent" not in heads["nc"]
    injected = seconds(heads["venous"].ContrastBolusStartTime)
    assert seconds(heads["nc"].AcquisitionTime) < injected
    for phase in ct.PHASES[1:]:
        assert seconds(heads[phase].AcquisitionTime) - injected == pytest.approx(study[phase].time_s, abs=0.02)


def test_pixels_come_back_in_hu(study: ct.CTStudy, written: ct.WrittenCT) -> None:
    slices = sorted(
        (pydicom.dcmread(file) for file in written.series["venous"].iterdir()), key=lambda ds: ds.InstanceNumber
    )
    assert {(ds.RescaleIntercept, ds.RescaleSlope) for ds in slices} == {(-1024, 1)}
    assert (np.stack([ds.pixel_array for ds in slices]) - 1024.0 == study["venous"].hu).all()


def test_the_same_study_gives_the_same_files(study: ct.CTStudy, tmp_path: Path) -> None:
    label = ct.Flaws().label("nc")
    for ds, again in zip(ct_series(study, "nc", label), ct_series(ct.simulate(7), "nc", label), strict=True):
        ds.save_as(tmp_path / "one.dcm", enforce_file_format=True)
        again.save_as(tmp_path / "other.dcm", enforce_file_format=True)
        assert (tmp_path / "one.dcm").read_bytes() == (tmp_path / "other.dcm").read_bytes()


def test_the_same_patient_keeps_the_name_in_a_later_study(study: ct.CTStudy) -> None:
    label = ct.Flaws().label("nc")
    one, other = header(study, "nc", label, 0), header(ct.simulate(7, visit=1), "nc", label, 0)
    assert one.PatientID == other.PatientID == "CT00007"
    assert one.StudyInstanceUID != other.StudyInstanceUID
    assert one.StudyDate < other.StudyDate
