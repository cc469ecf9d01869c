"""Snapshots: what teaches and what does not, frozen parts, and a file that cannot be changed unseen."""

import json
import uuid

import pytest

from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.events import Verdict
from hepatic.harvest.leases import Wish, open_reading
from hepatic.harvest.lesson import lesson
from hepatic.harvest.primary import disputed_primaries
from hepatic.harvest.reviewed_studies import reviewed_study
from hepatic.harvest.rules import Rules
from hepatic.harvest.snapshot_cases import snapshot_cases
from hepatic.harvest.snapshots import check_snapshot
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study_state import study_state
from hepatic.harvest.verdicts import State, settled
from tests.harvest.proposed import box, candidate, decide, event, finish, proposed, read_all


@pytest.fixture
def store(tmp_path):
    made = ReviewStore(tmp_path)
    made.proposals.add(proposed())
    yield made
    made.close()


def learnt(store, uid="1.2.3"):
    one = lesson(store.review(uid), store.rules)
    return (
        {box.candidate: box.source for box in one.boxes},
        {box.candidate for box in one.negatives},
        {box.candidate for box in one.ignored},
        one.complete,
    )


def test_accepted_boxes_and_explicit_rejections_of_a_finished_study_teach(store):
    read_all(store, "Rita", c1="true")
    assert learnt(store) == ({"2.25.1": "harvested"}, {"2.25.2", "2.25.3"}, set(), True)


def test_what_is_not_finished_teaches_nothing(store):
    store.lease("Rita")
    store.reviews.take([decide("2.25.1", "true"), decide("2.25.2", "false")], "Rita")
    assert learnt(store)[:2] == ({}, set())
    assert learnt(store)[3] is False


def test_unsure_is_never_a_negative_and_leaves_the_rest_background(store):
    read_all(store, "Rita", c1="true", c2="unsure")
    assert learnt(store) == ({"2.25.1": "harvested"}, {"2.25.3"}, {"2.25.2"}, False)
    assert lesson(store.review("1.2.3"), store.rules).background
    [study] = json.loads(store.snapshot().file.read_text())["studies"]
    assert (study["complete"], study["background"]) == (False, True)


def test_a_missed_lesion_that_waits_for_its_box_leaves_the_background_unknown(store):
    store.lease("Anna")
    said = [decide(f"2.25.{number}", "false") for number in (1, 2, 3)]
    store.reviews.take([*said, event("missed"), event("finish")], "Anna")
    assert not lesson(store.review("1.2.3"), store.rules).background


def test_what_nobody_decided_is_ignored(store):
    store.take("Anna", Wish("1.2.3", "boxing"), may_box=True)
    drawn = event("box", box=[60, 60, 20, 80, 80, 40])
    store.reviews.take([decide("2.25.1", "true"), drawn, event("finish")], "Anna")
    assert learnt(store) == ({"2.25.1": "harvested", drawn["id"]: "manual"}, set(), {"2.25.2", "2.25.3"}, True)


def test_a_conflict_teaches_nothing_until_it_is_adjudicated(tmp_path):
    store = ReviewStore(tmp_path, rules=Rules(readers=2))
    store.proposals.add(proposed())
    read_all(store, "Rita", c1="true")
    read_all(store, "Otto", c1="false")
    assert learnt(store) == ({}, {"2.25.2", "2.25.3"}, {"2.25.1"}, False)
    store.adjudicate("0b0f5c1e-5d0c-4f6e-9c39-0d8f2a6f1a11", "1.2.3", "2.25.1", Verdict.TRUE, "Viktor")
    assert learnt(store) == ({"2.25.1": "harvested"}, {"2.25.2", "2.25.3"}, set(), True)
    store.close()


def test_a_study_sent_to_be_boxed_gives_no_background_until_it_is_done(store):
    store.lease("Rita")
    finish(store, "Rita", event("missed"))
    assert learnt(store)[3] is False
    store.lease("Anna", may_box=True)
    drawn = event("box", box=[60, 60, 20, 80, 80, 40])
    store.reviews.take([drawn, event("finish")], "Anna")
    boxes, negatives, _, complete = learnt(store)
    assert (boxes, negatives, complete) == ({drawn["id"]: "manual"}, {"2.25.1", "2.25.2", "2.25.3"}, True)


