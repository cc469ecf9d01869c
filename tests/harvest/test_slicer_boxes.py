"""Boxes saved in 3D Slicer become a reader's verdicts."""

from dataclasses import replace

import pytest

from hepatic.errors import BadInputError, ConflictError
from hepatic.harvest.lesson import lesson
from hepatic.harvest.slicer_boxes import reader_of, rois_of, studies_with, take_boxes
from hepatic.harvest.store import ReviewStore
from hepatic.harvest.study_state import study_state
from hepatic.io.markups import ROI
from tests.harvest.proposed import box, decide, event, finish, proposed


@pytest.fixture
def store(tmp_path):
    made = ReviewStore(tmp_path)
    made.proposals.add(proposed())
    yield made
    made.close()


def roi(uid, at, shown=("2.25.1", "2.25.2", "2.25.3")):
    return ROI(box(at), about={"candidate": uid, "shown": list(shown)})


NEW = ROI((60.0, 60.0, 20.0, 80.0, 80.0, 40.0))


def learnt(store):
    one = lesson(store.review("1.2.3"), store.rules)
    return [learnt.box for learnt in one.boxes], {learnt.candidate for learnt in one.negatives}, one.complete


def test_kept_is_true_moved_has_its_new_box_removed_is_false_and_added_was_missed(store):
    take_boxes(store, "1.2.3", [roi("2.25.1", 10), roi("2.25.2", 32), NEW], "Anna")
    reading = store.reviews.reading("1.2.3", "Anna")
    assert {uid: str(one.verdict) for uid, one in reading.verdicts.items()} == {
        "2.25.1": "true", "2.25.2": "true", "2.25.3": "false"
    }  # fmt: skip
    assert reading.missed
    assert reading.finished.device == "slicer"
    assert (reading.seconds, reading.clicks) == (0.0, 0), "nobody clicked"
    assert learnt(store) == ([box(10), box(32), NEW.box], {"2.25.3"}, True)


def test_boxes_that_name_no_candidate_reject_none(store):
    take_boxes(store, "1.2.3", [NEW], "Anna")
    assert learnt(store)[:2] == ([NEW.box], set())


def test_what_was_not_shown_is_not_rejected(store):
    taken = take_boxes(store, "1.2.3", [roi("2.25.1", 10, shown=["2.25.1", "2.25.3"])], "Anna")
    assert taken.refused == ("1 of 3 candidates have no verdict yet: give them one first.",)
    verdicts = store.reviews.reading("1.2.3", "Anna").verdicts
    assert {uid: str(one.verdict) for uid, one in verdicts.items()} == {"2.25.1": "true", "2.25.3": "false"}


def test_a_reader_is_given_what_they_are_shown_and_have_not_rejected_with_no_word_of_scores(store):
    store.lease("Anna", "1.2.3")
    drawn = event("box", box=list(NEW.box))
    store.reviews.take([decide("2.25.1", "false"), decide("2.25.2", "unsure"), event("missed"), drawn], "Anna")
    found = rois_of(store.review("1.2.3"), store.reviews.reading("1.2.3", "Anna"), store.rules)
    shown = ["2.25.1", "2.25.2", "2.25.3"]
    assert {roi.about.get("candidate"): roi.box for roi in found} == {
        "2.25.2": box(30), "2.25.3": box(50), None: NEW.box
    }  # fmt: skip
    assert all(roi.about.keys() <= {"candidate", "shown", "reader"} and roi.about["shown"] == shown for roi in found)
    assert reader_of([*found, ROI(box(75))]) == "Anna"
    take_boxes(store, "1.2.3", [one for one in found if not one.about.get("candidate")], "Anna")
    assert learnt(store) == ([NEW.box], {"2.25.1", "2.25.2", "2.25.3"}, True)


