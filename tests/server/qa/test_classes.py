"""Ultrasound images whose classes readers name: proposed by a classifier, judged, then labels of the datastore."""

import csv
import io
import json
import time
import uuid
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from hepatic.harvest.snapshots import check_snapshot
from hepatic.settings import settings
from sample_data.ceus import write_ceus
from sample_data.us import write_us
from server.access.access import tokens_dir
from server.access.token import Tokens
from server.app import create_app
from server.cli import app as cli
from server.jobs.table import JobRunningError
from server.running import running
from tests.harvest.proposed import decide, event

from .conftest import PEOPLE, Person

ROOT = Path(__file__).parents[3]
KIND = {"kind": "classification"}


@pytest.fixture(scope="module")
def us_app(tmp_path_factory):
    """Our own app over three stills and a patient with still and cine; locked. What arrives is proposed by itself."""
    out = tmp_path_factory.mktemp("us")
    write_us(out, 3, seed=3, size="tiny")
    write_ceus(out, 1, seed=1, size="tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEPATIC_REQUEST_LIMIT", "")
        patch.setattr("server.services._LOOK_S", 0.2)
        settings.cache_clear()
        app = create_app(ROOT / "apps" / "hepatic", out / "studies", auth=True, score_in_background=False)
        settings.cache_clear()
        tokens = Tokens(tokens_dir(settings().data_dir(out / "studies")))
        secrets = {name: tokens.create(name, role, expires=None)[1] for name, role in PEOPLE.items()}
        with running(app) as where:
            people = {name: Person(where, secret) for name, secret in secrets.items()}
            jobs = app.state.services.jobs.table
            until(lambda: jobs.jobs(kind="propose", states=("succeeded",)))
            job = people["Viktor"].ask("POST", "/propose", json={"model": "us_ceus"}).json()
            until(lambda: jobs.get(job["id"]).state == "succeeded")
            yield app, people


def until(condition, limit_s=60):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def people(us_app):
    return us_app[1]


@pytest.fixture
def services(us_app):
    return us_app[0].state.services


def noted(services, image, note="lesion_type"):
    return services.cases.store.images.get(image).info.get(note)


def history(services, image):
    return [(one.author, one.removed) for one in services.cases.store.labels.history(image, "final")]


def still(person):
    """Lease the next study of one still; return it with its only image."""
    study = person.ask("POST", "/lease", json={}, params=KIND).json()["study"]
    return study, study["cards"][0]["candidate"]


def image_of(services, study):
    return services.harvest.store.review(study["study_uid"]).study.candidates[0].image_id


def test_studies_that_arrive_are_proposed_by_themselves_by_the_classifier_that_needs_no_box(services):
    *_, first = services.jobs.table.jobs(kind="propose")
    assert (first.asked_by, first.spec["model"], first.items_done) == ("", "us_fll", 4)
    reviews = services.harvest.store.reviews_of("classification").values()
    assert sorted(one.study.note for one in reviews) == ["diagnosis", *["lesion_type"] * 4]


def test_a_named_class_is_the_final_label_of_its_image_until_it_is_taken_back(people, services):
    anna = people["Anna"]
    study, candidate = still(anna)
    image, uid = image_of(services, study), study["study_uid"]
    end = event("finish", uid)
    answer = anna.send(decide(candidate, "cyst", uid), end)
    assert [one["status"] for one in answer.json()["results"]] == ["stored"] * 2
    assert noted(services, image) == "cyst"
    (label,) = services.cases.store.labels.history(image, "final")
    assert (label.author, label.info["classes"]) == ("Anna", {"lesion_type": "cyst"})

    anna.send(event("undo", uid, of=end["id"]))
    assert (noted(services, image) or "", history(services, image)[-1]) == ("", ("Anna", True))
    anna.send(decide(candidate, "fnh", uid), event("finish", uid))
    assert noted(services, image) == "fnh"


def test_what_is_said_on_the_case_page_afterwards_stands(people, services):
    anna = people["Anna"]
    study, candidate = still(anna)
    image, uid = image_of(services, study), study["study_uid"]
    anna.send(decide(candidate, "hcc", uid), event("finish", uid))
    seen = services.cases.store.labels.latest(image, "final").version
    note = services.harvest.store.review(uid).study.note
    other = next(name for name in study["classes"] if name != "hcc")
    body = {"seen": seen, "classes": {note: other}}
    where = f"/../../../cases/api/v1/images/{image}/reading"
    assert people["Viktor"].ask("PUT", where, json=body).status_code == 200
    services.class_labels.keep_all()
    assert noted(services, image, note) == other
    anna.send(event("reopen", uid))
    assert noted(services, image, note) == other
    anna.send(event("finish", uid))


def test_nothing_of_the_model_is_told_before_the_decision(people, services):
    study, _ = still(people["Otto"])
    layout = people["Otto"].ask("GET", f"/studies/{study['study_uid']}/layout").text
    model = services.harvest.store.review(study["study_uid"]).study.candidates[0]
    for text in (str(study), layout):
        assert "probabilities" not in text
        assert model.model_hash not in text
        assert str(model.score) not in text
    assert set(study["classes"]) == set(model.probabilities)


