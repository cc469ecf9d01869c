"""Where lesions of a study under review lie: drawn by hand, corrected by readers, proposed, or seen in one phase."""

from __future__ import annotations

from math import inf

from hepatic.boxes import hits
from hepatic.harvest.book import Review
from hepatic.harvest.events import Event
from hepatic.harvest.reading import Reading
from hepatic.harvest.study import Box, Candidate


def same_lesion(one: Box, other: Box) -> bool:
    """Whether two boxes are meant for one lesion: each counts as the other. A small one inside a large one does not."""
    return bool(hits([one], [other]).any() and hits([other], [one]).any())  # type: ignore[arg-type]


def concentric(one: Box, other: Box) -> bool:
    """Whether each of two boxes holds the other's centre: closer than boxes of neighbours that only overlap."""
    return bool(hits([one], [other], min_iou=inf).any() and hits([other], [one], min_iou=inf).any())  # type: ignore[arg-type]


def places_of(review: Review, candidate: Candidate) -> list[Box]:
    """Return every box of a candidate that is a lesion, LPS millimetres: the last correction first, then as proposed.

    Then come those of the phases that are concentric with it: a proposal is also in the lineage of a better one that it
    hardly overlaps.
    """
    corrected = [one.corrected[candidate.uid] for one in _latest_first(review) if candidate.uid in one.corrected]
    phases = [one.box for one in candidate.lineage if concentric(one.box, candidate.box)]
    return list(dict.fromkeys([*corrected, candidate.box, *phases]))


def drawn_boxes(review: Review) -> list[Event]:
    """Return the boxes that were drawn by hand in all finished readings but hidden repeats, the latest reading's first.

    The same lesion may be among them several times, drawn by several readers or in several rounds.
    """
    return [box for one in _latest_first(review) for box in one.boxes]


def _latest_first(review: Review) -> list[Reading]:
    """Return the finished readings but hidden repeats."""
    counting = (one for one in review.readings if one.finished and one.kind != "repeat")
    return sorted(counting, key=lambda one: -one.last_seq)
