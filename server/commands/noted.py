"""Notes the classes that imported labels name, as those that readers save are noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from hepatic.store.label import FINAL
from hepatic.store.said import CLASSES
from hepatic.store.store import Store

if TYPE_CHECKING:
    from hepatic.tasks.spec import Task


_CLASSIFIED = "US"


def note_classes(
    store: Store, image_id: str, *, words: Sequence[str] = (), classes: Mapping[str, str] | None = None
) -> None:
    """Note the classes that the final label of an image names, for hepatic's own classifiers.

    Args:
        store: with the label.
        image_id: which image.
        words: what is said of the whole image.
        classes: what is said of it outright, by note.

    Raises:
        BadInputError: ``classes`` holds a note or a class that there is not; the others are noted.
    """
    modality = store.images.get(image_id).modality
    if modality != _CLASSIFIED and not classes:
        return  # saves loading the tasks

    from hepatic.adapters.read_classes import known_classes, sayable_classes, take_classes, valid_classes

    valid, refused = valid_classes(classes or {}, sayable_classes(known_classes(tasks(), modality)))
    if valid:
        store.labels.update_info(image_id, FINAL, {CLASSES: valid})
    take_classes(store, image_id, tasks(), words=words)
    if refused is not None:
        raise refused


def note_unsaid(
    store: Store, image_id: str, version: int, *, words: Sequence[str] = (), classes: Mapping[str, str] | None = None
) -> bool:
    """Note the classes of a label that was there before, where nobody has said any; return whether some were.

    Args:
        store: with the label.
        image_id: which image.
        version: of its final label, which the import saved; 0 for none.
        words: what is said of the whole image.
        classes: what is said of it outright, by note; those that there are not are passed over.
    """
    modality = store.images.get(image_id).modality
    if not (version or classes) or modality != _CLASSIFIED:
        return False

    from hepatic.adapters.read_classes import known_classes, sayable_classes, take_unsaid_classes, valid_classes

    valid, _ = valid_classes(classes or {}, sayable_classes(known_classes(tasks(), modality)))
    return bool(take_unsaid_classes(store, image_id, version, tasks(), words=words, classes=valid))


@cache
def tasks() -> tuple[Task, ...]:
    """Return hepatic's own tasks."""
    import infer_tasks
    from hepatic.tasks.discover import discover_tasks

    return tuple(discover_tasks(infer_tasks).values())