def draw(store, reader, *xs):
    """Draw boxes in a study in which that reader misses lesions; return the ids of the boxes."""
    store.lease(reader, "1.2.3", may_box=True)
    drawn = [event("box", box=list(box(x))) for x in xs]
    uids = [one.uid for one in store.review("1.2.3").study.candidates]
    made = [*(decide(uid, "false") for uid in uids), event("missed"), *drawn, event("finish")]
    taken, _ = store.reviews.take(made, reader)
    assert {one.status for one in taken} == {"stored"}, taken
    return [one["id"] for one in drawn]


def test_what_several_readers_draw_all_teaches_and_each_lesion_once(tmp_path):
    store = ReviewStore(tmp_path, rules=Rules(readers=2))
    store.proposals.add(proposed())
    draw(store, "Anna", 70)
    later = draw(store, "Otto", 71, 85)
    boxes, _, _, complete = learnt(store)
    assert (set(boxes), complete) == (set(later), True)
    store.close()


def test_what_was_drawn_in_an_earlier_round_still_teaches(store):
    first = draw(store, "Anna", 70)
    store.proposals.add(proposed(candidates=[candidate("2.25.9", 40, 0.7, "b" * 64)], model_hash="b" * 64))
    second = draw(store, "Anna", 85)
    assert set(learnt(store)[0]) == {*first, *second}


def test_a_lesion_that_was_drawn_and_accepted_teaches_once(store):
    [drawn] = draw(store, "Anna", 70)
    store.proposals.add(proposed(candidates=[candidate("2.25.9", 74, 0.7, "b" * 64)], model_hash="b" * 64))
    read_all(store, "Anna", c9="true")
    assert learnt(store)[0] == {drawn: "manual"}


def test_a_small_lesion_drawn_inside_a_large_one_s_box_is_another(store):
    read_all(store, "Rita", c1="true")
    store.proposals.add(proposed(candidates=[candidate("2.25.9", 60, 0.7, "b" * 64)], model_hash="b" * 64))
    store.lease("Anna", may_box=True)
    small = event("box", box=[11, 11, 11, 13, 13, 13])
    store.reviews.take([decide("2.25.9", "false"), event("missed"), small, event("finish")], "Anna")
    assert learnt(store)[0] == {"2.25.1": "harvested", small["id"]: "manual"}


def test_what_is_said_of_a_later_candidate_settles_an_earlier_one_at_the_same_place(store):
    read_all(store, "Rita", c1="unsure")
    store.proposals.add(proposed(candidates=[candidate("2.25.9", 11, 0.7, "b" * 64)], model_hash="b" * 64))
    assert (learnt(store)[2], learnt(store)[3]) == ({"2.25.1", "2.25.9"}, False)
    read_all(store, "Anna", c9="false")
    assert learnt(store) == ({}, {"2.25.9", "2.25.2", "2.25.3"}, set(), True)


def test_a_reviewer_settles_what_no_later_model_proposes_again(store):
    read_all(store, "Rita", c1="unsure")
    store.proposals.add(proposed(candidates=[candidate("2.25.9", 60, 0.7, "b" * 64)], model_hash="b" * 64))
    read_all(store, "Rita", c9="true")
    assert (learnt(store)[2], learnt(store)[3]) == ({"2.25.1"}, False)
    store.adjudicate("0b0f5c1e-5d0c-4f6e-9c39-0d8f2a6f1a11", "1.2.3", "2.25.1", Verdict.TRUE, "Viktor")
    boxes, negatives, ignored, complete = learnt(store)
    assert (set(boxes), negatives, ignored, complete) == ({"2.25.1", "2.25.9"}, {"2.25.2", "2.25.3"}, set(), True)


