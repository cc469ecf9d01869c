"""A DICOMweb server with a CT series, an XA series of two runs and a still of ultrasound in it."""

import numpy as np
import pytest
from pydicom.uid import UltrasoundImageStorage, generate_uid

from hepatic.pacs.client import PacsClient
from hepatic.pacs.spec import PacsSpec
from tests.pacs.fake_pacs import FakePacs, serving
from tests.store.studies import _dataset, _write, write_ct_slice, write_xa_run


class Uids:
    """Of what is in it."""

    study, ct, xa, us = (generate_uid() for _ in range(4))


@pytest.fixture(scope="session")
def pacs_files(tmp_path_factory):
    """The files by name."""
    folder = tmp_path_factory.mktemp("pacs")
    for k in range(3):
        write_ct_slice(folder / f"ct{k}.dcm", series=Uids.ct, study=Uids.study, k=k)
    for n in range(2):
        write_xa_run(folder / f"xa{n}.dcm", series=Uids.xa, study=Uids.study, frames=5 + n)
    still = _dataset(UltrasoundImageStorage, series=Uids.us, study=Uids.study, patient="P1")
    still.Modality = "US"
    _write(still, folder / "us.dcm", np.zeros((4, 4), np.uint16))
    return {path.name: path for path in sorted(folder.iterdir())}


@pytest.fixture
def pacs(pacs_files):
    fake = FakePacs()
    for file in pacs_files.values():
        fake.take(file)
    return fake


@pytest.fixture
def pacs_url(pacs):
    with serving(pacs) as url:
        yield url


@pytest.fixture
def client(pacs_url):
    client = PacsClient(PacsSpec(pacs_url, silence_s=0.5))
    yield client
    client.close()
