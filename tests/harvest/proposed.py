"""Proposed studies and readers' events, made inline."""

import uuid

from hepatic.harvest.study import Candidate, Phase, Proposal, ProposedStudy

AFFINE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 2.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def box(x, size=10.0):
    return (float(x), 10.0, 10.0, float(x) + size, 10.0 + size, 10.0 + size)


def candidate(uid, x=10, score=0.5, model_hash="a" * 64):
    return Candidate(uid, box(x), score, (Proposal(Phase.VENOUS, box(x), score),), "ct_centernet3d", model_hash, 7)


def proposed(uid="1.2.3", candidates=("2.25.1", "2.25.2", "2.25.3"), *, patient=None, model_hash="a" * 64, scores=None):
    """A study of 100 x 100 x 50 voxels whose candidates lie 20 mm from each other."""
    scores = scores or [0.9 - 0.1 * n for n in range(len(candidates))]
    made = [
        one if isinstance(one, Candidate) else candidate(one, 10 + 20 * n, scores[n], model_hash)
        for n, one in enumerate(candidates)
    ]
    return ProposedStudy(
        uid,
        patient or f"P-{uid}",
        Phase.VENOUS,
        {Phase.VENOUS: f"series-{uid}"},
        tuple(made),
        (100, 100, 50),
        AFFINE,
        ("no arterial phase",),
        "c" * 64,
    )


def event(type, study="1.2.3", candidate=None, verdict=None, **more):
    """An event as a page sends it."""
    made = {"id": str(uuid.uuid4()), "type": type, "study": study}
    made |= {key: value for key, value in (("candidate", candidate), ("verdict", verdict)) if value is not None}
    return made | more


def decide(candidate, verdict, study="1.2.3", **more):
    return event("decide", study, candidate, verdict, **more)


def read_all(store, reader, study="1.2.3", **verdicts):
    """Lease a study, decide its candidates (false unless named by ``c1="true"`` ...), finish it."""
    assert store.lease(reader, study) is not None
    uids = [one.uid for one in store.review(study).study.candidates]
    return finish(
        store, reader, *(decide(uid, verdicts.get(f"c{uid.rpartition('.')[2]}", "false"), study) for uid in uids),
        study=study,
    )  # fmt: skip


def finish(store, reader, *said, study="1.2.3"):
    """Say this of a study that was begun, reject what is left of its candidates, finish it; return all of it."""
    reading = store.reviews.reading(study, reader)
    decided = {one.get("candidate") for one in said if one["type"] == "decide"} | set(reading.verdicts)
    uids = [one.uid for one in store.review(study).proposal(reading.proposal).study.candidates]
    made = [*said, *(decide(uid, "false", study) for uid in uids if uid not in decided), event("finish", study)]
    taken, _ = store.reviews.take(made, reader)
    assert [one.status for one in taken] == ["stored"] * len(taken), taken
    return made
