import pytest

from hepatic.harvest.match import match
from hepatic.io.markups import ROI

A, B, C = (0, 0, 0, 10, 10, 10), (20, 20, 20, 30, 30, 30), (50, 0, 0, 60, 10, 10)
CANDIDATES = {"2.25.1": A, "2.25.2": B}


def roi(box, uid=None):
    return ROI(box, "", {} if uid is None else {"candidate": uid})


def test_boxes_left_alone_are_accepted():
    found = match(CANDIDATES, [roi(B, "2.25.2"), roi(A, "2.25.1")])
    assert found.kept == ("2.25.1", "2.25.2")
    assert (found.moved, found.removed, found.added) == ({}, (), ())


def test_what_a_file_rounds_was_not_moved():
    assert match(CANDIDATES, [roi((0, 0, 0, 10, 10, 10.0004), "2.25.1")]).moved == {}


def test_a_removed_box_was_false_and_a_new_one_was_missed():
    found = match(CANDIDATES, [roi(A, "2.25.1"), roi(C)])
    assert (found.kept, found.removed, found.added) == (("2.25.1",), ("2.25.2",), (C,))


def test_a_moved_box_is_still_its_candidates_wherever_it_went():
    found = match(CANDIDATES, [roi(C, "2.25.1"), roi(B, "2.25.2")])
    assert found.moved == {"2.25.1": C}
    assert found.removed == ()


@pytest.mark.parametrize("uid", [None, "2.25.999", 7])
def test_a_box_without_a_known_name_is_the_candidate_it_covers(uid):
    near = (1, 0, 0, 11, 10, 10)
    found = match(CANDIDATES, [roi(near, uid)])
    assert found.moved == {"2.25.1": near}
    assert found.removed == ("2.25.2",)
    assert match(CANDIDATES, [roi((8, 0, 0, 18, 10, 10), uid)]).added == ((8, 0, 0, 18, 10, 10),)


def test_a_copied_box_is_one_candidate_and_one_lesion_more():
    found = match(CANDIDATES, [roi(A, "2.25.1"), roi(C, "2.25.1")])
    assert (found.kept, found.added) == (("2.25.1",), (C,))
    assert found.removed == ("2.25.2",)


def test_no_boxes_saved_mean_that_all_were_false():
    assert match(CANDIDATES, []).removed == ("2.25.1", "2.25.2")
    assert match({}, [roi(A)]).added == (A,)
