"""What the versions of a label say of the classes of their image, and what is noted when some no longer count.

``classes`` in a version's info is what held when it was saved; most of it may be carried over. What it said itself, and
what was noted before it, stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hepatic.store.label import RESTORED, Label

CLASSES, SAID, BEFORE = "classes", "classes_said", "classes_before"
"""Keys of a version's info, each with classes by note; an empty text is a class that was taken back."""


def told_with(said: Mapping[str, str], noted: Mapping[str, str]) -> dict[str, Any]:
    """Return the info of a version that says classes of an image of which others are noted."""
    return {CLASSES: {**noted, **said}, SAID: dict(said), BEFORE: dict(noted)}


def said_by(label: Label) -> dict[str, str]:
    """Return the classes that a version says itself, by note."""
    said = label.info.get(SAID, label.info.get(CLASSES))
    return {str(note): str(name) for note, name in said.items()} if isinstance(said, Mapping) else {}


def counting(history: Sequence[Label]) -> Iterator[Label]:
    """Yield the versions whose words count, the newest first: without what was undone, and nothing before a removal.

    Args:
        history: all versions of a label, the oldest first.
    """
    at = len(history)
    while at and not history[at - 1].removed:
        restored = history[at - 1].info.get(RESTORED)
        if isinstance(restored, int) and 0 < restored < at:
            at = restored
        else:
            yield history[at - 1]
            at -= 1


def taken_back(gone: Iterable[Label], noted: Mapping[str, Any]) -> dict[str, str]:
    """Return what changes in the notes of an image when versions no longer count; what they did not say stays.

    Args:
        gone: the versions, the newest first.
        noted: the notes now.
    """
    left: dict[str, str] = {}
    for one in gone:
        before = one.info.get(BEFORE)
        for note, name in said_by(one).items():
            if left.get(note, noted.get(note) or "") == name:
                left[note] = str(before.get(note) or "") if isinstance(before, Mapping) else ""
    return left