def test_a_candidate_on_a_drawn_box_inherits_it_and_teaches_nothing_twice(store):
    [drawn] = draw(store, "Anna", 70)
    store.proposals.add(proposed(candidates=[candidate("2.25.9", 71, 0.7, "b" * 64)], model_hash="b" * 64))
    held = settled(store.review("1.2.3"), store.rules)["2.25.9"]
    assert (held.state, held.inherited) == (State.TRUE, drawn)
    assert learnt(store)[0] == {drawn: "manual"}


def test_a_rejected_candidate_that_touches_a_lesion_is_no_negative(tmp_path):
    store = ReviewStore(tmp_path)
    store.proposals.add(proposed(candidates=[candidate("2.25.1", 10), candidate("2.25.2", 14)]))
    read_all(store, "Rita", c1="true")
    assert learnt(store) == ({"2.25.1": "harvested"}, set(), set(), True)
    store.close()


def test_what_an_earlier_model_found_still_counts_and_only_once(store):
    read_all(store, "Rita", c1="true", c2="true")
    store.proposals.add(proposed(candidates=[candidate("2.25.9", 11, 0.7, "b" * 64)], model_hash="b" * 64))
    boxes, negatives, ignored, complete = learnt(store)
    assert (set(boxes), negatives, ignored, complete) == ({"2.25.1", "2.25.2"}, {"2.25.3"}, set(), True)


def test_a_corrected_box_and_the_primary_lesion_are_learnt(store):
    store.lease("Anna")
    corrected = event("box", candidate="2.25.1", box=[8, 8, 8, 22, 22, 22])
    primary = event("primary", candidate="2.25.1")
    finish(store, "Anna", decide("2.25.1", "true"), decide("2.25.2", "true"), corrected, primary)
    [first, second] = lesson(store.review("1.2.3"), store.rules).boxes
    assert (first.box, first.primary, second.primary) == ((8, 8, 8, 22, 22, 22), True, False)


def test_a_hidden_repeat_changes_neither_a_box_nor_the_primary_lesion(store):
    store.lease("Anna")
    finish(store, "Anna", decide("2.25.1", "true"), decide("2.25.2", "true"), event("primary", candidate="2.25.1"))
    before = lesson(store.review("1.2.3"), store.rules)
    with store.database.write() as connection:
        open_reading(connection, "Anna", Wish("1.2.3", "repeat"), store.clock())
    corrected = event("box", candidate="2.25.1", box=[8, 8, 8, 22, 22, 22])
    primary = event("primary", candidate="2.25.2")
    finish(store, "Anna", decide("2.25.1", "true"), decide("2.25.2", "true"), corrected, primary)
    assert [one.kind for one in store.review("1.2.3").of("Anna") if one.finished] == ["first", "repeat"]
    assert lesson(store.review("1.2.3"), store.rules) == before


def primaries(store):
    learnt = [one for one in lesson(store.review("1.2.3"), store.rules).boxes if one.primary]
    exported = [one.uid for one in reviewed_study(store.review("1.2.3"), store.rules).candidates if one.primary]
    return [one.candidate for one in learnt], exported


def name(store, reader, candidate, *accepted):
    store.lease(reader, "1.2.3")
    said = [decide(uid, "true") for uid in accepted]
    finish(store, reader, *said, event("primary", candidate=candidate))


