"""A study is reviewed in 3D Slicer: candidates fetched, judged with Slicer's own code, saved with its client."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import requests

from server.app import create_app
from server.running import running
from tests.slicer import connected, secret_of
from tests.store.studies import write_ct_slice

from .conftest import ROOT

pytestmark = pytest.mark.viewer

STUDY = "1.2.3.11"
QA = "/qa/api/v1"
ADDED_LPS = (60.0, 40.0, 15.0)


@pytest.fixture
def proposed_study(tmp_path):
    """A server on which a detector has just proposed a study, and what an annotator is let in with."""
    for k in range(3):
        file = tmp_path / "studies" / STUDY / f"{k}.dcm"
        write_ct_slice(file, series=f"{STUDY}.1", study=STUDY, patient="P11", k=k)
    app = create_app(ROOT / "tests" / "qa_app", tmp_path / "studies", auth=True, score_in_background=False)
    with running(app) as address:
        services = app.state.services
        services.jobs.wait(services.harvest_jobs.propose([STUDY]).id, 300)
        yield address, services.harvest.store, secret_of(app, "annotator")


def in_slicer(python, given, saved):
    """Remove the first box, move the second by a millimetre, add one, and save as the MONAI Label extension does."""
    place = ",".join(str(value) for value in np.array(ADDED_LPS) * [-1, -1, 1])
    script = Path(__file__).with_name("slicer_rois.py")
    command = [python, script, given, saved, place]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]


def test_what_is_removed_moved_and_added_in_slicer_is_false_true_and_missed(proposed_study, slicer_python, tmp_path):
    address, store, secret = proposed_study
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {secret}"
    boxes = f"{address}{QA}/studies/{STUDY}/boxes"
    assert session.get(boxes, timeout=30).status_code == 409, "nobody has begun to read it"
    leased = session.post(f"{address}{QA}/lease", json={"study": STUDY}, timeout=30).json()["study"]
    answer = session.get(boxes, timeout=30)
    assert answer.headers["content-disposition"] == 'attachment; filename="candidates.mrk.json"'
    assert "score" not in answer.text
    (tmp_path / "candidates.mrk.json").write_bytes(answer.content)

    in_slicer(slicer_python, tmp_path / "candidates.mrk.json", tmp_path / "saved.json")
    client = connected(address, tmp_path, secret)
    image = leased["image_ids"][leased["reference"]]
    client.save_label(image, str(tmp_path / "saved.json"), params={"label_info": []})

    first, second = (card["candidate"] for card in sorted(leased["cards"], key=lambda card: card["order"]))
    proposed = {one.uid: np.array(one.box) for one in store.review(STUDY).study.candidates}
    reading = store.reviews.reading(STUDY, "reader-1")
    assert {uid: str(one.verdict) for uid, one in reading.verdicts.items()} == {first: "false", second: "true"}
    assert reading.corrected[second] == pytest.approx(proposed[second] - [1, 0, 0, 1, 0, 0])
    [drawn] = reading.boxes
    assert drawn.box == pytest.approx((58, 38, 13, 62, 42, 17))
    assert reading.missed
    assert reading.finished.device == "slicer"

    (tmp_path / "none.json").write_text('{"markups": []}')
    with pytest.raises(Exception, match="No box is left"):  # what Slicer's module shows to its user
        client.save_label(image, str(tmp_path / "none.json"), params={"label_info": []})
    assert store.reviews.reading(STUDY, "reader-1").boxes == [drawn]
