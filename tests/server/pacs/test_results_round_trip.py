"""Phantoms of every modality in a real PACS: models run by SeriesInstanceUID, results go out and come back the same."""

import json
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import requests
import SimpleITK
from pydicom.uid import Comprehensive3DSRStorage

from hepatic.boxes import from_voxels
from hepatic.io.dicom_image_report import Statement, image_reports
from hepatic.io.dicom_report_read import read_report, read_report_header
from hepatic.io.dicom_seg_read import read_cine_seg, read_dicom_seg, read_seg_header
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.labelmap import read_labelmap
from hepatic.io.markups import ROI, read_rois
from hepatic.pacs.attributes import text
from hepatic.pacs.client import PacsClient
from hepatic.pacs.spec import PacsSpec
from sample_data.ceus.write import write_ceus
from sample_data.ct.write import write_ct
from sample_data.us import write_us
from sample_data.write import write_dsa
from tests.dicom_validator import complaints
from tests.pacs.served import served

from .conftest import by_another, label, told, wait_for

APP = Path(__file__).parents[3] / "apps" / "hepatic"
OHIF = {"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False}


@pytest.fixture(scope="module")
def images(tmp_path_factory, orthanc):
    """The phantoms, all of them in Orthanc: their files by modality."""
    out = tmp_path_factory.mktemp("phantoms")
    write_dsa(out, 1, seed=3, size="small")
    write_ct(out, 1, seed=3, follow_ups=False)
    write_us(out, 1, seed=3, size="tiny", kind="hcc")
    write_ceus(out, 1, seed=1, size="tiny")
    found = {}
    for file in sorted(file for file in (out / "studies").rglob("*") if file.is_file()):
        try:
            ds = pydicom.dcmread(file, stop_before_pixels=True)
        except pydicom.errors.InvalidDicomError:
            continue
        kind = "cine" if ds.Modality == "US" and ds.get("NumberOfFrames") else ds.Modality
        found.setdefault(kind, {}).setdefault(str(ds.SeriesInstanceUID), []).append(file)
    orthanc.store(file for series in found.values() for files in series.values() for file in files)
    return {kind: next(iter(series.items())) for kind, series in found.items()} | {"CT 2": list(found["CT"].items())[1]}


@pytest.fixture(scope="module")
def address(images, orthanc, tmp_path_factory):
    with served(
        orthanc.dicomweb_url, tmp_path_factory.mktemp("data"), app=APP, results="labels,classes", timeout_s=10
    ) as where:
        wait_for(lambda: requests.get(f"{where}/ready", timeout=10).status_code == 200)
        yield where


@pytest.fixture(scope="module")
def client(orthanc):
    client = PacsClient(PacsSpec(orthanc.dicomweb_url))
    yield client
    client.close()


def infer(address, model, image, output, **params):
    answer = requests.post(
        f"{address}/infer/{model}",
        params={"image": image, "output": output},
        data={"params": json.dumps({**OHIF, **params})},
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    return answer


def save(address, image, name, content, **params):
    files = {"label": (name, content)}
    form = {"params": json.dumps({"client_id": "ann", **params})}
    answer = requests.put(f"{address}/datastore/label", params={"image": image}, files=files, data=form, timeout=60)
    assert answer.status_code == 200, answer.text


def sent(address, image):
    done = [one for one in told(address, state="sent")["results"] if f"/{image}/" in one["result"]]
    assert not [one for one in told(address)["results"] if one["state"] in ("refused", "left_out")]
    return done


def in_pacs(client, study, modality, folder):
    """Files of the results that Orthanc has of a study."""
    found = []
    for series in client.series({"Modality": modality}, study_uid=study):
        for one in client.instances(study, text(series, "SeriesInstanceUID")):
            uids = study, text(series, "SeriesInstanceUID"), text(one, "SOPInstanceUID")
            found.append(folder / f"{uids[2]}.dcm")
            found[-1].write_bytes(client.instance(*uids))
    return found


def file_of(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(("model", "kind"), [("ct_liver", "CT"), ("dsa_unet", "XA")])
def test_labels_are_segmentations_of_the_same_voxels(address, images, orthanc, client, tmp_path, tool, model, kind):
    uid, files = images[kind]
    source = DicomSource.read(files)
    answer = infer(address, model, uid, "image").content
    expected = read_labelmap(file_of(tmp_path, "label.nrrd", answer), like=source.grid)
    names = infer(address, model, uid, "json").json()["label_names"]
    assert complaints(tool, file_of(tmp_path, "answer.dcm", infer(address, model, uid, "dicom_seg").content)) == []

    orthanc.stop()  # the first tries find nobody
    save(address, uid, "label.nrrd", answer, model=model, params={"label_names": names})
    try:
        wait_for(lambda: told(address)["trouble"])
    finally:
        orthanc.start()
    requests.post(f"{address}/pacs/retry", timeout=30)
    wait_for(lambda: sent(address, uid))
    requests.post(f"{address}/pacs/retry", timeout=30)  # nothing is sent twice

    (file,) = in_pacs(client, str(source.datasets[0].StudyInstanceUID), "SEG", tmp_path)
    assert complaints(tool, file) == []
    own = read_dicom_seg(file, like=source.grid) if source.is_placed else read_cine_seg(file, source=source)
    for name, value in names.items():
        wanted = expected.array == value
        assert np.array_equal(own.array == own.names[name], wanted), name
    segments = read_seg_header(file).segments
    frames = [expected.array[k] == names[n] for n in segments.values() for k in range(source.grid.size[2])]
    shown = [frame for frame in frames if frame.any()]
    by_highdicom = hd.seg.segread(file).pixel_array.astype(bool)
    by_itk = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))).astype(bool)
    assert np.array_equal(sorted_frames(by_highdicom), sorted_frames(np.array(shown)))
    whole = by_itk.size // 8 * 8  # ITK leaves bits of a last byte that is not full to chance
    assert np.array_equal(by_itk.ravel()[:whole], by_highdicom.ravel()[:whole])


