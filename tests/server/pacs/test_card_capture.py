"""What a reader is shown of a candidate, as a DICOM secondary capture for who asks for it."""

import io
from dataclasses import replace

import numpy as np
import pydicom
import requests
from PIL import Image

from tests.dicom_validator import complaints
from tests.viewers.qa_studies import put, study

from .conftest import served


def test_a_card_is_a_secondary_capture_in_the_study_of_its_series(tmp_path, studies, ct, ct_uid, pacs, pacs_url, tool):
    prepared, made = study(1, without=("delayed",))
    made = replace(made, image_ids=dict.fromkeys(made.image_ids, ct_uid))
    before = set(pacs.instances)
    with served(studies, pacs_url, "labels,reviews,classes") as address:
        put(address.app, (prepared, made))
        card = f"{address}/qa/api/v1/studies/{made.study_uid}/candidates/{made.candidates[0].uid}/card"
        answer = requests.get(f"{card}.dcm", timeout=30)
        assert answer.headers["content-type"] == "application/dicom", answer.text
        assert answer.headers["cache-control"] == "no-store"
        drawn = np.asarray(Image.open(io.BytesIO(requests.get(f"{card}.png", timeout=30).content)))
        assert requests.get(f"{card[:-9]}.2.25.99/card.dcm", timeout=30).status_code == 404
    file = tmp_path / "card.dcm"
    file.write_bytes(answer.content)
    assert complaints(tool, file) == []
    found = pydicom.dcmread(file)
    assert np.array_equal(found.pixel_array, drawn)
    assert found.StudyInstanceUID == pydicom.dcmread(next(ct.iterdir())).StudyInstanceUID
    assert set(pacs.instances) == before, "it is sent nowhere"
