"""A study that was read at /qa goes to the PACS as reports and a segmentation, and again when what is known changes."""

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from hepatic.boxes import from_voxels
from hepatic.harvest.export.structured_report import VERDICT
from hepatic.harvest.study import Candidate, Phase, Proposal, ProposedStudy
from hepatic.io.dicom_report_read import read_report
from hepatic.io.dicom_source import DicomSource
from tests.dicom_validator import complaints
from tests.harvest.proposed import read_all

from .conftest import results, served, told, wait_for

STUDY = "1.2.7"


@pytest.fixture
def proposed(ct, ct_uid):
    """What a model of some hash proposes on the CT: a lesion and something that is none."""
    grid = DicomSource.read(ct).grid

    def by(model_hash, *uids):
        found = []
        for uid, voxels in zip(uids, ([1, 3, 4, 4, 8, 10], [5, 9, 12, 7, 13, 17]), strict=True):
            box = tuple(from_voxels([voxels], grid)[0].tolist())
            lineage = (Proposal(Phase.VENOUS, box, 0.7),)
            found.append(Candidate(uid, box, 0.7, lineage, "ct_centernet3d", model_hash, voxels[0] + 1))
        return ProposedStudy(
            STUDY, "P7", Phase.VENOUS, {Phase.VENOUS: ct_uid}, tuple(found), grid.size,
            tuple(map(tuple, grid.affine.tolist())), (), "c" * 64,
        )  # fmt: skip

    return by


def test_verdicts_are_sent_when_a_study_is_done_and_replaced_when_they_change(
    tmp_path, studies, ct, pacs, pacs_url, proposed, tool
):
    source = DicomSource.read(ct)
    with served(studies, pacs_url, "reviews") as address:
        store = address.app.state.services.harvest.store
        store.proposals.add(proposed("a" * 64, "2.25.1", "2.25.2"))
        read_all(store, "Rita", STUDY, c1="true")
        wait_for(lambda: told(address)["counts"]["sent"] == 1)
        store.proposals.add(proposed("b" * 64, "2.25.8", "2.25.9"))  # a new model finds the same boxes
        wait_for(lambda: told(address)["counts"]["sent"] == 2)

    files = {}
    for dataset in (*results(pacs, "SR"), *results(pacs, "SEG")):
        file = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(file)
        assert complaints(tool, file) == []
        files.setdefault(str(dataset.SOPClassUID), []).append(file)
    spatial, flat = files[Comprehensive3DSRStorage], files[ComprehensiveSRStorage]
    assert (len(spatial), len(flat)) == (2, 2)
    first, second = (pydicom.dcmread(file) for file in spatial)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    before = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert before.ReferencedSOPInstanceUID == first.SOPInstanceUID
    found = read_report(spatial[0], source)
    assert found.by == "Rita"
    np.testing.assert_allclose(found.boxes[0].box, from_voxels([[1, 3, 4, 4, 8, 10]], source.grid)[0], atol=1e-3)
    groups = hd.sr.srread(spatial[0]).content.get_volumetric_roi_measurement_groups()
    said = {group.tracking_uid: _verdict(group) for group in groups}
    assert said == {"2.25.1": "True", "2.25.2": "False"}
    masks = hd.seg.segread(files[pydicom.uid.SegmentationStorage][0])
    assert masks.pixel_array.sum() == 3 * 5 * 6


def _verdict(group):
    return next(one.value.meaning for one in group.get_qualitative_evaluations() if one.name.value == VERDICT.value)
