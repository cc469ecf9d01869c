"""Burnt-in text over HTTP: what is held, what would be blacked out, who lets it leave, and who holds it again."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image

from hepatic.errors import ConflictError
from hepatic.io.burnt_in import propose_mask
from hepatic.io.read import read
from hepatic.io.ultrasound import to_grey

API = "/quarantine/api/v1/images"


@pytest.fixture
def still(ultrasound, cases_app):
    """A picture that is held."""
    image, held = ultrasound["others"][0], cases_app.state.services.held
    yield image
    if held.one(image)["state"] == "approved":
        held.withdraw(image, by="test")


def listed(person, **query):
    answer = person.ask("GET", API, params=query)
    assert answer.status_code == 200
    return {one["image_id"]: one for one in answer.json()["images"]}


def leaves(cases_app, image):
    return cases_app.state.services.host.datastore.files_to_leave(image)


def test_what_may_have_text_is_listed_until_it_is_approved(people, still, cases_app):
    assert listed(people["Rita"])[still]["said"] == "yes"
    approved = people["Viktor"].ask("PUT", f"{API}/{still}/approval", json={"boxes": [[10, 12, 30, 20]]})
    assert approved.status_code == 200
    assert approved.json()["by"] == "Viktor"
    assert still not in listed(people["Rita"])
    assert listed(people["Rita"], all=True)[still]["approval"]["boxes"] == [[10, 12, 30, 20]]
    (copy,) = leaves(cases_app, still)
    made = pydicom.dcmread(copy)
    assert made.BurnedInAnnotation == "NO"
    assert not made.pixel_array[12:20, 10:30].any()

    assert people["Viktor"].ask("DELETE", f"{API}/{still}/approval").status_code == 200
    assert still in listed(people["Rita"])
    with pytest.raises(ConflictError):
        leaves(cases_app, still)
    assert people["Viktor"].ask("DELETE", f"{API}/{still}/approval").status_code == 404


def test_the_picture_shows_in_red_what_would_be_black(people, still, cases_app):
    path = cases_app.state.services.host.image_path(still)
    cine = read(path)
    grey = to_grey(cine.frames, cine.bits_stored)
    mask = propose_mask(grey, cine.regions)
    told = people["Rita"].ask("GET", f"{API}/{still}").json()
    assert told["proposal"]["share"] == pytest.approx(mask.mean())
    answer = people["Rita"].ask("GET", f"{API}/{still}/proposal.png")
    assert answer.headers["cache-control"] == "no-store"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)))
    red = shown[..., 0] > shown[..., 1]
    assert np.array_equal(red, mask & (grey.max(axis=0) < 110))
    assert np.array_equal(shown[..., 1], grey.max(axis=0)), "what is under it can still be read"


def test_letting_a_picture_leave_takes_a_reviewer(people, still):
    for name in ("Rita", "Anna"):
        assert people[name].ask("PUT", f"{API}/{still}/approval", json={}).status_code == 403
        assert people[name].ask("DELETE", f"{API}/{still}/approval").status_code == 403
    assert listed(people["Rita"])[still]["state"] == "held"


@pytest.mark.parametrize(
    "body", [{"boxes": [[0, 0, 9000, 20]]}, {"boxes": [[30, 10, 20, 20]]}, {"boxes": [[-1, 0, 5, 5]]}]
)
def test_a_box_beside_the_picture_is_refused_and_nothing_leaves(people, still, body):
    assert people["Viktor"].ask("PUT", f"{API}/{still}/approval", json=body).status_code == 422
    assert listed(people["Rita"])[still]["state"] == "held"


def test_a_picture_without_text_leaves_as_it_is(people, still, cases_app):
    assert people["Viktor"].ask("PUT", f"{API}/{still}/approval", json={"as_is": True}).json()["as_is"] is True
    assert leaves(cases_app, still) == [cases_app.state.services.host.image_path(still)]


def test_the_page_is_served_with_its_parts(people):
    assert "Burnt-in text" in people["Rita"].ask("GET", "/quarantine").text
    for part in ("main.js", "quarantine.css"):
        assert people["Rita"].ask("GET", f"/quarantine/web/{part}").status_code == 200
    assert people["Rita"].ask("GET", "/quarantine/web/nothing.js").status_code == 404
    assert people["Rita"].ask("GET", f"{API}/nobody").status_code == 404
