"""What goes wrong with one object that is found keeps no other; what may work later is tried again."""

import logging
from concurrent.futures import Future
from contextlib import closing

import numpy as np
import pydicom
import pytest
from pydicom.uid import XRayRadiationDoseSRStorage, generate_uid

import infer_tasks
from hepatic.boxes import from_voxels
from hepatic.io.content import content_hash
from hepatic.io.dicom_image_report import Statement, image_reports
from hepatic.io.dicom_source import DicomSource
from hepatic.io.header import header
from hepatic.io.markups import ROI, read_rois
from hepatic.io.refusal import NotAnImageError
from hepatic.pacs import inbox as record
from hepatic.pacs.error import nonsense
from hepatic.pacs.inbox import Inbox
from hepatic.pacs.spec import PacsSpec
from hepatic.pacs.store import PacsStore
from hepatic.store.disk import StorageError
from hepatic.store.folder import FolderStore
from hepatic.tasks.discover import discover_tasks
from sample_data.us import write_us
from server.pacs import found as module
from server.pacs.found import FoundLabels
from server.slot import RemoteError, WorkerLostError, WorkTimeoutError
from tests.importers.dicom_files import write_ct

from .conftest import by_another


class Direct:
    """An executor that does the work at once, or fails as it is told; in order."""

    def __init__(self):
        self.failures = []

    def submit(self, work, *args, **options):
        done = Future()
        if self.failures:
            done.set_exception(self.failures.pop(0))
        else:
            try:
                done.set_result(work(*args))
            except Exception as failure:
                done.set_exception(failure)
        return done


class Reading:
    """What is found beside the images of a store."""

    def __init__(self, store, folder):
        self.store, self.executor, self.app, self.datastore = store, Direct(), self, self
        self.inbox, self.tasks = Inbox(folder / "inbox.sqlite"), discover_tasks(infer_tasks)
        self.found = FoundLabels(self, self.executor, ours=lambda uids: set(), inbox=self.inbox, scratch=folder)

    def round(self):
        """Look at everything there is to look at now, and go round again once."""
        self.store.rescan()
        for _ in range(2):
            while self.found.look():
                pass

    @property
    def outcomes(self):
        with self.inbox._database.read() as connection:
            rows = connection.execute("SELECT key, outcome FROM seen WHERE key LIKE '%/%' OR key LIKE '%.dcm'")
            return {key.rpartition("/")[2]: outcome for key, outcome in rows}

    def label(self, image_id, tag="final"):
        return self.store.labels.latest(image_id, tag)

    def has(self, image_id, tag="final"):
        return tag in self.store.labels.tags(image_id)


@pytest.fixture
def at_once(monkeypatch):
    """No pause between rounds, nor before anything is tried again."""
    monkeypatch.setattr(module, "is_shared", lambda datastore: True)
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    monkeypatch.setattr(record, "_PAUSES_S", (-1.0,) * 5)


@pytest.fixture
def in_pacs(tmp_path, pacs_url, at_once):
    spec = PacsSpec(pacs_url)
    store = PacsStore(spec, data=tmp_path / "data", header=header, content=content_hash)
    reading = Reading(store, tmp_path)
    with closing(store), closing(reading.inbox):
        yield reading


@pytest.fixture
def in_folder(tmp_path, studies, at_once):
    store = FolderStore(studies, header=header, not_images=(NotAnImageError,))
    reading = Reading(store, tmp_path)
    with closing(store), closing(reading.inbox):
        yield reading


@pytest.fixture
def two(tmp_path, ct, pacs):
    """Segmentations of the CT by two, in the PACS; the SOPInstanceUIDs, in the order in which they are read."""
    source, mask = DicomSource.read(ct), np.zeros((8, 16, 20), np.uint8)
    uids = []
    for number in (1, 2):
        mask[number, 2:9, 3:11] = 1
        uids.append(pacs.take(by_another(tmp_path / f"{number}.dcm", source, mask, by=f"Dr. {number}")))
    series = {uid: str(pacs.instances[uid][1].SeriesInstanceUID) for uid in uids}
    return sorted(uids, key=series.get)


@pytest.mark.parametrize("kind", ["gone", "failing", "truncated", "half", "another", "html", "locked", "elsewhere"])
def test_an_object_that_cannot_be_fetched_keeps_no_other_and_is_left_in_the_end(in_pacs, pacs, two, ct_uid, kind):
    bad, good = two
    pacs.trouble[bad] = kind
    in_pacs.round()
    assert in_pacs.outcomes == {bad: "later", good: "read"}
    for _ in range(3):
        in_pacs.round()
    assert in_pacs.outcomes == {bad: "left", good: "read"}
    asked = len(pacs.asked)
    in_pacs.round()
    assert not [path for path in pacs.asked[asked:] if path.endswith(bad)], "it is not asked for again"
    assert in_pacs.has(ct_uid)


def test_what_comes_back_is_read(in_pacs, pacs, two, ct_uid):
    bad, good = two
    pacs.trouble[bad] = "failing"
    in_pacs.round()
    del pacs.trouble[bad]
    in_pacs.round()
    assert in_pacs.outcomes == {bad: "read", good: "read"}
    assert in_pacs.has(ct_uid)
    assert in_pacs.has(ct_uid, "pacs")


