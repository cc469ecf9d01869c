"""Notes the classes that imported labels name, as those that readers save are noted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from hepatic.store.store import Store

if TYPE_CHECKING:
    from hepatic.tasks.spec import Task

_CLASSIFIED = "US"


def note_classes(store: Store, image_id: str, *, words: Sequence[str] = ()) -> None:
    """Note the classes that the final label of an image names, for hepatic's own classifiers.

    Args:
        store: with the label.
        image_id: which image.
        words: what is said of the whole image.
    """
    if store.images.get(image_id).modality != _CLASSIFIED:
        return  # saves loading the tasks

    from hepatic.adapters.read_classes import take_classes

    take_classes(store, image_id, _tasks(), words=words)


@cache
def _tasks() -> tuple[Task, ...]:
    import infer_tasks
    from hepatic.tasks.discover import discover_tasks

    return tuple(discover_tasks(infer_tasks).values())
