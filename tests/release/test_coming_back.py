"""What has left without its patients comes back with its labels, by the import of DICOM folders."""

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.train import HepaticTrainTask
from hepatic.adapters.training_cases import cases_for
from hepatic.boxes import from_voxels
from hepatic.engine.eligibility import ELIGIBLE, NOTE
from hepatic.engine.weights import Registry
from hepatic.harvest.propose_classes import Classified, propose_classes
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study import Candidate, Phase, ProposedStudy
from hepatic.importers.dicom import DATA_SET, cases
from hepatic.importers.keep import keep
from hepatic.io.grid import grid_of
from hepatic.io.header import header
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap, write_labelmap
from hepatic.io.markups import ROI, encode_rois, read_rois
from hepatic.io.refusal import NotAnImageError
from hepatic.release.leaving import Leaving
from hepatic.release.quarantine import Quarantine
from hepatic.store.folder import FolderStore
from infer_tasks.us_bmode import TASK as US_BMODE
from sample_data import us
from server.cli import app
from tests.dicom_validator import complaints
from tests.harvest.classified import name
from tests.harvest.proposed import decide, finish
from tests.importers.dicom_files import write_ct
from tests.runs import write_run
from train_tasks.us_bmode import RECIPE


@pytest.fixture
def studies(tmp_path):
    """Make a store in a folder of the name."""
    made = []

    def make(name):
        (tmp_path / name).mkdir(exist_ok=True)
        made.append(FolderStore(tmp_path / name, header=header, not_images=(NotAnImageError,)))
        made[-1].rescan()
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_labels_of_scans_runs_and_stills_come_back(tmp_path, studies) -> None:
    write_ct(tmp_path / "site" / "ct")
    write_run(tmp_path / "site" / "run.dcm", frames=4)
    us.write_us(tmp_path / "site", 1, seed=5, size="tiny", kind="cyst")
    site, drawn = studies("site"), {}
    for image in site.images.all():
        grid = grid_of(site.source(image.id))
        array = np.zeros(grid.shape, np.uint8)
        array[-1, 2:9, 3:11], array[-1, 4:6, 5:8] = 1, 2
        label = tmp_path / "label.seg.nrrd"
        write_labelmap(label, Labelmap(array, grid, {"liver": 1, "tumour": 2}))
        site.labels.save(image.id, "final", label, author="Hanselmayer")
        if image.modality == "US":  # pictures with a rim of text are held
            Quarantine(site).approve(image.id, by="Dr. K")
        drawn[image.modality] = array
    (tmp_path / "out").mkdir()
    leaving = Leaving(site)
    for case in site.labelled_cases("final"):
        leaving.export(site.images.get(case.image_id), tmp_path / "out", label=case)

    other = studies("other")
    outcomes = [keep(other, DATA_SET, case) for case in cases(tmp_path / "out")]
    assert [(one.image, one.label, one.why) for one in outcomes] == [("added", "added", "")] * 3
    found = {other.images.get(case.image_id).modality: case for case in other.labelled_cases("final")}
    assert found.keys() == drawn.keys() == {"CT", "XA", "US"}
    for modality, array in drawn.items():
        labels = read_labelmap(found[modality].label, like=grid_of(found[modality].source))
        np.testing.assert_array_equal(labels.array, array)
        assert labels.names == {"liver": 1, "tumour": 2}