def test_a_series_that_cannot_be_listed_keeps_no_other(in_pacs, pacs, two, ct_uid):
    bad, good = two
    in_pacs.store.rescan()
    instances = in_pacs.store.client.instances
    series = str(pacs.instances[bad][1].SeriesInstanceUID)

    def ask(study_uid, series_uid):
        if series_uid == series:
            raise nonsense("it lists nothing of use")
        return instances(study_uid, series_uid)

    in_pacs.store.client.instances = ask
    in_pacs.round()
    assert in_pacs.outcomes == {good: "read"}
    in_pacs.store.client.instances = instances
    in_pacs.round()
    assert in_pacs.outcomes == {bad: "read", good: "read"}


def test_what_is_gone_from_the_pacs_is_told_no_more(in_pacs, pacs, two):
    bad, good = two
    pacs.trouble[bad] = "failing"
    in_pacs.round()
    assert in_pacs.inbox.unread_counts()["later"] == 1
    del pacs.instances[bad]
    in_pacs.store.rescan()  # of one list it may be missing by chance
    in_pacs.round()
    assert in_pacs.inbox.unread_counts() == {"left": 0, "later": 0, "waits": 0}
    assert in_pacs.outcomes == {good: "read"}


def test_a_report_of_a_dose_is_not_told_and_what_is_gone_no_more(in_folder, studies, ct):
    mask = np.ones((8, 16, 20), np.uint8)
    dose, half = (by_another(studies / name, DicomSource.read(ct), mask) for name in ("dose.dcm", "half.dcm"))
    ds = pydicom.dcmread(dose)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = XRayRadiationDoseSRStorage
    ds.save_as(dose)
    half.write_bytes(half.read_bytes()[:-60])
    in_folder.round()
    assert in_folder.outcomes == {"dose.dcm": "other", "half.dcm": "left"}
    assert [one.key for one in in_folder.inbox.unread(limit=9)] == ["half.dcm"]
    half.unlink()
    in_folder.round()
    assert in_folder.outcomes == {"dose.dcm": "other"}
    assert in_folder.inbox.unread(limit=9) == []


def test_a_pacs_that_is_down_uses_up_no_try(in_pacs, pacs, two):
    in_pacs.store.rescan()
    pacs.trouble |= {"search": "locked", "instances": "locked", "file": "locked"}
    for _ in range(10):
        in_pacs.found.look()
    assert in_pacs.outcomes == {}
    pacs.trouble.clear()
    in_pacs.round()
    assert set(in_pacs.outcomes.values()) == {"read"}


