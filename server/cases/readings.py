"""What readers say of an ultrasound image: its classes and the boxes of its lesions, with who said it when.

A reading is a version of the image's final label, so that Slicer, REST and the page write one history. Its boxes are
the label; its classes are in the label's info and, for training, in the notes of the image.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hepatic.adapters.read_classes import checked_classes
from hepatic.boxes import from_voxels
from hepatic.errors import BadInputError, ConflictError
from hepatic.geometry import Grid
from hepatic.harvest.noted_class import REVIEW
from hepatic.io.markups import ROI, encode_rois, read_rois
from hepatic.store.label import FINAL, RESTORED, Label, segment_names
from hepatic.store.said import BEFORE, SAID, counting, said_by, taken_back, told_with
from hepatic.store.store import Store
from server.cases.cases import Box, DrawnBox

_MOST_BOXES = 50
_LEAST_PX = 2.0
_EVENT = "event"
OURS = frozenset({RESTORED, SAID, BEFORE, REVIEW, _EVENT})
"""Keys of a version's info that decide what counts: only hepatic writes them, whatever a client sends back."""

_saving = threading.Lock()


def latest(store: Store, image_id: str) -> Label | None:
    """Return the label that counts; None if there is none, or it was taken back."""
    history = store.labels.history(image_id, FINAL)
    return history[-1] if history and not history[-1].removed else None


def classes_of(store: Store, image_id: str, notes: Collection[str]) -> dict[str, str]:
    """Return the class that is noted of an image, by note."""
    info = store.images.get(image_id).info
    return {note: str(info[note]) for note in sorted(notes) if info.get(note)}


def history_of(store: Store, image_id: str) -> list[dict[str, Any]]:
    """Return who said what, the newest first; ``restored_from`` is the version that counts again after an undo."""
    return [
        {
            "version": one.version,
            "by": one.author,
            "at": one.created,
            "model": one.model,
            "classes": said_by(one),
            "segments": segment_names(one.info),
            "removed": one.removed,
            "restored_from": one.info.get(RESTORED),
        }
        for one in reversed(store.labels.history(image_id, FINAL))
    ]


def save(
    store: Store,
    image_id: str,
    *,
    known: Mapping[str, Collection[str]],
    by: str,
    seen: int,
    folder: Path,
    classes: Mapping[str, Any] | None = None,
    boxes: Sequence[Box] | None = None,
    frames: Sequence[int] | None = None,
    drawn: Sequence[DrawnBox] = (),
    grid: Grid,
    event: str = "",
) -> Label:
    """Keep what a reader says as the next version of the final label.

    Args:
        store: of the image.
        image_id: which image.
        known: classes by note.
        by: who says it.
        seen: the version they have seen, 0 for none.
        folder: for a temporary file.
        classes: by note; those not named stay, an empty text takes one back.
        boxes: of all lesions there are, in pixels; None keeps what is drawn.
        frames: on which each of them was drawn; None is the first for all.
        drawn: boxes of the version they have seen; those that did not change stay on all their frames.
        grid: of the image.
        event: names this saying; what was said under this name before is kept already, and not kept again.

    Raises:
        BadInputError: a class is not known, or a box does not lie on the picture.
        ConflictError: somebody has said something since.
    """
    said = checked_classes(classes or {}, known)
    frames = [0] * len(boxes or ()) if frames is None else frames
    markups = None if boxes is None else _markups(boxes, frames, grid, drawn)
    with _saving:
        if before := _said_before(store, image_id, event):
            return before
        head = latest(store, image_id)
        _check_seen(store, image_id, seen)
        noted = classes_of(store, image_id, known)
        info = {**told_with(said, noted), _EVENT: event}
        temporary = folder / f"{uuid.uuid4().hex}.mrk.json"
        if markups is None and head is not None and _is_sound(store, head):
            kept = {key: value for key, value in head.info.items() if key not in (RESTORED, "user", "author")}
            source, info = store.labels.path(head), {**kept, **info}
        else:
            source = temporary
            source.write_bytes(markups or encode_rois([]))
        try:
            label = store.labels.save(image_id, FINAL, source, author=by, info=info)
        finally:
            temporary.unlink(missing_ok=True)
        store.images.update_info(image_id, said)
    return label


