"""A label of boxes that is saved over HTTP, as 3D Slicer does, is a reading of its study."""

import requests

from hepatic.io.markups import ROI, encode_rois
from tests.harvest.proposed import box
from tests.server.qa.conftest import QA
from tests.server.qa.test_loop import ended, loop, reviewed, studies  # noqa: F401


def test_saved_boxes_are_the_verdicts_of_who_saved_them(loop, reviewed):  # noqa: F811
    viktor = loop["Viktor"]
    ended(loop, viktor.ask("POST", "/propose", json={"studies": ["1.2.3.11"]}).json())
    review = loop["app"].state.services.harvest.store.review("1.2.3.11")
    [first, _] = review.study.candidates
    content = encode_rois([ROI(first.box, about={"candidate": first.uid}), ROI(box(75))])
    [image] = review.study.image_ids.values()
    headers = {"Authorization": viktor._session.headers["Authorization"]}
    saved = requests.put(
        f"{loop['address']}/datastore/label?image={image}",
        files={"label": ("boxes.json", content)},
        headers=headers,
        timeout=30,
    )
    assert saved.status_code == 200, saved.text
    [reading] = viktor.ask("GET", "/studies/1.2.3.11").json()["readings"]
    assert sorted(reading["verdicts"].values()) == ["false", "true"]
    assert (reading["missed"], reading["finished"], len(reading["boxes"])) == (True, True, 1)
    assert QA in viktor.ask("GET", "/queue").url
