"""Reading studies over HTTP: who is given what, what is told before and after, and what becomes of events."""

import threading

import pytest

from tests.harvest.proposed import decide, event


def test_a_study_is_leased_without_a_word_of_scores(people, new_study):
    answer = people["Rita"].lease(new_study)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert told["study"]["study_uid"] == new_study
    assert sorted(card["candidate"] for card in told["study"]["cards"]) == ["2.25.1", "2.25.2", "2.25.3"]
    assert [card["order"] for card in told["study"]["cards"]] == [0, 1, 2]
    assert told["study"]["cards"][0]["slices"] == 50
    for secret in ("score", "lineage", "model", "proposal"):
        assert f'"{secret}' not in answer.text
    assert 590 < told["lease"]["seconds"] <= 600
    assert people["Otto"].lease(new_study).status_code == 409
    assert people["Rita"].ask("DELETE", f"/lease/{told['lease']['id']}").status_code == 200
    assert people["Otto"].lease(new_study).status_code == 200


def test_a_reader_decides_undoes_and_finishes(people, new_study):
    rita = people["Rita"]
    rita.lease(new_study)
    first = decide("2.25.1", "true", new_study)
    answer = rita.send(first, first, decide("2.25.2", "false", new_study))
    assert [one["status"] for one in answer.json()["results"]] == ["stored", "known", "stored"]
    again = rita.lease(new_study).json()
    decisions = {card["candidate"]: card["decision"] for card in again["study"]["cards"]}
    assert decisions["2.25.1"] == {"event": first["id"], "verdict": "true"}
    assert decisions["2.25.3"] is None
    assert again["etag"] == answer.headers["etag"] == answer.json()["etag"]
    undone = rita.send(event("undo", new_study, of=first["id"]), event("finish", new_study)).json()["results"]
    assert (undone[1]["status"], "2 of 3 candidates" in undone[1]["reason"]) == ("refused", True)
    left = [decide(uid, "unsure", new_study) for uid in ("2.25.1", "2.25.3")]
    ended = rita.send(*left, event("finish", new_study)).json()["results"][-1]
    assert ended["state"] | {"finished": True, "decided": 3} == ended["state"]


def test_a_renewed_lease_lasts_and_a_strange_one_is_unknown(people, new_study):
    lease = people["Rita"].lease(new_study).json()["lease"]["id"]
    assert people["Rita"].ask("POST", f"/lease/{lease}/renew").json()["lease"]["id"] == lease
    assert people["Otto"].ask("POST", f"/lease/{lease}/renew").status_code == 404
    assert people["Rita"].ask("POST", "/lease/%00/renew").status_code == 422


def test_events_without_a_lease_are_refused_with_a_reason(people, new_study):
    [told] = people["Rita"].send(decide("2.25.1", "true", new_study)).json()["results"]
    assert told["status"] == "refused"
    assert "POST lease" in told["reason"]


def test_of_two_readers_who_race_for_a_study_one_has_it(people, new_study):
    barrier, answers = threading.Barrier(2), {}

    def race(name):
        barrier.wait()
        answers[name] = people[name].lease(new_study).status_code

    for _ in range(5):
        threads = [threading.Thread(target=race, args=(name,)) for name in ("Rita", "Otto")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers.values()) == [200, 409]
        winner = next(name for name, status in answers.items() if status == 200)
        held = people[winner].lease(new_study).json()["lease"]["id"]
        people[winner].ask("DELETE", f"/lease/{held}")


def test_boxes_take_an_annotator(people, new_study):
    drawn = event("box", new_study, box=[10, 10, 10, 20, 20, 20])
    for name, status in (("Rita", "refused"), ("Anna", "stored")):
        lease = people[name].lease(new_study).json()["lease"]["id"]
        assert people[name].send(drawn).json()["results"][0]["status"] == status
        people[name].ask("DELETE", f"/lease/{lease}")