def sorted_frames(frames):
    """Frames in an order that does not depend on the file's."""
    frames = frames.reshape(-1, *frames.shape[-2:])
    return np.array(sorted(frames, key=lambda frame: frame.tobytes()))


def test_boxes_are_reports_of_the_same_boxes(address, images, client, tmp_path, tool):
    uid, files = images["CT"]
    source = DicomSource.read(files)
    markups = infer(address, "ct_centernet2d", uid, "image").content
    expected = read_rois(file_of(tmp_path, "boxes.json", markups))
    assert expected
    for output in ("dicom_sr", "dicom_sr_slices", "dicom_seg"):
        answer = file_of(tmp_path, "answer.dcm", infer(address, "ct_centernet2d", uid, output).content)
        assert complaints(tool, answer) == []
    save(address, uid, "boxes.mrk.json", markups, model="ct_centernet2d")
    study = str(source.datasets[0].StudyInstanceUID)
    reports = wait_for(lambda: len(there := in_pacs(client, study, "SR", tmp_path)) >= 2 and there)
    assert len(reports) == 2
    for file in reports:
        assert complaints(tool, file) == []
    (full,) = (file for file in reports if pydicom.dcmread(file).SOPClassUID == Comprehensive3DSRStorage)
    found = read_report(full, source)
    assert (found.by, found.algorithm.name) == ("ann", "ct_centernet2d")
    for one, other in zip(found.boxes, expected, strict=True):
        np.testing.assert_allclose(one.box, other.box, atol=1e-3)
        assert one.about["candidate"] == other.about["candidate"]


def about_series(file):
    return read_report_header(file).images


@pytest.mark.parametrize(("model", "kind"), [("us_bmode", "US"), ("us_ceus", "cine")])
def test_classes_are_reports_of_the_same_class(address, images, client, tmp_path, tool, model, kind):
    uid, files = images[kind]
    source = DicomSource.read(files[:1])
    about = infer(address, model, uid, "json", roi="40,50,80,90").json()
    answer = file_of(tmp_path, "answer.dcm", infer(address, model, uid, "dicom_sr", roi="40,50,80,90").content)
    assert complaints(tool, answer) == []
    assert read_report(answer, source).classes == {"diagnosis": about["result"]}
    empty = json.dumps({"markups": []}).encode()
    save(address, uid, "none.mrk.json", empty, classes={"diagnosis": "hcc"})
    study = str(source.datasets[0].StudyInstanceUID)  # both images' reports are in it
    (file,) = wait_for(lambda: [one for one in in_pacs(client, study, "SR", tmp_path) if uid in about_series(one)])
    assert complaints(tool, file) == []
    back = read_report(file, source)
    assert (dict(back.classes), back.by) == ({"diagnosis": "hcc"}, "ann")


def test_what_others_have_sent_is_read_by_a_server_that_knows_nothing_of_it(images, orthanc, tmp_path):
    uid, files = images["CT 2"]
    source = DicomSource.read(files)
    array = np.zeros(source.grid.shape, np.uint8)
    array[1, 2:9, 3:11] = array[5, 1:4, 2:5] = 1
    by_another(tmp_path / "seg.dcm", source, array, by="Dr. Else")
    box = tuple(from_voxels([[2, 4, 5, 4, 8, 11]], source.grid)[0].tolist())
    said = Statement(boxes=[ROI(box, "lesion", {"score": 0.9})], algorithm=Algorithm("other_model", "7"))
    image_reports(said, source)[""].save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    orthanc.store([tmp_path / "seg.dcm", tmp_path / "sr.dcm"])
    with served(orthanc.dicomweb_url, tmp_path / "data") as address:
        final = wait_for(lambda: label(address, uid, "final", tmp_path))
        assert np.array_equal(read_labelmap(final, like=source.grid).array, array)
        original = wait_for(lambda: label(address, uid, "original", tmp_path, ".mrk.json"))
        np.testing.assert_allclose(read_rois(original)[0].box, box, atol=1e-3)