def test_where_readers_name_different_primary_tumours_there_is_none_until_a_reviewer_has_chosen(tmp_path):
    store = ReviewStore(tmp_path, rules=Rules(readers=2))
    store.proposals.add(proposed())
    name(store, "Rita", "2.25.1", "2.25.1", "2.25.2")
    assert primaries(store) == (["2.25.1"], ["2.25.1"])
    name(store, "Otto", "2.25.2", "2.25.1", "2.25.2")
    assert primaries(store) == ([], [])
    assert study_state(store.review("1.2.3"), store.rules) == "conflict"
    named = disputed_primaries(store.review("1.2.3"))
    assert [(one.candidate.uid, set(one.readers)) for one in named] == [("2.25.1", {"Rita"}), ("2.25.2", {"Otto"})]
    for strange, error in (("2.25.3", BadInputError), ("2.25.9", NotFoundError)):
        with pytest.raises(error):
            store.adjudicate_primary(str(uuid.uuid4()), "1.2.3", strange, "Viktor")
    id = str(uuid.uuid4())
    for chosen in ("2.25.2", "2.25.1"):  # the second time it is the same event
        store.adjudicate_primary(id, "1.2.3", chosen, "Viktor")
        assert primaries(store) == (["2.25.2"], ["2.25.2"])
    assert study_state(store.review("1.2.3"), store.rules) == "done"
    store.adjudicate(str(uuid.uuid4()), "1.2.3", "2.25.2", Verdict.FALSE, "Viktor")
    assert primaries(store) == (["2.25.1"], ["2.25.1"]), "what is rejected after all is no primary tumour"
    store.close()


def test_one_primary_tumour_comes_of_what_readers_named_at_one_place_over_models(store):
    name(store, "Rita", "2.25.1", "2.25.1", "2.25.2")
    store.proposals.add(proposed(candidates=[candidate("2.25.9", 14, 0.7, "b" * 64)], model_hash="b" * 64))
    name(store, "Otto", "2.25.9", "2.25.9")
    assert primaries(store) == (["2.25.9"], ["2.25.9"])
    store.proposals.add(proposed(candidates=[candidate("2.25.8", 13, 0.7, "d" * 64)], model_hash="d" * 64))
    assert primaries(store) == (["2.25.9"], ["2.25.8"]), "it inherits that, too"


@pytest.mark.parametrize(("second", "primary"), [("unsure", False), ("false", True)])
def test_the_only_lesion_is_the_primary_one_unless_others_may_be_there(store, second, primary):
    read_all(store, "Rita", c1="true", c2=second)
    assert [one.primary for one in lesson(store.review("1.2.3"), store.rules).boxes] == [primary]


def test_a_known_case_teaches_its_truth_and_not_what_readers_said(store):
    store.know("1.2.3", [box(10), box(60)], primary=1)
    read_all(store, "Rita", c2="true")
    one = lesson(store.review("1.2.3"), store.rules)
    assert [(learnt.source, learnt.primary) for learnt in one.boxes] == [("gold", False), ("gold", True)]
    assert {learnt.candidate for learnt in one.negatives} == {"2.25.3"}
    assert one.complete


def test_a_snapshot_is_written_once_under_its_own_hash_and_makes_readings_final(store):
    made = read_all(store, "Rita", c1="true")
    taken = store.snapshot(asked_by="Viktor")
    assert store.snapshot() == taken
    assert store.snapshots.latest().sha256 == taken.sha256 == taken.file.stem
    document = check_snapshot(taken.file)
    assert (document["version"], document["studies"][0]["prepared"]) == (1, "c" * 64)
    assert document["studies"][0]["boxes"][0]["box"] == list(box(10))
    assert (taken.summary["boxes"], taken.summary["negatives"]) == (1, 2)
    [late], _ = store.reviews.take([event("undo", of=made[0]["id"])], "Rita")
    assert late.status == "refused"


def undo_in_between(store, reader):
    """Undo a reader's finish after the book was read and before the next transaction begins."""
    finish = store.review("1.2.3").of(reader)[-1].finished.id
    write = store.database.write

    def late():
        store.database.write = write
        [taken], _ = store.reviews.take([event("undo", of=finish)], reader)
        assert taken.status == "stored"
        return write()

    store.database.write = late


def test_who_undoes_while_readings_are_closed_can_go_on(store):
    read_all(store, "Rita", c1="true")
    undo_in_between(store, "Rita")
    store.finalise("1.2.3", "Rita")
    [taken], _ = store.reviews.take([event("finish")], "Rita")
    assert taken.status == "stored"