def test_classes_and_boxes_of_readers_come_back_as_theirs_and_train(tmp_path, studies, tool) -> None:
    write_ct(tmp_path / "site" / "ct")
    us.write_us(tmp_path / "site", 4, seed=5, size="tiny")
    site, told = studies("site"), {}
    for number, image in enumerate(site.images.all()):
        grid = grid_of(site.source(image.id))
        k, j, i = np.array(grid.shape) // 2
        box = grid.affine[:3] @ np.array([[i - 3, j - 4, k - 0.5, 1], [i + 5, j + 2, k + 0.5, 1]]).T
        box = tuple(np.concatenate([box.min(axis=1), box.max(axis=1)]).tolist())
        classes = {"diagnosis": "hcc" if number % 2 else "non_hcc", NOTE: ELIGIBLE} if image.modality == "US" else {}
        about = {"candidate": "1.2.826.0.1.77", "score": 0.5} if not classes else {}
        (tmp_path / "label.mrk.json").write_bytes(encode_rois([ROI(box, "lesion of Aloisia", about)]))
        info = {"classes": classes} if classes else {"boxes_known": "positives_only"}
        by = {"author": "Hanselmayer"} if classes else {"model": "ct_centernet3d", "model_hash": "a" * 64}
        site.labels.save(image.id, "final", tmp_path / "label.mrk.json", info=info, **by)
        if classes:
            Quarantine(site).approve(image.id, by="Dr. K")
        told[Leaving(site).by.pseudonyms.image(image.id)] = (box, classes)

    run = ["deidentify", "export", str(tmp_path / "out"), "--studies", str(tmp_path / "site")]
    assert CliRunner().invoke(app, run).exit_code == 0
    reports = [file for file in (tmp_path / "out").rglob("*.dcm") if pydicom.dcmread(file).Modality == "SR"]
    assert len(reports) == len(told) == 5
    for file in reports:
        assert complaints(tool, file) == []
        assert pydicom.dcmread(file).PatientIdentityRemoved == "YES"
        assert not any(secret in file.read_bytes() for secret in (b"Hanselmayer", b"Aloisia", b"1.2.826.0.1.77"))

    again = [*("import", "dicom", str(tmp_path / "out")), "--studies", str(tmp_path / "again"), "--deidentify"]
    for run in (["import", "dicom", str(tmp_path / "out"), "--studies", str(tmp_path / "other")], again):
        said = CliRunner().invoke(app, run)
        assert (said.exit_code, "left out" in said.output) == (0, False), said.output
    again = studies("again").images.all(modality="US")
    assert sorted(one.info["diagnosis"] for one in again) == ["hcc", "hcc", "non_hcc", "non_hcc"]
    assert {one.info[NOTE] for one in again} == {classes[NOTE] for _, classes in told.values() if classes}
    other = studies("other")
    reader = Leaving(site).by.pseudonyms.person("Hanselmayer").rstrip("^")
    for case in other.labelled_cases("final"):
        box, classes = told.pop(case.image_id)
        (roi,) = read_rois(case.label)
        np.testing.assert_allclose(roi.box, box, atol=0.01)
        assert other.labels.latest(case.image_id, "final").author == (reader if classes else "DICOM")
        assert case.label_info["boxes_known"] == ("complete" if classes else "positives_only")
        noted = other.images.get(case.image_id).info
        assert {note: noted[note] for note in ("diagnosis", NOTE) if note in noted} == classes
        assert roi.about.get("score") == (None if classes else 0.5)
    assert told == {}
    datastore = HepaticDatastore(tmp_path / "other", auto_rescan_seconds=None)
    assert len([case for case in cases_for(US_BMODE, datastore) if case.label is not None]) == 4
    trainer = HepaticTrainTask(RECIPE, Registry(tmp_path / "models"), tmp_path / "runs")
    assert trainer({"max_epochs": 1}, datastore)["epoch"] == 1
    datastore.store.close()


def proposed_by(model, scan, uids, boxes, grid):
    """A study as a model of a name proposes it."""
    found = [Candidate(*one, 0.7, (), "ct_centernet3d", model * 64, 2) for one in zip(uids, boxes, strict=True)]
    phases = {Phase.VENOUS: scan.id}
    lattice = (grid.size, tuple(map(tuple, grid.affine.tolist())))
    return ProposedStudy(scan.study_uid, scan.patient_id, Phase.VENOUS, phases, tuple(found), *lattice, (), "c" * 64)


