"""The lesions that a reader has drawn on an ultrasound image, for the models that look at one."""

from __future__ import annotations

import logging
from pathlib import Path

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.engine.label_boxes import PictureBox, boxes_on_picture
from hepatic.errors import BadInputError
from hepatic.io.grid import grid_of
from hepatic.store.label import FINAL, label_names

logger = logging.getLogger(__name__)


def drawn_boxes(datastore: HepaticDatastore, image_id: str, source: Path) -> list[PictureBox]:
    """Return the boxes of an image's final label.

    Args:
        datastore: that has the label.
        image_id: of the image.
        source: its file or folder.

    Returns:
        None where there is no label, or it says nothing of lesions.
    """
    labels = datastore.store.labels
    history = labels.history(image_id, FINAL)
    if not history or history[-1].removed:
        return []
    try:
        return boxes_on_picture(labels.path(history[-1]), grid_of(source), label_names(history[-1].info))
    except BadInputError as error:
        logger.warning("The label of image %s shows no lesion: %s", image_id, error)
        return []
