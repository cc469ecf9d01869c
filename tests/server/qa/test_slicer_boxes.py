"""A label of boxes that is saved over HTTP, as 3D Slicer does, is a reading of its study."""

import dataclasses

import pytest
import requests

from hepatic.harvest.study import Phase
from hepatic.io.markups import ROI, encode_rois
from server.app import create_app
from server.running import running
from tests.harvest.proposed import box, proposed
from tests.server.qa.conftest import QA
from tests.server.qa.test_loop import QA_APP, ended, loop, reviewed, studies  # noqa: F401
from tests.store.studies import write_ct_slice


def saved(loop, person, image, *rois):  # noqa: F811
    return requests.put(
        f"{loop['address']}/datastore/label?image={image}",
        files={"label": ("boxes.json", encode_rois(rois))},
        headers={"Authorization": person._session.headers["Authorization"]},
        timeout=30,
    )


@pytest.mark.parametrize(
    ("rois", "reason"),
    [([ROI(box(9000))], "does not lie within the study"), ([], "No box is left")],
    ids=["far", "none"],
)
def test_what_the_review_does_not_take_is_told_and_the_label_is_kept(loop, reviewed, rois, reason):  # noqa: F811
    anna = loop["Anna"]
    [image] = loop["app"].state.services.harvest.store.review("1.2.3.12").study.image_ids.values()
    answer = saved(loop, anna, image, *rois)
    assert answer.status_code == 409
    assert reason in answer.json()["detail"]
    assert "The label is saved" in answer.json()["detail"]
    kept = requests.get(
        f"{loop['address']}/datastore/label?label={image}&tag=final",
        headers={"Authorization": anna._session.headers["Authorization"]},
        timeout=30,
    )
    assert len(kept.json()["markups"]) == len(rois)


def test_boxes_of_a_study_that_another_reads_are_kept_and_are_no_reading(loop, reviewed):  # noqa: F811
    assert loop["Anna"].lease("1.2.3.12").status_code == 200
    [image] = loop["app"].state.services.harvest.store.review("1.2.3.12").study.image_ids.values()
    answer = saved(loop, loop["Viktor"], image, ROI(box(10)))
    assert answer.status_code == 409
    assert "another reader has at the moment" in answer.json()["detail"]
    assert "The label is saved" in answer.json()["detail"]
    assert loop["Viktor"].ask("GET", "/studies/1.2.3.12").json()["readings"] == []


def test_saved_boxes_are_the_verdicts_of_who_saved_them(loop, reviewed):  # noqa: F811
    viktor = loop["Viktor"]
    ended(loop, viktor.ask("POST", "/propose", json={"studies": ["1.2.3.11"]}).json())
    review = loop["app"].state.services.harvest.store.review("1.2.3.11")
    [first, _] = review.study.candidates
    about = {"candidate": first.uid, "shown": [one.uid for one in review.study.candidates]}
    [image] = review.study.image_ids.values()
    answer = saved(loop, viktor, image, ROI(first.box, about=about), ROI(box(75)))
    assert answer.status_code == 200, answer.text
    [reading] = viktor.ask("GET", "/studies/1.2.3.11").json()["readings"]
    assert sorted(reading["verdicts"].values()) == ["false", "true"]
    assert (reading["missed"], reading["finished"], len(reading["boxes"])) == (True, True, 1)
    assert QA in viktor.ask("GET", "/queue").url


def test_where_nobody_logs_in_boxes_from_the_page_are_its_reader_s(tmp_path, request):
    write_ct_slice(tmp_path / "0.dcm", series="1.2.3.1", study="1.2.3", patient="P", k=0)
    app = create_app(request.config.rootpath / QA_APP, tmp_path, auth=False, score_in_background=False)
    with running(app) as address:
        store = app.state.services.harvest.store
        [image] = app.state.services.host.datastore.list_images()
        store.proposals.add(dataclasses.replace(proposed(), image_ids={Phase.VENOUS: image}))
        assert requests.post(f"{address}{QA}/lease", json={}, timeout=30).ok
        boxes = requests.get(f"{address}{QA}/studies/1.2.3/boxes", timeout=30).content
        answer = requests.put(
            f"{address}/datastore/label?image={image}",
            files={"label": ("boxes.json", boxes)},
            data={"params": '{"client_id": "user-xyz"}'},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        [reading] = store.review("1.2.3").readings
    assert (reading.reader, bool(reading.finished)) == ("reader", True)
