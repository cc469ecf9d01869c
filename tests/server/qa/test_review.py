"""What reviewers do over HTTP: settle disputes, reject many at once, mark known cases; and the progress all see."""

import re
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

import server
from hepatic.harvest.export.formats import FORMATS
from tests.harvest.proposed import box, candidate, decide, event, proposed
from tests.server.access.conftest import asked
from tests.server.qa.conftest import QA


def finish(person, study, *verdicts):
    assert person.lease(study).status_code == 200
    made = [decide(f"2.25.{n}", verdict, study, shown_at=n * 1000, decided_at=n * 1000 + 2000, device="key")
            for n, verdict in enumerate(verdicts, 1)]  # fmt: skip
    results = person.send(*made, event("finish", study)).json()["results"]
    assert {one["status"] for one in results} == {"stored"}


def test_only_reviewers_settle_and_the_settled_is_no_dispute_any_more(people, new_study):
    finish(people["Rita"], new_study, "true", "unsure", "false")
    told = people["Viktor"].ask("GET", "/adjudication").json()["candidates"]
    [open_] = [one for one in told if one["study"] == new_study]
    assert (open_["candidate"], open_["state"], open_["votes"]) == ("2.25.2", "unsure", {"Rita": "unsure"})
    body = {"id": str(uuid.uuid4()), "study": new_study, "candidate": "2.25.2", "verdict": "false"}
    assert people["Anna"].ask("POST", "/adjudication", json=body).status_code == 403
    settled = people["Viktor"].ask("POST", "/adjudication", json=body).json()
    assert (settled["state"], settled["verdict"]) == ("adjudicated", "false")
    assert people["Viktor"].ask("POST", "/adjudication", json=body | {"verdict": "perhaps"}).status_code == 422
    left = people["Viktor"].ask("GET", "/adjudication").json()["candidates"]
    assert new_study not in {one["study"] for one in left}


def test_what_only_an_earlier_model_proposed_can_still_be_settled(people, new_study, store):
    finish(people["Rita"], new_study, "true", "unsure", "false")
    store.proposals.add(proposed(new_study, [candidate("2.25.9", 70, 0.4, "b" * 64)], model_hash="b" * 64))
    told = people["Viktor"].ask("GET", "/adjudication").json()["candidates"]
    [open_] = [one for one in told if one["study"] == new_study]
    assert (open_["candidate"], open_["key_slice"], open_["box"]) == ("2.25.2", 7, list(box(30)))
    body = {"id": str(uuid.uuid4()), "study": new_study, "candidate": "2.25.2", "verdict": "true"}
    settled = people["Viktor"].ask("POST", "/adjudication", json=body).json()
    assert (settled["state"], settled["verdict"], settled["votes"]) == ("adjudicated", "true", {"Rita": "unsure"})
    strange = body | {"id": str(uuid.uuid4()), "candidate": "2.25.7"}
    assert people["Viktor"].ask("POST", "/adjudication", json=strange).status_code == 404
    left = people["Viktor"].ask("GET", "/adjudication").json()["candidates"]
    assert new_study not in {one["study"] for one in left}


def test_many_are_rejected_after_a_look_and_taken_back(people, store, request):
    viktor = people["Viktor"]
    for n in range(20):
        uid = f"8.{n}"
        store.proposals.add(proposed(uid, ["2.25.1"], scores=[0.6], model_hash="new"))
        body = {"boxes": [list(box(10))], "primary": 0}
        assert viktor.ask("PUT", f"/known/{uid}", json=body).json() == {"study": uid, "known": True}
    with store.database.write() as connection:
        connection.executemany("INSERT INTO part VALUES (?, 'test', 0)", [(f"P-8.{n}",) for n in range(20)])
    store.proposals.add(proposed("8.99", scores=[0.9, 0.3, 0.2], model_hash="new"))
    preview = viktor.ask("POST", "/batch-reject", json={}).json()
    assert (preview["batch"], preview["count"], preview["threshold"]) == (None, 2, 0.6)
    assert people["Rita"].ask("POST", "/batch-reject", json={}).status_code == 403
    assert viktor.ask("POST", "/batch-reject", json={"apply": True, "threshold": 0.3}).status_code == 422  # no id
    id = str(uuid.uuid4())
    done = viktor.ask("POST", "/batch-reject", json={"apply": True, "id": id, "threshold": 0.25}).json()
    assert (done["batch"], done["count"]) == (id, 1)
    assert viktor.ask("DELETE", f"/batch-reject/{id}").json() == {"undone": 1}
    assert viktor.ask("DELETE", f"/batch-reject/{uuid.uuid4()}").status_code == 404
    assert viktor.ask("GET", "/known").json()["known"][0]["boxes"] == [list(box(10))]