def test_what_comes_back_as_it_was_given_says_nothing_new(store):
    store.lease("Anna", "1.2.3")
    corrected = event("box", candidate="2.25.2", box=list(box(33)))
    said = [decide("2.25.1", "true", shown_at=0, decided_at=4000), decide("2.25.2", "unsure"), corrected]
    store.reviews.take([*said, decide("2.25.3", "unsure")], "Anna")
    given = rois_of(store.review("1.2.3"), store.reviews.reading("1.2.3", "Anna"), store.rules)
    for _ in range(2):  # also where it was saved before
        assert take_boxes(store, "1.2.3", given, "Anna").refused == ()
        reading = store.reviews.reading("1.2.3", "Anna")
        assert [str(reading.verdict(f"2.25.{n}")) for n in (1, 2, 3)] == ["true", "unsure", "unsure"]
        assert (reading.corrected, reading.seconds, bool(reading.finished)) == ({"2.25.2": box(33)}, 4.0, True)
        assert reading.verdicts["2.25.1"].id == said[0]["id"], "the click stays, with the time it took"
    moved = [replace(one, box=box(52)) if one.about["candidate"] == "2.25.3" else one for one in given[1:]]
    kept = [one for one in moved if one.about["candidate"] != "2.25.2"]
    take_boxes(store, "1.2.3", kept, "Anna")
    reading = store.reviews.reading("1.2.3", "Anna")
    last = {one.about["candidate"] for one in given} - {one.about["candidate"] for one in kept}
    assert {uid: str(reading.verdict(uid)) for uid in last} == dict.fromkeys(last, "false"), "what is gone is false"
    assert all(str(reading.verdict(one.about["candidate"])) == "true" for one in kept)


def test_boxes_drawn_without_the_candidates_are_a_boxing_by_hand(store):
    on_the_first = ROI(box(11))
    taken = take_boxes(store, "1.2.3", [on_the_first, NEW], "Anna")
    assert taken.refused == ()
    reading = store.reviews.reading("1.2.3", "Anna")
    assert (reading.kind, reading.verdicts, bool(reading.finished)) == ("boxing", {}, True)
    assert learnt(store)[0] == [box(11), NEW.box]
    take_boxes(store, "1.2.3", [roi("2.25.1", 10), NEW], "Anna")  # now with them
    assert learnt(store)[:2] == ([box(10), NEW.box], {"2.25.2", "2.25.3"})


def test_a_reading_that_was_begun_on_the_page_is_not_ended_by_boxes_that_leave_candidates_open(store):
    store.lease("Anna", "1.2.3")
    taken = take_boxes(store, "1.2.3", [ROI(box(10))], "Anna")
    assert taken.refused == ("2 of 3 candidates have no verdict yet: give them one first.",)
    assert store.reviews.reading("1.2.3", "Anna").verdict("2.25.1") == "true"
    assert take_boxes(store, "1.2.3", [roi("2.25.1", 10)], "Anna").refused == ()
    assert store.reviews.reading("1.2.3", "Anna").finished


def test_a_reading_does_not_end_without_a_box_that_was_refused(store):
    far = ROI((500.0, 500.0, 20.0, 520.0, 520.0, 40.0))
    taken = take_boxes(store, "1.2.3", [roi("2.25.1", 10), NEW, far], "Anna")
    assert taken.refused == ("That box does not lie within the study. Boxes round (510, 510, 30) mm (LPS).",)
    reading = store.reviews.reading("1.2.3", "Anna")
    assert ([one.box for one in reading.boxes], reading.finished) == ([NEW.box], None)
    take_boxes(store, "1.2.3", [roi("2.25.1", 10), NEW], "Anna")
    assert learnt(store) == ([box(10), NEW.box], {"2.25.2", "2.25.3"}, True)


def test_what_is_saved_once_the_reading_is_final_is_told_and_changes_nothing(store):
    take_boxes(store, "1.2.3", [roi("2.25.1", 10)], "Anna")
    store.finalise("1.2.3", "Anna")
    [reason] = take_boxes(store, "1.2.3", [roi("2.25.1", 10), NEW], "Anna").refused
    assert "is final" in reason
    assert learnt(store)[0] == [box(10)]


