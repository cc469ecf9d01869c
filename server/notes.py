"""What a scoring method writes about images, brought from the worker to the one process that writes.

MONAI Label's own datastore keeps everything in one file and each process a copy of it: a worker that wrote it would
undo what the server has written since. So in a worker these notes are collected, and the server makes them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from server.plain import plain

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Note:
    """Some keys of the info of an image, or of its label where a tag is given."""

    id: str
    tag: str | None
    info: dict[str, Any]


@contextmanager
def collected(datastore: Any) -> Iterator[list[Note]]:
    """Collect what is written to a datastore's infos in the block, instead of writing it."""
    notes: list[Note] = []

    def of_image(image_id: str, info: dict[str, Any]) -> None:
        notes.append(Note(str(image_id), None, plain(info)))

    def of_label(label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        notes.append(Note(str(label_id), str(plain(label_tag)), plain(info)))

    datastore.update_image_info, datastore.update_label_info = of_image, of_label  # over the methods of its class
    try:
        yield notes
    finally:
        del datastore.update_image_info, datastore.update_label_info


def write(notes: Iterable[Note], datastore: Any) -> None:
    """Write notes to a datastore; one about an image that has gone meanwhile is left out."""
    for note in notes:
        try:
            if note.tag is None:
                datastore.update_image_info(note.id, note.info)
            else:
                datastore.update_label_info(note.id, note.tag, note.info)
        except Exception:
            logger.exception("a note of a scoring method could not be kept")
