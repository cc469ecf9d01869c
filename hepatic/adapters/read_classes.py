"""The class of an image in what a reader saved of it: from 3D Slicer, from a page, or by REST."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hepatic.engine.eligibility import NOTE
from hepatic.engine.eligibility import SAID as ELIGIBLE_OR_NOT
from hepatic.engine.label_boxes import is_anatomy
from hepatic.engine.whole_image import without_outline
from hepatic.errors import BadInputError
from hepatic.io.labelmap import names_in, read_labelmap
from hepatic.io.markups import read_rois
from hepatic.labels import class_words
from hepatic.store.label import FINAL, Label, label_names
from hepatic.store.said import BEFORE, CLASSES, SAID, said_by, told_with
from hepatic.store.store import Store
from hepatic.tasks.spec import ClassificationTask, Task
from hepatic.transforms.us_lesion import WHOLE_IMAGE

_PROBABILITY = re.compile(r"\s*p\s*[=<>]\s*[01]?[.,]?\d*\s*(\([^()]*\))?\s*$")

_NO_BOX = (
    "Only a hollow frame was left, as around the whole image, so the class is noted without a box. Outline the lesion, "
    "filled, and submit again: models of one lesion learn nothing without it."
)
_UNTOUCHED = (
    "Only the frame around the whole image was left, as a model draws it that nobody has shown a lesion: no class is "
    "noted. Draw the lesion's box and submit again, or rename the segment to say the class without one."
)


@dataclass(frozen=True)
class Taken:
    """What a label said of the classes of its image.

    Attributes:
        classes: by note; an empty text for a class that was taken back. None where it said nothing.
        told: in words, what whoever saved it should know: something is drawn and its names say no class, or contradict
            one another; or only the frame of the whole image was left, and so no lesion is outlined, nor a class said
            where a model named it that judges one lesion. Else empty.
    """

    classes: Mapping[str, str] = field(default_factory=dict)
    told: str = ""


def take_classes(store: Store, image_id: str, tasks: Collection[Task], *, words: Collection[str] = ()) -> Taken:
    """Note the classes that the final label of an image says, and keep them with that version of the label.

    They are in ``classes`` of the label's info, by note (``{"diagnosis": "hcc"}``; an empty text takes a class back),
    or in the names of its segments or regions of interest: ``hcc``, ``HCC p=0.93``, ``non-HCC`` or ``hepatocellular
    carcinoma``. A name counts where something is drawn under it, the frame of the whole image where nothing else is,
    but not as a model named it that judges one lesion (``hcc p=0.98 (whole image)``); that of the class that shows
    nothing (``ClassificationTask.absent``) also where no lesion is drawn at all. Names that contradict one another, and
    those that are no classes, say nothing. What another note says is taken back where a name contradicts it:
    ``metastasis`` does ``{"diagnosis": "hcc"}``, since an image that is called one is not called the other.

    Args:
        store: which has a final label of the image.
        image_id: which image.
        tasks: classifiers that learn from what readers draw give the classes; others are passed over.
        words: what is said of the whole image, which counts as the names do.

    Raises:
        BadInputError: ``classes`` holds a note or a class that there is not.
    """
    image = store.images.get(image_id)
    known, absent = known_classes(tasks, image.modality), absent_classes(tasks, image.modality)
    if not known:
        return Taken()
    label = store.labels.latest(image_id, FINAL)
    sayable = sayable_classes(known)
    noted = {note: str(image.info[note]) for note in sayable if image.info.get(note)}
    names, has_outline = list(words), True
    if (outright := label.info.get(CLASSES)) is not None:
        classes = checked_classes(outright, sayable)
    else:
        drawn, has_outline = _drawn(store, label, absent)
        names += drawn
        classes = named_classes(names, known, {note: noted[note] for note in known if note in noted})
    store.labels.update_info(image_id, FINAL, {SAID: classes, BEFORE: noted, **({CLASSES: classes} if classes else {})})
    store.images.update_info(image_id, classes)
    if outright is None and names and not classes:
        return Taken(classes, _unread(names, known))
    if has_outline:
        return Taken(classes)
    return Taken(classes, _NO_BOX if names else _UNTOUCHED)


def take_unsaid_classes(
    store: Store,
    image_id: str,
    version: int,
    tasks: Collection[Task],
    *,
    words: Collection[str] = (),
    classes: Mapping[str, str] | None = None,
) -> Mapping[str, str]:
    """Note the classes that an earlier version of the final label names, if nobody has said any of the image since.

    So a label that was imported before names were read says its classes, too, and no reader's word is written over.

    Args:
        store: which has that version.
        image_id: which image.
        version: of its final label; 0 for none of them, and so for ``classes`` alone.
        tasks, words: as ``take_classes``.
        classes: what is said of the image outright, by note; it becomes the latest version's.

    Returns:
        What is noted now that was not, by note.
    """
    image, history = store.images.get(image_id), store.labels.history(image_id, FINAL)
    known = known_classes(tasks, image.modality)
    is_said = any(image.info.get(note) for note in known) or any(known.keys() & said_by(one).keys() for one in history)
    if not known or is_said or history[-1].removed:
        return {}
    own = store.labels.get(image_id, FINAL, version) if version else None
    found = (
        named_classes([*_drawn(store, own, absent_classes(tasks, image.modality))[0], *words], known, {}) if own else {}
    )
    found |= classes or {}
    if found and (classes or own == history[-1]):
        store.labels.update_info(image_id, FINAL, told_with(found, {}))
    store.images.update_info(image_id, found)
    return found


def known_classes(tasks: Iterable[Task], modality: str) -> dict[str, Sequence[str]]:
    """Return the classes, by note, that readers can say of an image of a modality."""
    return {task.note: task.classes for task in _of_modality(tasks, modality)}


def absent_classes(tasks: Iterable[Task], modality: str) -> set[str]:
    """Return the classes of images of a modality that show nothing of what a task looks for."""
    return {task.absent for task in _of_modality(tasks, modality) if task.absent is not None}


def _of_modality(tasks: Iterable[Task], modality: str) -> Iterator[ClassificationTask]:
    for task in tasks:
        if isinstance(task, ClassificationTask) and task.uses_boxes and task.modality == modality:
            yield task


def sayable_classes(known: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return what can be said outright where some classes can: these, and whether the image is fit to learn from."""
    return {**known, NOTE: ELIGIBLE_OR_NOT} if known else {}