def test_progress_names_other_readers_to_reviewers_only(people, new_study):
    finish(people["Rita"], new_study, "true", "false", "false")
    finish_seen = people["Viktor"].ask("GET", "/progress").json()
    assert "Rita" in {one["reader"] for one in finish_seen["readers"]}
    assert people["Otto"].ask("GET", "/progress").json()["readers"] == []
    [mine] = people["Rita"].ask("GET", "/progress").json()["readers"]
    assert mine["reader"] == "Rita"
    assert mine["median_s"] == pytest.approx(2.0)
    assert finish_seen["clicks"]["by_device"]["key"]["clicks"] >= 3
    assert finish_seen["effort"]["minutes_per_study"] > 0
    assert finish_seen["versions"] == []


def test_what_detectors_say_and_who_asked_them_is_told_to_reviewers_only(people, new_study, store):
    finish(people["Rita"], new_study, "false", "false", "false")
    store.snapshot(asked_by="Viktor")
    found = [candidate("2.25.9", 11, 0.4, "b" * 64)]
    store.proposals.add(proposed(new_study, found, model_hash="b" * 64))
    told = people["Viktor"].ask("GET", "/progress").json()
    assert new_study in {one["study"] for one in told["negatives"]["firing"]}
    assert told["snapshots"][-1]["asked_by"] == "Viktor"
    answer = people["Otto"].ask("GET", "/progress")
    assert answer.json()["negatives"] == told["negatives"] | {"firing": []}
    assert "asked_by" not in answer.text


def test_a_dispute_is_told_once_enough_readers_have_finished_the_study(people, new_study, store, monkeypatch):
    monkeypatch.setattr(store, "rules", replace(store.rules, readers=2))
    finish(people["Rita"], new_study, "unsure", "false", "false")
    disputed = lambda: {one["study"] for one in people["Viktor"].ask("GET", "/adjudication").json()["candidates"]}  # noqa: E731
    assert new_study not in disputed()
    finish(people["Otto"], new_study, "true", "false", "false")
    assert new_study in disputed()


@pytest.mark.parametrize("body", [{"boxes": 1}, {"boxes": [[1, 2]]}, {"boxes": [], "primary": 1}, {"boxes": [[0] * 6]}])
def test_lesions_that_are_none_are_refused(people, new_study, body):
    assert people["Viktor"].ask("PUT", f"/known/{new_study}", json=body).status_code == 422
    assert people["Anna"].ask("PUT", f"/known/{new_study}", json=body).status_code == 403


def test_reviewers_choose_between_primary_tumours_that_readers_named(people, new_study, store, monkeypatch):
    monkeypatch.setattr(store, "rules", replace(store.rules, readers=2))
    for name, candidate_ in (("Rita", "2.25.1"), ("Otto", "2.25.3")):
        assert people[name].lease(new_study).status_code == 200
        said = [decide(f"2.25.{n}", "true", new_study) for n in (1, 2, 3)]
        people[name].send(*said, event("primary", new_study, candidate_), event("finish", new_study))
    asked_of = people["Viktor"].ask("GET", "/adjudication").json()["candidates"]
    open_ = {one["candidate"]: one["primary_for"] for one in asked_of if one["study"] == new_study}
    assert open_ == {"2.25.1": ["Rita"], "2.25.3": ["Otto"]}
    body = {"id": str(uuid.uuid4()), "study": new_study, "candidate": "2.25.3", "primary": True}
    assert people["Viktor"].ask("POST", "/adjudication", json=body).json()["state"] == "true"
    unread = body | {"id": str(uuid.uuid4()), "candidate": "2.25.9"}
    assert people["Viktor"].ask("POST", "/adjudication", json=unread).status_code == 404
    left = people["Viktor"].ask("GET", "/adjudication").json()["candidates"]
    assert new_study not in {one["study"] for one in left}


def test_the_dashboard_offers_every_format_in_which_reviews_leave():
    page = (Path(server.__file__).parent / "web/qa/dashboard.html").read_text()
    assert set(re.findall(r"export\?format=(\w+)", page)) == set(FORMATS)


def test_an_app_without_a_detector_says_so(people):
    for path in ("/propose", "/train"):
        answer = people["Viktor"].ask("POST", path, json={})
        assert answer.status_code == 404
        assert "detect" in answer.json()["detail"]


def test_nothing_is_told_to_who_did_not_log_in(address):
    for path in ("/queue", "/progress", "/adjudication", "/known", "/studies/1"):
        assert asked("GET", address, QA + path).status_code == 401