def test_a_box_that_was_moved_and_is_back_in_its_place_is_where_it_was_proposed(store):
    take_boxes(store, "1.2.3", [roi("2.25.1", 12)], "Anna")
    take_boxes(store, "1.2.3", [roi("2.25.1", 10)], "Anna")
    assert learnt(store)[0] == [box(10)]


def test_saving_again_replaces_what_was_saved_before(store):
    take_boxes(store, "1.2.3", [roi("2.25.1", 10), NEW], "Anna")
    take_boxes(store, "1.2.3", [roi("2.25.1", 10), roi("2.25.3", 50)], "Anna")
    assert learnt(store) == ([box(10), box(50)], {"2.25.2"}, True), "nothing was missed any more"
    assert study_state(store.review("1.2.3"), store.rules) == "done"
    take_boxes(store, "1.2.3", [roi("2.25.1", 10), NEW], "Anna")
    assert learnt(store) == ([box(10), NEW.box], {"2.25.2", "2.25.3"}, True)


def test_a_lesion_that_the_page_was_told_is_missed_stays_missed_without_a_box_in_slicer(store):
    store.lease("Anna", "1.2.3")
    store.reviews.take([event("missed", device="key")], "Anna")
    take_boxes(store, "1.2.3", [roi("2.25.1", 10), NEW], "Anna")
    take_boxes(store, "1.2.3", [roi("2.25.1", 10)], "Anna")
    assert store.reviews.reading("1.2.3", "Anna").missed
    assert study_state(store.review("1.2.3"), store.rules) == "boxing"


def test_a_study_that_waits_to_be_boxed_is_done_with_the_boxes_and_keeps_its_verdicts(store):
    store.lease("Rita")
    finish(store, "Rita", event("missed"))
    assert study_state(store.review("1.2.3"), store.rules) == "boxing"
    take_boxes(store, "1.2.3", [roi("2.25.1", 10), NEW], "Anna")
    assert study_state(store.review("1.2.3"), store.rules) == "done"
    assert learnt(store)[:2] == ([NEW.box], {"2.25.1", "2.25.2", "2.25.3"}), "what Rita said"
    take_boxes(store, "1.2.3", [NEW], "Anna")
    assert [one.round for one in store.review("1.2.3").of("Anna")] == [1]


def test_a_study_that_another_reads_or_has_read_is_not_read_in_slicer_too(store):
    lease = store.lease("Rita", "1.2.3")
    with pytest.raises(ConflictError, match="another reader has at the moment"):
        take_boxes(store, "1.2.3", [roi("2.25.2", 30)], "Otto")
    store.leases.give_back(lease.id, "Rita")
    take_boxes(store, "1.2.3", [roi("2.25.1", 10)], "Rita")
    for saved in ([roi("2.25.2", 30)], [NEW]):
        with pytest.raises(ConflictError, match="enough readers have read"):
            take_boxes(store, "1.2.3", saved, "Otto")
    assert store.review("1.2.3").of("Otto") == []
    assert study_state(store.review("1.2.3"), store.rules) == "done"


def test_who_has_begun_goes_on_in_slicer_although_another_took_the_study_over(store):
    store.leases.give_back(store.lease("Anna", "1.2.3").id, "Anna")
    store.lease("Rita", "1.2.3")
    assert take_boxes(store, "1.2.3", [roi("2.25.1", 10)], "Anna").refused == ()


def test_boxes_that_name_no_reader_or_several_are_nobody_s(store):
    assert reader_of([NEW, roi("2.25.1", 10)]) == ""
    assert reader_of([ROI(NEW.box, about={"reader": name}) for name in ("Anna", "Rita", ["Otto"])]) == ""
    with pytest.raises(BadInputError, match="the reader of the boxes"):
        reader_of([ROI(NEW.box, about={"reader": "Anna" * 100})])


def test_a_study_is_found_by_its_reference_series_only(store):
    assert studies_with(store, "series-1.2.3") == ["1.2.3"]
    assert studies_with(store, "another") == []