def test_what_a_reader_alone_names_is_a_reading_and_trains_but_is_no_label(people, services):
    otto = people["Otto"]
    study, _ = still(otto)
    image, uid = image_of(services, study), study["study_uid"]
    before, note = history(services, image), services.harvest.store.review(uid).study.note
    rest = [decide(card["candidate"], study["classes"][1], uid) for card in study["cards"]]
    assert otto.send(*rest, event("finish", uid)).json()["results"][-1]["status"] == "stored"
    services.class_labels.keep_all()
    assert history(services, image) == before
    assert not noted(services, image, note)
    taken = services.harvest_training.snapshot("us_fll")
    held = {(one["image_id"], one["note"]): one for one in check_snapshot(taken.file)["labels"]}
    assert held[image, note]["name"] == study["classes"][1]
    refused = people["Otto"].ask("PUT", f"/../../../cases/api/v1/images/{image}/reading", json={"seen": 0})
    assert refused.status_code == 403, "nor on the case page"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (lambda uid, image: decide(image, "true", uid), "cannot be said of that"),
        (lambda uid, image: decide(image, "HCC", uid), "cannot be said of that"),
        (lambda uid, image: event("box", uid, box=[0, 0, 0, 1, 1, 1]), "case page"),
        (lambda uid, image: event("primary", uid, image), "case page"),
    ],
)
def test_what_no_image_can_be_is_refused(people, said, reason):
    study, candidate = still(people["Anna"])
    (result,) = people["Anna"].send(said(study["study_uid"], candidate)).json()["results"]
    assert result["status"] == "refused"
    assert reason in result["reason"]


def test_a_class_is_no_verdict_on_a_lesion(people, services):
    from tests.harvest.proposed import proposed

    services.harvest.store.proposals.add(proposed("1.2.77"))
    people["Otto"].lease("1.2.77")
    (result,) = people["Otto"].send(decide("2.25.1", "hcc", "1.2.77")).json()["results"]
    assert (result["status"], "say true, false, unsure" in result["reason"]) == ("refused", True)


