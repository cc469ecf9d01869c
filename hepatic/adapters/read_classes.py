"""The class of an image in what a reader saved of it: from 3D Slicer, from a page, or by REST."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.engine.cases import label_names, names_in
from hepatic.errors import BadInputError
from hepatic.io.labelmap import read_labelmap
from hepatic.io.markups import read_rois
from hepatic.tasks.spec import ClassificationTask, Task

_FINAL = "final"
_PROBABILITY = re.compile(r"\s*p\s*=\s*[01]?[.,]?\d*\s*(\([^()]*\))?\s*$")


def take_classes(datastore: HepaticDatastore, image_id: str, tasks: Iterable[Task]) -> dict[str, str]:
    """Note the classes that the final label of an image says, and keep them with that version of the label.

    They are in ``classes`` of the label's info, by note (``{"diagnosis": "hcc"}``; an empty text takes a class back),
    or in the names of its segments or regions of interest: ``hcc``, ``HCC p=0.93`` or ``non-HCC``. A name counts where
    something is drawn under it; names that contradict one another, and those that are no classes, say nothing.

    Args:
        datastore: which has a final label of the image.
        image_id: which image.
        tasks: classifiers that learn from what readers draw give the classes; others are passed over.

    Returns:
        Class by note; nothing where the label says none.

    Raises:
        BadInputError: ``classes`` holds a note or a class that there is not.
    """
    modality = datastore.get_image_info(image_id)["modality"]
    known = {
        task.note: task.classes
        for task in tasks
        if isinstance(task, ClassificationTask) and task.uses_boxes and task.modality == modality
    }
    info = datastore.get_label_info(image_id, _FINAL) if known else {}
    said = info.get("classes")
    if said is not None:
        classes = checked_classes(said, known)
    else:
        names = _drawn(datastore, image_id, info) if known else []
        told = {note: {class_named(name, of) for name in names} - {None} for note, of in known.items()}
        classes = {note: str(*found) for note, found in told.items() if len(found) == 1}
    if classes:
        if said is None:
            datastore.update_label_info(image_id, _FINAL, {"classes": classes})
        datastore.update_image_info(image_id, classes)
    return classes


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


def class_named(name: str, classes: Collection[str]) -> str | None:
    """Return the class that the name of a segment means, however it is spelt; None where it is none."""
    plain = re.sub(r"[\s_-]+", "_", _PROBABILITY.sub("", name.strip().lower()))
    return plain if plain in classes else None


def _drawn(datastore: HepaticDatastore, image_id: str, info: Mapping[str, Any]) -> list[str]:
    """Return the names under which something is drawn."""
    label = Path(datastore.get_label_uri(image_id, _FINAL))
    if label.suffix.lower() == ".json":
        return [str(roi.about.get("class") or roi.label) for roi in read_rois(label)]
    labelmap = read_labelmap(label)
    named = labelmap.names or names_in(labelmap, label_names(info))
    values = {int(value) for value in np.unique(labelmap.array)}
    return [name for name, value in named.items() if value in values]