def test_verdicts_and_classes_of_reviews_come_back(tmp_path, studies, tool) -> None:
    for number in (1, 2):
        write_ct(tmp_path / "site" / f"ct{number}", patient=f"P{number}", study=f"1.2.9.{number}")
    us.write_us(tmp_path / "site", 1, seed=5, size="tiny")
    site = studies("site")
    still, scans = (site.images.all(modality=kind) for kind in ("US", "CT"))
    Quarantine(site).approve(still[0].id, by="Dr. K")
    reviews = ReviewStore(site.data / "harvest")
    boxes = []
    for scan, verdict in zip(scans, ("true", "false"), strict=True):
        grid = grid_of(site.source(scan.id))
        found = [tuple(box) for box in from_voxels([[1, 3, 4, 3, 7, 8], [2, 5, 2, 4, 9, 5]], grid).tolist()]
        uids = [f"{scan.study_uid}.7.{number}" for number in range(2)]
        reviews.proposals.add(proposed_by("a", scan, uids, found, grid))
        assert reviews.lease("Hanselmayer", scan.study_uid) is not None
        finish(reviews, "Hanselmayer", decide(uids[0], verdict, scan.study_uid), study=scan.study_uid)
        boxes.append(found[:1] if verdict == "true" else [])
        reviews.proposals.add(
            proposed_by("b", scan, [f"{scan.study_uid}.8.{number}" for number in range(2)], found, grid)
        )
    seen = [Classified(still[0].id, grid_of(site.source(still[0].id)), {"hcc": 0.4, "cyst": 0.6})]
    card = propose_classes(
        still[0].study_uid, still[0].patient_id, seen, classes=("hcc", "cyst"), note="lesion_type", model="us_fll",
        model_hash="a" * 64,
    )  # fmt: skip
    reviews.proposals.add(card)
    name(reviews, "Hanselmayer", "hcc", study=still[0].study_uid)
    reviews.close()
    (tmp_path / "label.mrk.json").write_bytes(encode_rois([]))
    said = {"classes": {NOTE: "moves_too_much"}}
    site.labels.save(still[0].id, "final", tmp_path / "label.mrk.json", author="Hanselmayer", info=said)

    export = ["deidentify", "export", str(tmp_path / "out"), "--studies", str(tmp_path / "site")]
    said = CliRunner().invoke(app, export)
    assert said.exit_code == 0, said.output
    reports = [file for file in (tmp_path / "out").rglob("*.dcm") if pydicom.dcmread(file).Modality == "SR"]
    assert len(reports) == 4
    for file in reports:
        assert complaints(tool, file) == []
        assert b"Hanselmayer" not in file.read_bytes()
    run = ["import", "dicom", str(tmp_path / "out"), "--studies", str(tmp_path / "other")]
    said = CliRunner().invoke(app, run)
    assert (said.exit_code, "left out" in said.output) == (0, False), said.output
    other, names = studies("other"), Leaving(site).by.pseudonyms
    noted = other.images.get(names.image(still[0].id)).info
    assert (noted["lesion_type"], noted[NOTE]) == ("hcc", "moves_too_much")
    for scan, truth in zip(scans, boxes, strict=True):
        (case,) = other.labelled_cases("final", only=[names.image(scan.id)])
        np.testing.assert_allclose([roi.box for roi in read_rois(case.label)], truth, atol=0.01)
        assert case.label_info["boxes_known"] == "complete"

    assert CliRunner().invoke(app, export).exit_code == 0
    assert series_of_reports(tmp_path / "out") == {pydicom.dcmread(file).SeriesInstanceUID for file in reports}
    said = {"classes": {NOTE: "moves_too_much", "lesion_type": ""}}
    site.labels.save(still[0].id, "final", tmp_path / "label.mrk.json", author="Hanselmayer", info=said)
    export[2] = str(tmp_path / "without")
    assert CliRunner().invoke(app, export).exit_code == 0
    assert len(series_of_reports(tmp_path / "without")) == 3


def series_of_reports(folder):
    read = (pydicom.dcmread(file, stop_before_pixels=True) for file in folder.rglob("*.dcm"))
    return {one.SeriesInstanceUID for one in read if one.Modality == "SR"}