def test_two_pages_of_one_reader_are_told_of_each_other(people, new_study):
    rita = people["Rita"]
    seen = rita.lease(new_study).headers["etag"]
    elsewhere = decide("2.25.1", "false", new_study)
    assert rita.send(elsewhere, headers={"If-Match": seen}).status_code == 200
    mine = decide("2.25.1", "true", new_study)
    stale = rita.send(mine, headers={"If-Match": seen})
    assert stale.status_code == 409
    assert [one["verdict"] for one in stale.json()["stored"]] == ["false"]
    assert [one["verdict"] for one in stale.json()["sent"]] == ["true"]
    seen_now = {"If-Match": stale.headers["etag"]}
    assert stale.json()["etag"] == stale.headers["etag"]
    assert rita.send(mine, headers=seen_now).json()["results"][0]["status"] == "stored"


def test_scores_are_revealed_after_the_end_and_the_reading_is_final_then(people, new_study):
    rita = people["Rita"]
    rita.lease(new_study)
    one = decide("2.25.1", "true", new_study)
    rita.send(one)
    assert rita.ask("GET", f"/studies/{new_study}?reveal=true").status_code == 409
    rita.send(*(decide(uid, "false", new_study) for uid in ("2.25.2", "2.25.3")), event("finish", new_study))
    assert "score" not in rita.ask("GET", f"/studies/{new_study}").text
    told = rita.ask("GET", f"/studies/{new_study}?reveal=true").json()
    assert told["candidates"][0]["score"] == pytest.approx(0.9)
    assert told["candidates"][0]["state"] == "true"
    [late] = rita.send(event("undo", new_study, of=one["id"])).json()["results"]
    assert late["status"] == "refused"
    assert rita.ask("GET", "/studies/none").status_code == 404


def test_the_queue_tells_each_reader_their_own_state(people, new_study):
    people["Rita"].lease(new_study)
    people["Rita"].send(decide("2.25.1", "true", new_study))

    def place(name):
        told = people[name].ask("GET", "/queue").json()
        assert told["reader"] == name
        return next(one for one in told["studies"] if one["study"] == new_study)

    assert place("Rita") | {"state": "started", "decided": 1, "candidates": 3} == place("Rita")
    assert place("Otto")["state"] == "leased"
    assert place("Rita")["warnings"] == ["no arterial phase"]


def test_when_nothing_is_left_the_answer_is_empty(people):
    while (answer := people["Rita"].lease()).status_code == 200:
        told = answer.json()["study"]
        left = [decide(card["candidate"], "false", told["study_uid"]) for card in told["cards"] if not card["decision"]]
        assert people["Rita"].send(*left, event("finish", told["study_uid"])).json()["results"][-1]["state"]["finished"]
    assert answer.status_code == 204


@pytest.mark.parametrize("body", [{}, {"events": 1}, {"events": "x"}, []], ids=str)
def test_a_body_without_events_is_refused(people, body):
    assert people["Rita"].ask("POST", "/events", json=body).status_code == 422


def test_a_half_character_is_refused_and_breaks_nothing(people):
    raw = b'{"events": [{"id": "\\ud800", "type": "\\ud800"}]}'
    answer = people["Rita"].ask("POST", "/events", data=raw, headers={"Content-Type": "application/json"})
    assert answer.json()["results"][0]["status"] == "refused"


def test_what_is_decided_while_a_study_is_told_is_not_in_its_tag(people, new_study, store, monkeypatch):
    rita = people["Rita"]
    rita.lease(new_study)
    told = store.review

    def meanwhile(uid):
        before = told(uid)
        store.reviews.take([decide("2.25.1", "true", uid)], "Rita")
        return before

    for ask in (lambda: rita.ask("GET", f"/studies/{new_study}"), lambda: rita.lease(new_study)):
        monkeypatch.setattr(store, "review", meanwhile)
        answer = ask()
        monkeypatch.setattr(store, "review", told)
        late = rita.send(decide("2.25.2", "true", new_study), headers={"If-Match": answer.headers["etag"]})
        assert late.status_code == 409, "a decision that the answer did not tell would go unseen"
