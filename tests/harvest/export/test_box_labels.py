"""Accepted boxes can be seen as a labelmap."""

from dataclasses import replace

import numpy as np

from hepatic.harvest.export.box_labels import box_labels


def test_accepted_boxes_lie_where_they_are_and_the_smaller_one_is_on_top(study):
    labels = box_labels(study)
    assert labels.names == {"2.25.1": 1, "2.25.4": 2}
    k, _, i = np.nonzero(labels.array == 1)
    assert (k.min(), k.max(), i.min(), i.max()) == (1, 2, 20, 29)
    small = np.argwhere(labels.array == 2)
    assert len(small)
    assert labels.grid is study.grid


def test_a_box_thinner_than_a_slice_still_has_a_voxel_and_one_beyond_the_edge_is_cut_off(study):
    thin = replace(study.candidates[0], box=(-14.4, -8.0, 103.0, -6.4, 0.0, 103.1))
    beyond = replace(study.candidates[0], uid="2.25.9", box=(-60.0, -60.0, 80.0, -28.0, -18.0, 101.0))
    labels = box_labels(replace(study, candidates=(thin, beyond)))
    assert (labels.array == 1).any()
    assert (labels.array == 2).any()


def test_a_box_between_two_slices_lies_in_the_one_it_is_nearer_to(study):
    thin = replace(study.candidates[0], box=(-14.4, -8.0, 106.0, -6.4, 0.0, 107.0))  # slices lie at 105 and 110
    assert np.unique(np.nonzero(box_labels(replace(study, candidates=(thin,))).array)[0]).tolist() == [1]


def test_nothing_accepted_is_an_empty_labelmap(study):
    assert not box_labels(replace(study, candidates=study.candidates[1:3])).array.any()