def test_a_snapshot_closes_only_what_it_read(store):
    read_all(store, "Rita", c1="true")
    undo_in_between(store, "Rita")
    undo = store.database.write
    again = [decide("2.25.1", "false"), event("finish")]

    def undo_and_finish_again():
        transaction = undo()
        store.reviews.take(again, "Rita")
        return transaction

    store.database.write = undo_and_finish_again
    store.snapshot()
    assert store.review("1.2.3").of("Rita")[0].verdict("2.25.1") is Verdict.FALSE
    [taken], _ = store.reviews.take([event("undo", of=again[0]["id"])], "Rita")
    assert taken.status == "stored"


def test_a_snapshot_that_was_changed_is_refused(store):
    read_all(store, "Rita", c1="true")
    file = store.snapshot().file
    document = json.loads(file.read_bytes())
    document["studies"][0]["boxes"] = []
    file.write_text(json.dumps(document))
    with pytest.raises(BadInputError, match="changed or damaged"):
        check_snapshot(file)


def test_without_a_finished_study_there_is_no_snapshot(store):
    with pytest.raises(BadInputError, match="finished"):
        store.snapshot()


def test_test_patients_are_drawn_once_and_stay_and_no_patient_is_on_both_sides(tmp_path):
    store = ReviewStore(tmp_path, rules=Rules(test_share=0.25))
    before = {}
    for round in range(1, 4):
        for n in range(8 * round):
            uid = f"1.{n}"
            if store.book.review(uid) is None:
                store.proposals.add(proposed(uid, patient=f"P{n // 2}"))
                read_all(store, "Rita", uid, c1="true")
        split = {}
        for study in check_snapshot(store.snapshot().file)["studies"]:
            assert split.setdefault(study["patient_id"], study["split"]) == study["split"]
        assert before.items() <= split.items()
        assert sum(part == "test" for part in split.values()) == round
        before = split
    store.close()


def test_studies_that_test_still_judge_when_a_new_model_has_proposed(tmp_path):
    store = ReviewStore(tmp_path, rules=Rules(test_share=0.5))
    for n in range(4):
        store.proposals.add(proposed(f"1.{n}"))
        read_all(store, "Rita", f"1.{n}", c1="true")
        new = [candidate(f"2.25.9{n}", 80, 0.7, "b" * 64)]
        store.proposals.add(proposed(f"1.{n}", candidates=new, model_hash="b" * 64))
    studies = check_snapshot(store.snapshot().file)["studies"]
    assert [len(study["ignored"]) for study in studies] == [1] * 4
    cases = snapshot_cases(store.snapshots.latest().file, prepared=tmp_path)
    assert [case.complete for case in cases] == [True] * 4
    assert sum(case.part == "validation" for case in cases) == 2
    store.close()


def test_who_was_trained_on_by_labels_never_tests_and_who_tested_never_trains(tmp_path):
    store = ReviewStore(tmp_path, rules=Rules(test_share=0.5))
    for n in range(6):
        store.proposals.add(proposed(f"1.{n}", patient=f"P{n}"))
        read_all(store, "Rita", f"1.{n}", c1="true")
    drawn = {"P0": "test", "P1": "test", "P2": "train", "P3": "train", "P4": "train", "stranger": "test"}
    split = {s["patient_id"]: s["split"] for s in check_snapshot(store.snapshot(drawn=drawn).file)["studies"]}
    assert drawn.items() >= {patient: part for patient, part in split.items() if patient != "P5"}.items()
    again = {patient: "train" if part == "test" else "test" for patient, part in split.items()}
    assert {s["patient_id"]: s["split"] for s in check_snapshot(store.snapshot(drawn=again).file)["studies"]} == split
    store.close()


def test_a_patient_whose_lesions_are_not_all_known_never_tests(tmp_path):
    store = ReviewStore(tmp_path, rules=Rules(test_share=0.9))
    for n in range(6):
        store.proposals.add(proposed(f"1.{n}"))
        read_all(store, "Rita", f"1.{n}", c1="true", c2="unsure")
    assert {study["split"] for study in check_snapshot(store.snapshot().file)["studies"]} == {"train"}
    store.close()