def picture(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_a_cine_is_shown_by_its_key_frames_and_frame_by_frame(people, services):
    reviews = services.harvest.store.reviews_of("classification").values()
    cine = next(one for one in reviews if one.study.note != "lesion_type")
    candidate = cine.study.candidates[0]
    anna, where = people["Anna"], f"/studies/{cine.uid}"
    card = anna.ask("GET", f"{where}/layout").json()["cards"][candidate.uid]
    assert [key["name"] for key in card["keys"]] == ["onset", "arterial", "portal venous", "late"]
    shown = [key for key in card["keys"] if key["frame"] is not None]
    assert abs(shown[1]["time_s"] - 20) < 1
    grid = picture(anna.ask("GET", f"{where}/candidates/{candidate.uid}/card.png"))
    wide, high = grid.shape[1] // 2, grid.shape[0] // 2
    one = {"frame": shown[1]["frame"]}
    frame = picture(anna.ask("GET", f"{where}/candidates/{candidate.uid}/card.png", params=one))
    assert frame.shape[:2] == (card["size"][1], card["size"][0])
    arterial, onset = grid[:high, wide:], grid[:high, :wide]
    assert arterial.mean() > onset.mean()
    beyond = anna.ask("GET", f"{where}/candidates/{candidate.uid}/card.png", params={"frame": card["frames"]})
    assert beyond.status_code == 404


def test_a_reviewer_settles_the_class_that_readers_were_unsure_of(people, services):
    rita, viktor = people["Rita"], people["Viktor"]
    study, candidate = still(rita)
    uid = study["study_uid"]
    rest = [decide(card["candidate"], "unsure", uid) for card in study["cards"]]
    rita.send(*rest, event("finish", uid))
    image = next(c.image_id for c in services.harvest.store.review(uid).study.candidates if c.uid == candidate)
    note = services.harvest.store.review(uid).study.note
    assert not noted(services, image, note)
    asked = {one["candidate"]: one["image"] for one in viktor.ask("GET", "/adjudication").json()["candidates"]}
    assert asked[candidate] == image
    for verdict, now in (("false", ""), (study["classes"][0], study["classes"][0])):
        body = {"id": str(uuid.uuid4()), "study": uid, "candidate": candidate, "verdict": verdict}
        told = viktor.ask("POST", "/adjudication", json=body).json()
        assert (told["state"], told["verdict"]) == ("adjudicated", verdict)
        assert (noted(services, image, note) or "") == now


def test_a_training_of_a_classifier_takes_a_snapshot_of_the_labels_and_learns_from_that(people, services, monkeypatch):
    asked = []

    def busy(request, **_):
        asked.append(request)
        raise JobRunningError("the job", expected="no other", came="one that runs", fix="Wait for it.")

    monkeypatch.setattr(services.training, "submit", busy)
    viktor, store = people["Viktor"], services.cases.store
    image = services.cases.images()[0].id
    seen = len(store.labels.history(image, "final"))
    body = {"seen": seen, "classes": {"lesion_type": "fnh"}}
    assert people["Anna"].ask("PUT", f"/../../../cases/api/v1/images/{image}/reading", json=body).status_code == 200
    assert viktor.ask("POST", "/train", json={"model": "us_fll", "max_epochs": 1}).status_code == 429
    assert viktor.ask("POST", "/../../../train/us_fll", json={"snapshot": "/etc/passwd"}).status_code == 429
    taken = services.harvest.store.snapshots.latest()
    assert asked == [
        {"model": "us_fll", "max_epochs": 1, "snapshot": taken.sha256},
        {"model": "us_fll", "snapshot": taken.sha256},
    ]
    held = {(one["image_id"], one["note"]): one for one in check_snapshot(taken.file)["labels"]}
    assert held[image, "lesion_type"]["name"] == "fnh"
    for one in held.values():
        [last] = store.labels.history(one["image_id"], "final")[-1:] or [None]
        assert one["label"] == (last and {"version": last.version, "sha256": last.sha256, "names": {}})
    assert "us_fll" in people["Rita"].ask("GET", "/progress").json()["classifiers"]


def test_a_snapshot_holds_the_classes_and_leaves_the_readings_final(people, services):
    taken = people["Viktor"].ask("POST", "/snapshots").json()
    assert sum(taken["images"].values()) >= 2
    reviews = services.harvest.store.reviews_of("classification").values()
    assert all(one.finalised for review in reviews for one in review.readings if one.finished)


@pytest.fixture
def command(people, monkeypatch):
    """``hepatic qa ...`` as Viktor."""
    viktor = people["Viktor"]
    monkeypatch.setenv("HEPATIC_TOKEN", viktor._session.headers["Authorization"].removeprefix("Bearer "))
    monkeypatch.setenv("HEPATIC_SERVER", viktor._address)
    return lambda *words: CliRunner().invoke(cli, ["qa", *words])


def test_the_classes_of_a_study_become_known_by_one_command_and_are_forgotten_by_another(people, services, command):
    study = services.cases.images()[0].study_uid
    uid = f"{study}:lesion_type"
    images = [one.image_id for one in services.harvest.store.review(uid).study.candidates]

    def known():
        told = {one["study"]: one["classes"] for one in people["Viktor"].ask("GET", "/known").json()["known"]}
        return list(told[uid].values()) if uid in told else None

    assert f"{uid}: known." in command("known", study, "cyst").output
    assert known() == ["cyst"] * len(images)
    assert command("known", study, *(f"{image}=fnh" for image in images)).exit_code == 0
    assert known() == ["fnh"] * len(images)
    assert "not known any more" in command("known", uid, "--forget").output
    assert known() is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("lipoma",), "homogeneous"),
        (("hcc",), "name the study with its question"),
        (("hcc", "cyst"), "IMAGE=CLASS"),
        ((), "IMAGE=CLASS"),
        (("nobody=fnh",), "one of the study's"),
    ],
)
def test_classes_that_cannot_be_are_refused(services, command, words, reason):
    refused = command("known", services.cases.images()[0].study_uid, *words)
    assert reason in str(refused.exception)


def test_the_status_tells_of_each_question_what_waits_and_what_is_settled(people, services, command):
    shown = command("status").output
    assert shown.index("Classes: diagnosis") < shown.index("Classes: lesion_type")
    for note in people["Rita"].ask("GET", "/progress").json()["classification"]:
        images = note["images"]
        settled = images["classified"] + images["adjudicated"]
        assert f"{settled} of {images['total']} settled; {images['unreviewed']} waiting" in shown


def test_what_was_classified_leaves_as_a_table_and_a_format_for_lesions_says_that_it_does_not(people, services):
    uid = next(iter(services.harvest.store.reviews_of("classification")))
    study, note = uid.split(":")
    viktor = people["Viktor"]
    table = viktor.ask("GET", "/export", params={"format": "csv", "study": study}).text
    rows = [row for row in csv.DictReader(io.StringIO(table)) if row["note"] == note]
    assert {row["study_uid"] for row in rows} == {study}
    assert all(row["model_class"] in services.harvest.store.review(uid).study.classes for row in rows)
    secret = viktor.ask("GET", "/export", params={"format": "json", "study": study, "deidentify": "true"}).text
    assert study not in secret
    assert rows[0]["patient_id"] not in secret
    reports = viktor.ask("GET", "/export", params={"format": "sr"}).content
    assert any(name.endswith("-1.dcm") for name in zipfile.ZipFile(io.BytesIO(reports)).namelist())
    held = viktor.ask("GET", "/export", params={"format": "sr", "study": study, "deidentify": "true"}).content
    [reason] = set(json.loads(zipfile.ZipFile(io.BytesIO(held)).read("left_out.json")).values())
    assert "burnt-in text" in reason, "its pictures are held, and so is what refers to them"
    told = viktor.ask("GET", "/export", params={"format": "coco", "study": uid}).json()
    assert list(told["left_out"]) == [uid]
    assert viktor.ask("GET", "/export", params={"format": "csv", "study": "9.9"}).status_code == 404
