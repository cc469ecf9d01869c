"""Save a label that was found beside its image, where it replaces nothing that a reader here or another object said."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from hepatic.adapters.read_classes import named_classes, sayable_classes, valid_classes
from hepatic.errors import BadInputError, ConflictError
from hepatic.io.dicom_label_header import LabelHeader
from hepatic.io.markups import read_rois
from hepatic.pacs.inbox import SOURCE, Inbox, Origin, is_later, said, structures
from hepatic.store.disk import sha256_of
from hepatic.store.label import FINAL, RESTORED, Label
from hepatic.store.labels import Labels
from hepatic.store.said import BEFORE, CLASSES, SAID, taken_back
from hepatic.store.store import Store
from server.pacs.existing import Existing

FURTHER = ("pacs", *(f"pacs-{number}" for number in range(2, 10)))
"""Tags of labels that were found where a reader, or an object of another series, has said something already."""

logger = logging.getLogger(__name__)

_LOOKS = 5
_SAME_MM = 0.1


def save_found(
    store: Store,
    inbox: Inbox,
    image_id: str,
    label: Existing,
    header: LabelHeader,
    *,
    known: Mapping[str, Sequence[str]],
) -> str:
    """Save a label that an object holds; return its tag, empty where nothing is to be saved.

    It gets its own tag, or the first of ``FURTHER``, that nobody has used or whose label was read from an object of the
    same series that is not newer and names no structure that this one lacks. Nothing is to be saved of what was saved
    before (it is entered in the record where that was lost), of a report of findings that one of another series has
    told, where it is not later or says the same of them, nor of an object that is older than another of its series.

    Args:
        store: that has the image.
        inbox: the record.
        image_id: of the image.
        label: what was read; its file is copied.
        header: of the object.
        known: classes by note. Those that a final label says become notes of the image where it has none.

    Raises:
        BadInputError: all tags are taken.
        ConflictError: others kept saving meanwhile.
    """
    classes = _classes(label, known)
    for _ in range(_LOOKS - 1):
        try:
            return _save(store, inbox, image_id, label, header, classes)
        except ConflictError:
            continue
    return _save(store, inbox, image_id, label, header, classes)


def _save(
    store: Store, inbox: Inbox, image_id: str, label: Existing, header: LabelHeader, classes: Mapping[str, str]
) -> str:
    labels = store.labels
    info = {**label.info, CLASSES: dict(classes)} if classes else label.info
    tags = (label.tag, *FURTHER)
    histories = {tag: labels.history(image_id, tag) for tag in tags}
    sha256, says = sha256_of(label.file), said(info)
    origins = [one for one in inbox.origins(image_id) if one.part == label.tag]
    origins = [one for one in origins if _is_saved(one, histories[one.tag])]
    read_from = partial(
        Origin,
        image_id=image_id,
        sha256=sha256,
        part=label.tag,
        sop_uid=header.sop_uid,
        series_uid=header.series_uid,
        made=header.made,
        tracking=label.tracking,
    )
    versions = [one for history in histories.values() for one in history]
    entered = {(one.tag, one.version) for one in origins}
    for one in versions:
        is_same = one.sha256 == sha256 and said(one.info) in (says, said(label.info))
        if is_same and _is_of(one, header) and (one.tag, one.version) not in entered:
            inbox.enter(read_from(tag=one.tag, version=one.version, said=said(one.info)))
            return ""
    if any(_says_as_much(labels, one, label, header, sha256, says) for one in origins):
        return ""
    of_series = [one for one in origins if one.series_uid == header.series_uid]
    mine = {(one.tag, one.version) for one in of_series if structures(one.said) <= structures(says)}
    if not mine and any((one.sha256, said(one.info)) == (sha256, says) for one in versions):
        return ""
    for tag, history in histories.items():
        head = history[-1] if history and not history[-1].removed else None
        if head is None or ((tag, head.version) in mine and inbox.is_found(head)):
            break
    else:
        raise BadInputError(
            "the object", expected=f"at most {len(tags)} labels of an image", came="another", fix="Remove one of them."
        )
    origin = read_from(tag=tag, version=history[-1].version + 1 if history else 1, said=says)
    noted = store.images.get(image_id).info
    gone = taken_back([head], noted) if head and tag == FINAL else {}
    before = {note: str(gone.get(note, noted.get(note) or "")) for note in classes}
    inbox.enter(origin)  # first: a label without it would count as a reader's
    try:
        labels.save(
            image_id,
            tag,
            label.file,
            author=label.author,
            model=label.model,
            model_hash=label.model_version,
            info={
                **info,
                SOURCE: {"sop_uid": header.sop_uid, "series_uid": header.series_uid},
                SAID: dict(classes),
                BEFORE: before,
            },
            after=history,
        )
    except BaseException:
        inbox.strike(origin)
        raise
    if tag == FINAL:
        new = {note: name for note, name in classes.items() if not before[note]}
        store.images.update_info(image_id, {**gone, **new})
    return tag


def _classes(label: Existing, known: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the classes that a label says by note; those that there are not are passed over."""
    outright = label.info.get(CLASSES)
    if outright is None:
        return named_classes(label.drawn, known, {})
    valid, refused = valid_classes(outright, sayable_classes(known))
    if refused is not None:
        logger.info("a class of a label that was found is not noted: %s", type(refused).__name__)
    return valid


def _is_of(label: Label, header: LabelHeader) -> bool:
    """Whether a label says it was read from an object; it is believed only where it is the same."""
    source = label.info.get(SOURCE)
    return isinstance(source, Mapping) and source.get("sop_uid") == header.sop_uid and RESTORED not in label.info


def _is_saved(origin: Origin, history: Iterable[Label]) -> bool:
    return any((one.version, one.sha256) == (origin.version, origin.sha256) for one in history)


def _says_as_much(labels: Labels, origin: Origin, label: Existing, header: LabelHeader, sha256: str, says: str) -> bool:
    """Whether a label that is there already is this one, or a newer one of its series, or of the same findings."""
    if origin.series_uid == header.series_uid:
        if origin.sop_uid == header.sop_uid:
            return origin.sha256 == sha256
        return origin.made > header.made and structures(says) <= structures(origin.said)
    if not label.tracking or not set(label.tracking) <= set(origin.tracking):
        return False
    return not is_later(header.made, origin.made) or _is_same_report(labels, origin, label, says)


def _is_same_report(labels: Labels, origin: Origin, label: Existing, says: str) -> bool:
    """Whether a report says of each of its findings what another one did: its class, and where it is."""
    there = read_rois(labels.path(labels.get(origin.image_id, origin.tag, origin.version)))
    told = {str(one.about.get("candidate")): one for one in there}
    rois = [(one, told[str(one.about.get("candidate"))]) for one in read_rois(label.file)]
    return json.loads(says)[0] == json.loads(origin.said)[0] and all(
        one.about.get("class") == other.about.get("class") and np.allclose(one.box, other.box, rtol=0, atol=_SAME_MM)
        for one, other in rois
    )