def named_classes(
    names: Collection[str], known: Mapping[str, Collection[str]], noted: Mapping[str, str]
) -> dict[str, str]:
    """Return the classes that names say by note, and an empty text for what is noted that they contradict.

    Names that contradict one another in one note say nothing of any: ``hcc`` and ``non_hcc`` give no lesion type.
    """
    told = _told(names, known)
    if _contradictory(told):
        return {}
    classes = {note: str(*found) for note, found in told.items() if found}
    gone = {
        note: ""
        for note, name in noted.items()
        if not told[note] and any(name in known[other] and name != said for other, said in classes.items())
    }
    return {**classes, **gone}


def _told(names: Collection[str], known: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    return {note: {found for name in names if (found := class_named(name, of))} for note, of in known.items()}


def _contradictory(told: Mapping[str, Collection[str]]) -> list[str]:
    return sorted({name for found in told.values() if len(found) > 1 for name in found})


def _unread(names: Collection[str], known: Mapping[str, Collection[str]]) -> str:
    if several := _contradictory(_told(names, known)):
        return (
            f"What is drawn is named {' and '.join(several)}, which contradict one another, so what is noted stays. "
            "Empty or delete the segment that is wrong, and submit again."
        )
    listed = ", ".join(dict.fromkeys(name for of in known.values() for name in of))
    return f"The names of what is drawn say no class, so what is noted stays. Classes are {listed}."


def checked_classes(said: Any, known: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return classes by note that a client sent; an empty text for one that is taken back.

    Raises:
        BadInputError: they are no such object, or hold a note or a class that there is not.
    """
    if not isinstance(said, Mapping):
        raise BadInputError(
            "classes", expected='an object such as {"diagnosis": "hcc"}', came=ascii(said)[:80], fix="Correct it."
        )
    for note, name in said.items():
        if note not in known:
            raise BadInputError(
                "classes", expected="notes of " + ", ".join(sorted(known)), came=ascii(note)[:80], fix="Correct it."
            )
        if not isinstance(name, str) or (name and name not in known[note]):
            raise BadInputError(
                f"class '{note}'", expected="one of " + ", ".join(known[note]), came=ascii(name)[:80], fix="Correct it."
            )
    return {str(note): str(name) for note, name in said.items()}


def valid_classes(
    said: Mapping[str, Any], known: Mapping[str, Sequence[str]]
) -> tuple[dict[str, str], BadInputError | None]:
    """Return those classes by note that there are, and why the first other one is refused."""
    valid: dict[str, str] = {}
    refused: BadInputError | None = None
    for note, name in said.items():
        try:
            valid |= checked_classes({note: name}, known)
        except BadInputError as why:
            refused = refused or why
    return valid, refused


def class_named(name: str, classes: Collection[str]) -> str | None:
    """Return the class that the name of a segment means, however it is spelt; None where it is none."""
    words = [word.replace(" ", "_") for word in class_words(_PROBABILITY.sub("", name))]
    return next((word for word in words if word in classes), None)


def _drawn(store: Store, label: Label, absent: Collection[str]) -> tuple[list[str], bool]:
    """Return the names under which something is drawn, and whether that is more than the frame of the whole image.

    Where no lesion is drawn, the empty segments that are named so (``absent``) count, too, but those that a model named
    (``homogeneous p=0.04``): they come with every answer. Nor does a frame count that a model of one lesion named
    (``hcc p=0.98 (whole image)``): nobody showed it one.
    """
    file = store.labels.path(label)
    if file.suffix.lower() == ".json":
        return [str(roi.about.get("class") or roi.label) for roi in read_rois(file)], True
    labelmap = read_labelmap(file)
    named = labelmap.names or names_in(labelmap, label_names(label.info))
    values = {int(value) for value in np.unique(labelmap.array)} - {0}
    drawn = {int(value) for value in np.unique(without_outline(labelmap.array))} - {0}
    names = [name for name, value in named.items() if value in (drawn or values)]
    if not drawn:
        names = [name for name in names if WHOLE_IMAGE not in name or not _PROBABILITY.search(name)]
    if drawn <= set(named.values()) and all(is_anatomy(name) for name in names):
        empty = [name for name, value in named.items() if value not in values and not _PROBABILITY.search(name)]
        names += [name for name in empty if class_named(name, absent)]
    return names, bool(drawn or not values)
