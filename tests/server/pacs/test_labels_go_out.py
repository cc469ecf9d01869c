"""Labels that readers save in 3D Slicer become DICOM objects in the PACS, if that is asked for."""

import json

import highdicom as hd
import numpy as np
import pytest
import requests
from typer.testing import CliRunner

from hepatic.boxes import from_voxels
from hepatic.io.dicom_report_read import read_report
from hepatic.io.dicom_seg_read import read_dicom_seg
from hepatic.io.dicom_source import DicomSource
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import encode_labelmap
from hepatic.io.markups import ROI, encode_rois
from server.cli import app
from tests.dicom_validator import complaints
from tests.slicer import connected

from .conftest import CT_SHAPE, results, served, told, wait_for


def asymmetric(number=0):
    array = np.zeros(CT_SHAPE, np.uint8)
    array[1:5, 2:9, 3:11] = 1
    array[2:4, 4:6, 5 : 8 + number] = 2
    return array


def save(address, folder, image, array, grid, **params):
    """Save a labelmap with 3D Slicer's own client."""
    file = folder / "label.nrrd"
    file.write_bytes(encode_labelmap(".nrrd", Labelmap(array, grid)))
    about = {"label_info": [{"name": "liver", "idx": 1}, {"name": "tumour", "idx": 2}], **params}
    return connected(address, folder).save_label(image, str(file), params=about)


def saved(dataset, folder):
    file = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(file)
    return file


def sent(address, count):
    return wait_for(lambda: told(address)["counts"]["sent"] == count)


def test_a_label_is_a_segmentation_with_a_history(tmp_path, studies, ct, ct_uid, pacs, pacs_url, tool):
    source = DicomSource.read(ct)
    with served(studies, pacs_url, "labels") as address:
        save(address, tmp_path, ct_uid, asymmetric(), source.grid)
        sent(address, 1)
        save(address, tmp_path, ct_uid, asymmetric(1), source.grid, model="toy_boxes")
        sent(address, 2)
        assert [one["state"] for one in told(address)["results"]] == ["sent", "sent"]
        requests.delete(f"{address}/datastore/label", params={"id": ct_uid, "tag": "final"}, timeout=30)
    first, second = (saved(one, tmp_path) for one in results(pacs, "SEG"))
    for file, number in ((first, 0), (second, 1)):
        assert complaints(tool, file) == []
        found = read_dicom_seg(file, like=source.grid)
        assert found.names == {"liver": 1, "tumour": 2}
        assert np.array_equal(found.array, asymmetric(number))
    one, two = hd.seg.segread(first), hd.seg.segread(second)
    assert one.SeriesInstanceUID == two.SeriesInstanceUID
    assert (one.InstanceNumber, two.InstanceNumber) == (1, 2)
    assert (two.ContentLabel, two.ContentDescription) == ("VERSION_2", "Version 2, replaces the one before")
    assert (str(one.ContentCreatorName), str(two.ContentCreatorName)) == ("reader-1^", "reader-1^")
    assert [s.SegmentAlgorithmType for s in (one.SegmentSequence[0], two.SegmentSequence[0])] == [
        "MANUAL", "SEMIAUTOMATIC",
    ]  # fmt: skip
    assert one.SegmentSequence[1].TrackingUID == two.SegmentSequence[1].TrackingUID


def test_boxes_and_classes_are_reports_that_say_who(tmp_path, studies, ct, ct_uid, pacs, pacs_url, tool):
    source = DicomSource.read(ct)
    box = tuple(from_voxels([[2, 4, 5, 4, 8, 11]], source.grid)[0].tolist())
    files = {"label": ("boxes.mrk.json", encode_rois([ROI(box, "lesion")]))}
    params = {"classes": {"phase": "venous"}, "client_id": "ann"}
    with served(studies, pacs_url, "labels,classes") as address:
        answer = requests.put(
            f"{address}/datastore/label",
            params={"image": ct_uid},
            files=files,
            data={"params": json.dumps(params)},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        sent(address, 1)
    reports = [saved(one, tmp_path) for one in results(pacs, "SR")]
    assert len(reports) == 2, "in space, and on the key slice for OHIF"
    for file in reports:
        assert complaints(tool, file) == []
    found = read_report(reports[0], source)
    assert (found.by, dict(found.classes)) == ("ann", {"phase": "venous"})
    np.testing.assert_allclose(found.boxes[0].box, box, atol=1e-3)


def test_nothing_is_written_unless_asked_for(tmp_path, studies, ct, ct_uid, pacs, pacs_url):
    source = DicomSource.read(ct)
    before = set(pacs.instances)
    with served(studies, pacs_url) as address:
        save(address, tmp_path, ct_uid, asymmetric(), source.grid)
        with pytest.raises(AssertionError, match="does not happen"):
            wait_for(lambda: any(told(address)["counts"].values()), 6)
        assert told(address)["sends"] == []
        assert set(pacs.instances) == before
        assert not any(path.startswith("/studies/") for path in pacs.asked), "nor is it asked for anything"

        asked = CliRunner().invoke(app, ["pacs", "send", ct_uid, "--server", address])
        assert asked.exit_code == 0, asked.output
        sent(address, 1)
    (new,) = set(pacs.instances) - before
    assert pacs.instances[new][1].Modality == "SEG"


def test_a_pacs_that_is_down_or_refuses_is_told_of_and_gets_it_later(tmp_path, studies, ct, ct_uid, pacs, pacs_url):
    source = DicomSource.read(ct)
    pacs.trouble = {"instances": "failing"}
    with served(studies, pacs_url, "labels") as address:
        save(address, tmp_path, ct_uid, asymmetric(), source.grid)
        wait_for(lambda: told(address)["trouble"])
        assert told(address)["counts"]["waiting"] == 1
        wait_for(lambda: "(500)" in told(address)["results"][0]["reason"])
        assert requests.get(f"{address}/ready", timeout=10).status_code == 200, "and the server keeps serving"
        pacs.trouble = {"store": "refused"}
        requests.post(f"{address}/pacs/retry", timeout=30)
        wait_for(lambda: "out of resources" in told(address)["results"][0]["reason"])
        assert told(address)["trouble"] == ""
        pacs.trouble = {}
        assert requests.post(f"{address}/pacs/retry", timeout=30).json() == {"tried_again": 1}
        sent(address, 1)
        command = CliRunner().invoke(app, ["pacs", "status", "--server", address])
        assert command.exit_code == 0, command.output
        assert "1 sent" in command.output
        page = requests.get(address, timeout=30).text
        assert "Sent to the PACS" in page
        assert "1 sent" in page
    assert len(results(pacs, "SEG")) == 1


def test_what_cannot_be_sent_is_a_clear_answer(tmp_path, studies, pacs_url):
    with served(studies, pacs_url) as address:
        for body, status in (({"image": "nobody"}, 404), ({"image": ""}, 404), ({}, 422)):
            assert requests.post(f"{address}/pacs/send", json=body, timeout=30).status_code == status
        assert requests.get(f"{address}/pacs/", params={"state": "lost"}, timeout=30).status_code == 422


def test_without_a_pacs_nothing_is_written_down(tmp_path, studies):
    with served(studies, "", "labels") as address:
        assert told(address)["pacs"] is False
        answer = requests.post(f"{address}/pacs/retry", timeout=30)
        assert answer.status_code == 422
        assert "HEPATIC_DICOMWEB_URL" in answer.json()["detail"]
    assert not list(studies.rglob("outbox.sqlite"))
