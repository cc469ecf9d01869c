import pytest

from server import worker


class Proposing:
    def propose(self, request):
        return {"study_uid": request["study_uid"], "candidates": (1,)}


def test_the_app_proposes_and_its_answer_is_plain_json(monkeypatch):
    monkeypatch.setattr(worker, "_app", Proposing())
    assert worker.propose({"study_uid": "1.2"}) == {"study_uid": "1.2", "candidates": [1]}


def test_an_app_that_cannot_propose_says_so(monkeypatch):
    monkeypatch.setattr(worker, "_app", object())
    with pytest.raises(worker.AppError, match="does not propose"):
        worker.propose({"study_uid": "1.2"})
