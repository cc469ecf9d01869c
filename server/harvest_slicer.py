"""Labels that 3D Slicer saves, where they are boxes of a study under review."""

from __future__ import annotations

import logging

from hepatic.errors import HepaticError
from hepatic.harvest.slicer_boxes import reader_of, studies_with, take_boxes
from hepatic.harvest.store import ReviewStore
from hepatic.io.markups import read_rois
from hepatic.store.label import FINAL
from server.access.user import User
from server.host import Host, is_shared

logger = logging.getLogger(__name__)


def take_saved_boxes(
    store: ReviewStore, host: Host, *, image_id: str, label_id: str, tag: str, user: User, said: str
) -> list[str]:
    """Take boxes of a label that was saved as final into the review of its study; the label is saved in any case.

    Only boxes on the series in whose frame the study's candidates lie are taken; nothing happens for other labels.

    They are read by who logged in; where nobody does, by who was given the boxes at ``/qa`` (``reader_of``), or
    else ``said``, whom the client says it is for.

    Returns:
        What the review did not take, and why, in words.
    """
    if tag != FINAL or not is_shared(host.datastore):
        return []
    refused: list[str] = []
    try:
        studies = studies_with(store, image_id)
        if not studies:
            return []
        _, file = host.label(label_id, tag)
        if file.suffix != ".json":
            return []
        saved = read_rois(file)
        if not saved:
            return ["No box is left, so nobody knows whether the candidates were seen. Reject them at /qa."]
        reader = user.name or reader_of(saved) or said
        for study in studies:
            taken = take_boxes(store, study, saved, reader)
            matched = taken.matched
            logger.info(
                "boxes saved in Slicer: %d kept, %d removed, %d added, %d reasons to refuse some",
                len(matched.kept),
                len(matched.removed),
                len(matched.added),
                len(taken.refused),
            )
            refused += taken.refused
    except HepaticError as failure:
        logger.warning("boxes that were saved could not be taken into the review: %s", failure)
        refused.append(str(failure))
    return refused
