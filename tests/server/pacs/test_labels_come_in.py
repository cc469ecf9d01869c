"""Segmentations and reports of others that lie beside the images are their labels; what a reader here said stands."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pydicom
import requests
from typer.testing import CliRunner

from hepatic.boxes import from_voxels
from hepatic.io.dicom_image_report import SLICES, Statement, image_reports
from hepatic.io.dicom_segment import Algorithm
from hepatic.io.dicom_source import DicomSource
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import encode_labelmap, read_labelmap
from hepatic.io.markups import ROI, read_rois
from server.cli import app
from tests.importers.dicom_files import write_ct, write_seg
from tests.pacs.served import served as served_pacs

from .conftest import CT_SHAPE, by_another, label, results, served, told, wait_for

MODEL = Algorithm("other_model", "7")


def sparse(shape=CT_SHAPE):
    """Asymmetric, on slices that do not follow one another."""
    array = np.zeros(shape, np.uint8)
    array[1, 2:9, 3:11] = array[5, 1:4, 2:5] = 1
    return array


def info(address, image, tag):
    return requests.get(f"{address}/datastore/label/info", params={"label": image, "tag": tag}, timeout=30).json()


def of_run(studies):
    return DicomSource.read(next(studies.rglob("run.dcm")))


def test_what_lies_in_the_folder_is_read_to_the_voxel(tmp_path, studies, ct, ct_uid):
    source, run = DicomSource.read(ct), of_run(studies)
    in_order = sorted(ct.glob("*.dcm"), key=lambda f: pydicom.dcmread(f).ImagePositionPatient[2])
    write_seg(studies / "manual.dcm", in_order, {"Leber": sparse()})  # named in another language; its type says liver
    by_another(studies / "automatic.dcm", source, sparse()[::-1].copy(), algorithm=MODEL, names={"tumour": 1})
    frames = sparse(run.grid.shape)
    by_another(studies / "cine.dcm", run, frames, by="Dr. Run", names={"tumour": 1})
    other = write_ct(tmp_path / "elsewhere", patient="P7", study="1.2.7", shape=(8, 12, 14), z0=1.1)
    for file in other:
        ds = pydicom.dcmread(file)
        ds.SeriesInstanceUID, ds.FrameOfReferenceUID = ct_uid, source.frame_of_reference_uid
        ds.save_as(file)
    by_another(studies / "off.dcm", DicomSource.read(other), sparse((8, 12, 14)), names={"cyst": 1})
    run_uid = str(run.datasets[0].SeriesInstanceUID)
    with served(studies, "") as address:
        wait_for(lambda: label(address, run_uid, "final", tmp_path) and label(address, ct_uid, "original", tmp_path))
        final = wait_for(lambda: label(address, ct_uid, "final", tmp_path))
        assert np.array_equal(read_labelmap(final, like=source.grid).array, sparse())
        assert info(address, ct_uid, "final")["label_info"] == [{"name": "liver", "idx": 1}]
        original = label(address, ct_uid, "original", tmp_path)
        assert np.array_equal(read_labelmap(original, like=source.grid).array, sparse()[::-1])
        cine = label(address, run_uid, "final", tmp_path)
        assert np.array_equal(read_labelmap(cine, like=run.grid).array, frames)
        assert info(address, run_uid, "final")["author"] == "Dr. Run"
        assert "cyst" not in json.dumps(
            requests.get(f"{address}/datastore/", params={"output": "all"}, timeout=30).json()
        )


def test_a_report_s_boxes_are_markups_and_said_once(tmp_path, studies, ct, ct_uid):
    source = DicomSource.read(ct)
    box = tuple(from_voxels([[2, 4, 5, 4, 8, 11]], source.grid)[0].tolist())
    rois = [ROI(box, "lesion", {"score": 0.9})]
    documents = image_reports(Statement(boxes=rois, algorithm=MODEL), source)
    documents["by hand"] = image_reports(Statement(classes={"phase": "venous"}, boxes=rois, by="ann"), source)[""]
    assert set(documents) == {"", SLICES, "by hand"}
    for number, document in enumerate(documents.values()):
        document.save_as(studies / f"report{number}.dcm", enforce_file_format=True)
    with served(studies, "") as address:
        found = wait_for(lambda: label(address, ct_uid, "original", tmp_path, ".mrk.json"))
        (roi,) = read_rois(found)
        np.testing.assert_allclose(roi.box, box, atol=1e-3)
        assert roi.about["score"] == 0.9
        final = wait_for(lambda: label(address, ct_uid, "final", tmp_path, ".mrk.json"))
        np.testing.assert_allclose(read_rois(final)[0].box, box, atol=1e-3)
        assert (info(address, ct_uid, "final")["author"], info(address, ct_uid, "final")["classes"]) == (
            "ann", {"phase": "venous"},
        )  # fmt: skip
        assert {info(address, ct_uid, tag)["version"] for tag in ("original", "final")} == {1}


def test_a_reader_s_label_is_not_replaced_and_a_corrected_one_goes_back(tmp_path, studies, ct, ct_uid, pacs, pacs_url):
    source = DicomSource.read(ct)
    mine = np.zeros(CT_SHAPE, np.uint8)
    mine[3, 3:6, 3:6] = 1
    file = {"label": ("label.nrrd", encode_labelmap(".nrrd", Labelmap(mine, source.grid)))}
    with served(studies, pacs_url, "labels") as address:
        forged = {"pacs": {"sop_uid": "1.2", "series_uid": "1.3", "version": 1, "tracking": []}}  # as if it were found
        said = {"params": json.dumps(forged)}
        requests.put(f"{address}/datastore/label", params={"image": ct_uid}, data=said, files=file, timeout=30)
        of_it = {"label": ct_uid, "tag": "final"}
        requests.put(
            f"{address}/datastore/label/info", params=of_it, data={"info": json.dumps(forged)}, timeout=30
        ).raise_for_status()
        assert "pacs" not in info(address, ct_uid, "final")
        wait_for(lambda: told(address)["counts"]["sent"] == 1)
        ours = results(pacs, "SEG")[0]
        ours.save_as(studies / "came back.dcm", enforce_file_format=True)  # what this server sent itself
        by_another(studies / "theirs.dcm", source, sparse(), by="Dr. Else")
        address.app.state.services.host.datastore.refresh()
        other = wait_for(lambda: label(address, ct_uid, "pacs", tmp_path))
        assert np.array_equal(read_labelmap(other, like=source.grid).array, sparse())
        assert info(address, ct_uid, "pacs")["author"] == "Dr. Else"
        final = label(address, ct_uid, "final", tmp_path)
        assert np.array_equal(read_labelmap(final, like=source.grid).array, mine)
        assert info(address, ct_uid, "final")["version"] == info(address, ct_uid, "pacs")["version"] == 1
        assert told(address)["counts"]["sent"] == 1, "what was found is not sent back"


def test_what_lies_in_the_pacs_is_read_without_fetching_the_images(tmp_path, studies, ct, ct_uid, pacs, pacs_url):
    source, run = DicomSource.read(ct), of_run(studies)
    pacs.take(by_another(tmp_path / "seg.dcm", source, sparse(), by="Dr. Else"))
    pacs.take(by_another(tmp_path / "cine.dcm", run, sparse(run.grid.shape), by="Dr. Run"))
    run_uid = str(run.datasets[0].SeriesInstanceUID)
    with served_pacs(pacs_url, tmp_path / "data", results="labels") as address:
        wait_for(lambda: label(address, run_uid, "final", tmp_path))
        final = wait_for(lambda: label(address, ct_uid, "final", tmp_path))
        assert np.array_equal(read_labelmap(final, like=source.grid).array, sparse())
        assert info(address, ct_uid, "final")["author"] == "Dr. Else"
        fetched = [path for path in pacs.asked if ct_uid in path and "metadata" not in path and "?" not in path]
        assert fetched == []
        assert told(address)["counts"]["sent"] == 0


def test_what_was_read_before_an_upgrade_is_not_sent_as_ours(
    tmp_path, studies, ct, ct_uid, pacs, pacs_url, monkeypatch
):
    monkeypatch.setattr("server.pacs.results._SETTLED_S", 0.0)
    by_another(studies / "theirs.dcm", DicomSource.read(ct), sparse(), by="Dr. Else")
    with served(studies, "") as address:
        wait_for(lambda: label(address, ct_uid, "final", tmp_path))
        data = address.app.state.services.spec.data_dir
    for file in data.glob("inbox.sqlite*"):
        file.unlink()
    with served(studies, pacs_url, "labels") as address:
        services = address.app.state.services
        head = services.host.datastore.store.labels.latest(ct_uid, "final")
        results_of = services.pacs._results
        assert [one.result for one in results_of._due()] == [], "whether it was looked at by now or not"
        wait_for(lambda: services.pacs._inbox.is_found(head))
        assert [one.result for one in results_of._due()] == []
        assert results(pacs, "SEG") == []


def test_what_is_no_object_is_passed_over(tmp_path, studies, ct_uid):
    for number, content in enumerate([b"", b"\0" * 132, b"no DICOM"]):
        (studies / f"odd{number}.dcm").write_bytes(content)
    seg = by_another(studies / "half.dcm", DicomSource.read(studies / "ct"), sparse())
    seg.write_bytes(seg.read_bytes()[:-60])
    with served(studies, "") as address:
        services = address.app.state.services
        inbox = services.spec.data_dir / "inbox.sqlite"
        with closing(sqlite3.connect(inbox)) as connection:
            seen = "SELECT key, outcome FROM seen"
            assert wait_for(lambda: connection.execute(seen).fetchall()) == [("half.dcm", "left")]
        unread = told(address)["unread"]
        assert unread["counts"] == {"left": 1, "later": 0, "waits": 0}
        assert [(one["object"], one["state"], bool(one["reason"])) for one in unread["objects"]] == [
            ("half.dcm", "left", True)
        ]
        command = CliRunner().invoke(app, ["pacs", "status", "--server", address], env={"COLUMNS": "300"})
        assert "1 left where they are" in command.output
        assert "half.dcm" in command.output
        assert "1 left where they are" in requests.get(address, timeout=30).text
        assert label(address, ct_uid, "final", tmp_path) is None