FAILURES = [
    WorkerLostError("it died"),
    WorkTimeoutError("too long"),
    StorageError("full"),
    RemoteError("OSError", "Zauber"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_lost_worker_is_no_verdict_on_what_it_read(in_folder, studies, ct, ct_uid, failure, caplog):
    by_another(studies / "seg.dcm", DicomSource.read(ct), np.ones((8, 16, 20), np.uint8), by="Dr. Else")
    in_folder.executor.failures.append(failure)
    caplog.set_level(logging.INFO)
    in_folder.store.rescan()
    in_folder.found.look()
    assert in_folder.outcomes == {"seg.dcm": "later"}
    assert "Zauber" not in caplog.text
    assert type(failure).__name__ in caplog.text
    in_folder.round()
    assert in_folder.outcomes == {"seg.dcm": "read"}
    assert in_folder.has(ct_uid)


def test_odd_headers_are_left_out_and_not_told(in_pacs, pacs, tmp_path, ct, ct_uid, caplog):
    source = DicomSource.read(ct)
    pacs.take(by_another(tmp_path / "seg.dcm", source, np.ones((8, 16, 20), np.uint8), by="Dr. Else"))
    caplog.set_level(logging.DEBUG)
    metadata = in_pacs.store.client.metadata

    def odd(*uids):
        found = metadata(*uids)
        found[0].PatientName, found[0].PatientID = "ZAUBER^EDE", "ZAUBER"
        found[0].add_new(0x00100040, "CS", "zauber?")
        if pacs.trouble:
            found[0].add_new(0x00280010, "US", 70000)
        return found

    in_pacs.store.client.metadata = odd
    pacs.trouble["nothing else"] = "odd"
    in_pacs.round()
    assert "later" in in_pacs.outcomes.values()
    assert "70000" not in caplog.text
    assert "DICOM does not allow" in caplog.text
    pacs.trouble.clear()
    in_pacs.round()
    assert in_pacs.has(ct_uid)
    assert "zauber" not in caplog.text.lower()


@pytest.mark.parametrize("is_settled", [False, True])
def test_what_does_not_fit_a_series_that_is_still_arriving_is_tried_again(in_pacs, pacs, two, ct_uid, is_settled):
    slices = {uid: found for uid, found in pacs.instances.items() if str(found[1].SeriesInstanceUID) == ct_uid}
    late = sorted(slices, key=lambda uid: slices[uid][1].ImagePositionPatient[2])[1:3]
    for uid in late:
        del pacs.instances[uid]
    in_pacs.store.is_settled = lambda study_uid: is_settled
    in_pacs.round()
    assert set(in_pacs.outcomes.values()) == {"left" if is_settled else "later"}
    pacs.instances |= slices
    in_pacs.round()
    assert set(in_pacs.outcomes.values()) == {"left" if is_settled else "read"}


def test_a_segment_of_a_still_named_as_a_class_is_noted_and_is_not_sent_back(in_folder, studies, tmp_path):
    write_us(tmp_path / "us", 1, seed=3, size="tiny", kind="hcc")
    still = next((tmp_path / "us" / "studies").rglob("*.dcm")).rename(studies / "still.dcm")
    source = DicomSource.read(still)
    mask = np.zeros(source.grid.shape, np.uint8)
    mask[0, 20:60, 20:60] = 1
    by_another(studies / "seg.dcm", source, mask, by="Dr. Else", names={"metastasis": 1})
    in_folder.round()
    (image,) = in_folder.store.images.all(series_uid=str(source.datasets[0].SeriesInstanceUID))
    found = in_folder.label(image.id)
    assert image.info["lesion_type"] == found.info["classes"]["lesion_type"] == "metastasis"
    assert in_folder.inbox.is_found(found)


# Several images


def other_phase(folder, ct):
    """Another series of the CT's study, in the same frame of reference."""
    uid = generate_uid()
    for file in write_ct(folder, patient="P7", study="1.2.7", shape=(8, 16, 20)):
        ds = pydicom.dcmread(file)
        ds.SeriesInstanceUID = uid
        ds.save_as(file)
    return uid


def of_both(path, sources, classes):
    """A report with a box on a slice, and a class, of each of two series."""
    reports = []
    for number, (source, name) in enumerate(zip(sources, classes, strict=True)):
        box = tuple(from_voxels([[2 + number, 4, 5, 4 + number, 8, 11]], source.grid)[0].tolist())
        said = Statement(classes={"phase": name}, boxes=[ROI(box, "lesion")], by="Dr. Else")
        reports.append(image_reports(said, source)[""])
    first, second = reports
    measured, others = (
        next(one for one in report.ContentSequence if one.ConceptNameCodeSequence[0].CodeValue == "126010")
        for report in reports
    )
    measured.ContentSequence.extend(others.ContentSequence)
    evidence = second.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    first.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence.extend(evidence)
    first.save_as(path, enforce_file_format=True)


def test_each_image_that_a_report_is_about_gets_its_own_label_when_it_is_there(
    in_folder, studies, ct, ct_uid, tmp_path
):
    other_uid = other_phase(tmp_path / "later", ct)
    sources = [DicomSource.read(ct), DicomSource.read(tmp_path / "later")]
    of_both(studies / "both.dcm", sources, ["arterial", "venous"])
    in_folder.round()
    assert in_folder.outcomes == {"both.dcm": "waits"}
    in_folder.store.labels.save(ct_uid, "final", in_folder.store.labels.path(in_folder.label(ct_uid)), author="ann")
    (tmp_path / "later").rename(studies / "later")
    in_folder.round()
    assert in_folder.outcomes == {"both.dcm": "read"}
    mine, other = in_folder.store.labels.history(ct_uid, "final")[0], in_folder.label(other_uid)
    assert (mine.info["classes"], other.info["classes"]) == ({"phase": "arterial"}, {"phase": "venous"})
    boxes = [read_rois(in_folder.store.labels.path(one)) for one in (mine, other)]
    assert [len(one) for one in boxes] == [1, 1]
    assert boxes[0][0].box[2] < boxes[1][0].box[2]
    assert in_folder.store.labels.tags(ct_uid) == ["final"], "what a reader corrected meanwhile is not said again"
    assert len(in_folder.store.labels.history(ct_uid, "final")) == 2


def test_what_waits_costs_nothing_until_its_image_comes(in_pacs, pacs, two, ct, ct_uid, tmp_path):
    other_phase(tmp_path / "other", ct)
    for file in (tmp_path / "other").iterdir():
        pacs.take(file)
    images = {uid: found for uid, found in pacs.instances.items() if str(found[1].SeriesInstanceUID) == ct_uid}
    for uid in images:
        del pacs.instances[uid]
    in_pacs.round()
    assert set(in_pacs.outcomes.values()) == {"waits"}
    asked = len(pacs.asked)
    in_pacs.round()
    assert not [path for path in pacs.asked[asked:] if path.endswith(tuple(two))]
    pacs.instances |= images
    in_pacs.round()
    assert set(in_pacs.outcomes.values()) == {"read"}


def test_thousands_of_results_cost_a_question_each(in_pacs, pacs, two):
    questions = []
    new = in_pacs.inbox.new
    in_pacs.inbox.new = lambda found: questions.append(list(found)) or new(questions[-1])
    in_pacs.store.rescan()
    while in_pacs.found.look():
        pass
    assert [len(one) for one in questions] == [2, 1, 1], "the whole list once, then the instances of each series"