def _is_sound(store: Store, label: Label) -> bool:
    """Whether boxes can be read; what is said of an image does not carry broken ones on."""
    file = store.labels.path(label)
    if file.suffix != ".json":
        return True
    try:
        read_rois(file)
    except BadInputError:
        return False
    return True


def _said_before(store: Store, image_id: str, event: str) -> Label | None:
    if not event:
        return None
    return next((one for one in store.labels.history(image_id, FINAL) if one.info.get(_EVENT) == event), None)


def undo(
    store: Store, image_id: str, *, known: Collection[str], by: str, seen: int, event: str = ""
) -> tuple[int, int]:
    """Take back what was said last: what was said before counts again, as a new version.

    Args: as ``save``; what was taken back under the same ``event`` is not taken back again.

    Returns:
        The version that counts again, 0 where nothing was said before, and the new version.

    Raises:
        ConflictError: there is nothing, somebody has said something since, or the last word is somebody else's.
    """
    with _saving:
        if done := _said_before(store, image_id, event):
            return int(done.info.get(RESTORED) or 0), done.version
        _check_seen(store, image_id, seen)
        versions = list(counting(store.labels.history(image_id, FINAL)))
        if not versions:
            raise ConflictError("undo", expected="something that was said", came="nothing", fix="Nothing to take back.")
        said, before = versions[0], versions[1] if len(versions) > 1 else None
        if said.author != by:
            raise ConflictError(
                "undo",
                expected="what you said yourself",
                came=f"what {said.author or 'somebody without a name'} said",
                fix="Say what you see; theirs stays in the history.",
            )
        if before is None:
            made = store.labels.remove(image_id, FINAL, author=by, info={_EVENT: event})
        else:
            made = store.labels.restore(image_id, FINAL, before.version, author=by, info={_EVENT: event})
        left = taken_back([said], store.images.get(image_id).info)
        store.images.update_info(image_id, {note: name for note, name in left.items() if note in known})
        return 0 if before is None else before.version, made.version


def _check_seen(store: Store, image_id: str, seen: int) -> None:
    history = store.labels.history(image_id, FINAL)
    now = history[-1].version if history else 0
    if now != seen:
        raise ConflictError(
            "the reading",
            expected=f"version {seen} to be the last, which you have seen",
            came=f"version {now}, by {history[-1].author or 'somebody without a name'}" if history else "none",
            fix="Look at it, and say again what you see.",
        )


def _markups(boxes: Sequence[Box], frames: Sequence[int], grid: Grid, drawn: Sequence[DrawnBox]) -> bytes:
    width, height, count = grid.size
    if len(boxes) > _MOST_BOXES or len(boxes) != len(frames) or not all(0 <= frame < count for frame in frames):
        raise BadInputError(
            "the boxes",
            expected=f"{_MOST_BOXES} at most, each on a frame from 0 to {count - 1}",
            came=f"{len(boxes)}, on frames {', '.join(map(str, frames[:_MOST_BOXES])) or 'none'}",
            fix="Draw them on the picture, and name one frame for each.",
        )
    kept = {(one.frame, *one.box): one.span for one in drawn if one.span[0] < one.span[1]}
    corners = []
    for box, frame in zip(boxes, frames, strict=True):
        left, top, right, bottom = (float(edge) for edge in box)
        inside = left >= 0 and top >= 0 and right <= width and bottom <= height
        if not (inside and right - left >= _LEAST_PX and bottom - top >= _LEAST_PX):
            raise BadInputError(
                "a box",
                expected=f"left, top, right, bottom within {width} x {height} pixels, 2 pixels wide and high or more",
                came=", ".join(f"{edge:g}" for edge in box),
                fix="Draw it on the picture.",
            )
        first, past = kept.get((frame, *box), (frame, frame + 1))
        corners.append((first, top, left, past, bottom, right))
    return encode_rois(
        [ROI(tuple(box), "lesion") for box in from_voxels(np.array(corners).reshape(-1, 6), grid).tolist()]
    )
