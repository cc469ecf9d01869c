"""What of an ultrasound study is asked for when one of its images is examined."""

import pydicom
import pytest
from pydicom.uid import generate_uid

from hepatic.engine import eligibility
from hepatic.harvest.noted_class import examined
from hepatic.io.header import header
from hepatic.io.refusal import NotAnImageError
from hepatic.pacs.error import PacsError
from hepatic.store.folder import FolderStore
from sample_data.ceus import write_ceus

STILLS = 4


@pytest.fixture
def study(tmp_path):
    """A study of a cine that shows both modes, and stills."""
    write_ceus(tmp_path / "ceus", 1, seed=3, size="tiny")
    files = sorted((tmp_path / "ceus" / "studies").rglob("*.dcm"), key=lambda file: -file.stat().st_size)
    cine, still = (pydicom.dcmread(file) for file in files)
    folder = tmp_path / "studies"
    folder.mkdir()
    cine.save_as(folder / "cine.dcm")
    for number in range(STILLS):
        still.SOPInstanceUID = still.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        still.save_as(folder / f"still{number}.dcm")
    store = FolderStore(folder, header=header, not_images=(NotAnImageError,))
    store.rescan()
    yield store
    store.close()


def image(store, *, cine):
    return next(one.id for one in store.images.all() if (one.size[2] > 1) == cine)


def shown(store, image_id):
    flags = {flag.flag for flag in examined(store, image_id, {"diagnosis": None}).flags}
    return flags & {"no_b_mode", "no_contrast"}


@pytest.fixture
def asked(study, monkeypatch):
    asked, source = [], study.source
    monkeypatch.setattr(study, "source", lambda image_id: asked.append(image_id) or source(image_id))
    return asked


def test_of_a_cine_that_shows_both_modes_no_other_image_is_asked_for(study, asked):
    cine = image(study, cine=True)
    assert shown(study, cine) == set()
    assert asked == [cine]


def test_of_a_still_the_cine_is_asked_for_before_other_stills(study, asked):
    still = image(study, cine=False)
    assert shown(study, still) == set()
    assert asked == [still, image(study, cine=True)]


def test_the_stills_of_a_study_without_a_cine_are_each_read_once_for_one_another(study, monkeypatch):
    (study.root / "cine.dcm").unlink()
    study.rescan()
    read, real = [], eligibility.read
    monkeypatch.setattr(eligibility, "read", lambda path: read.append(path) or real(path))
    stills = [one.id for one in study.images.all() if one.size[2] == 1]
    assert len(stills) == STILLS
    for still in stills:
        assert shown(study, still) == {"no_contrast"}
    assert len(read) == STILLS, "beside each as it is examined itself"


def test_an_image_that_the_pacs_refuses_is_no_reason_against_another(study, monkeypatch):
    still, source = image(study, cine=False), study.source

    def refusing(image_id):
        if image_id != still:
            raise PacsError(502, "The DICOM server does not give it", answered=500)
        return source(image_id)

    monkeypatch.setattr(study, "source", refusing)
    assert shown(study, still) == set()
