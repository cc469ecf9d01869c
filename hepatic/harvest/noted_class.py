"""The class that is noted of an image, as a snapshot holds it: with the very version of the label that shows where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hepatic.engine.cases import ClassCase
from hepatic.engine.eligibility import NOTE, Eligibility
from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.snapshots import check_snapshot
from hepatic.store.label import FINAL, Label, check_unchanged, label_names
from hepatic.store.said import counting, said_by
from hepatic.store.store import Store
from hepatic.tasks.spec import ClassificationTask

REVIEW = "review"
"""Key of a label's info: the study under review, the event that settled the class (empty where it was taken back), the
version that says it, and whether it was undone."""


@dataclass(frozen=True)
class Drawn:
    """A version of the final label of an image.

    Attributes:
        version: which.
        sha256: of its file.
        names: label value by structure, where viewers sent them beside it.
    """

    version: int
    sha256: str
    names: Mapping[str, int]


@dataclass(frozen=True)
class NotedClass:
    """What a classifier learns of one image.

    Attributes:
        image_id: in the datastore.
        patient_id: PatientID; the image where it has none.
        modality: of the image.
        note: key of the note.
        name: what it says.
        label: where the lesions are; None where nobody has drawn them, or no classifier wants to know.
        eligibility: what a reader says of it (``hepatic.engine.eligibility``); empty where nobody has.
    """

    image_id: str
    patient_id: str
    modality: str
    note: str
    name: str
    label: Drawn | None
    eligibility: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as a snapshot holds it."""
        return asdict(self)

    def case(self, store: Store) -> ClassCase:
        """Return it to be learnt from.

        Raises:
            NotFoundError: the image or the version of its label has gone.
            ConflictError: that version is not the file that was saved.
        """
        return ClassCase(
            image_id=self.image_id,
            patient_id=self.patient_id,
            source=store.source(self.image_id),
            truth=self.name,
            label=None if self.label is None else _file(self.image_id, self.label, store),
            names={} if self.label is None else self.label.names,
            said=self.eligibility,
        )


def told(label: Label) -> dict[str, Any]:
    """Return what a version says of the review it comes from; nothing where it is one that only took it over."""
    about = label.info.get(REVIEW)
    return about if isinstance(about, dict) and about.get("version") == label.version else {}


def noted_classes(
    store: Store, tasks: Iterable[ClassificationTask], *, read: Mapping[tuple[str, str], str] | None = None
) -> list[NotedClass]:
    """Return what is noted of images now, for each classifier that is to learn from it.

    Args:
        store: of the images.
        tasks: the classifiers.
        read: the class that readers agree on, by image and note; it counts where nothing is noted, unless somebody
            took the class back at its image.
    """
    read = {
        key: name
        for key, name in (read or {}).items()
        if not is_taken_back(store.labels.history(key[0], FINAL), key[1])
    }
    asked: dict[tuple[str, str], bool] = {}
    for task in tasks:
        key = (task.note, task.modality)
        asked[key] = asked.get(key, False) or task.uses_boxes
    drawn = {}
    if any(asked.values()):
        drawn = {
            one.image_id: Drawn(one.label_version, one.label_sha256, label_names(one.label_info))
            for one in store.labelled_cases(FINAL)
        }
    return [
        NotedClass(
            image_id=image.id,
            patient_id=image.patient_id or image.id,
            modality=modality,
            note=note,
            name=name,
            label=drawn.get(image.id) if uses_boxes else None,
            eligibility=str(image.info.get(NOTE) or ""),
        )
        for (note, modality), uses_boxes in sorted(asked.items())
        for image in sorted(store.images.all(modality=modality), key=lambda one: one.id)
        if (name := str(image.info.get(note) or read.get((image.id, note), "")))
    ]


def snapshot_class_cases(file: Path, task: ClassificationTask, store: Store) -> list[ClassCase]:
    """Return what a snapshot holds for a classifier, whatever has been said since.

    Args:
        file: a snapshot of the review store.
        task: the classifier.
        store: of its images.

    Raises:
        BadInputError: the snapshot was changed or damaged, has nothing for this classifier, or an image or label in it
            has gone.
    """
    told = [_read(one) for one in check_snapshot(file).get("labels", [])]
    own = [one for one in told if (one.note, one.modality) == (task.note, task.modality)]
    cases, gone = [], []
    for one in own:
        try:
            cases.append(one.case(store))
        except NotFoundError:
            gone.append(one.image_id)
    if gone or not cases:
        raise BadInputError(
            f"snapshot {file.stem[:12]}",
            expected=f"images with the note '{task.note}', all of them and their labels still there",
            came=f"{len(gone)} of {len(own)} that have gone, first {gone[0]}" if gone else "none",
            fix="Name the classes of images if there are none, and take a new snapshot.",
        )
    return cases


def examined(store: Store, image_id: str, notes: Mapping[str, str | None]) -> Eligibility:
    """Return what speaks against learning from an image, whatever is noted of it and drawn on it.

    Args:
        store: of the image.
        image_id: which image.
        notes: keys of the notes of which one has to hold its class; each with the class that says that there is no
            lesion, if there is one.

    Raises:
        NotFoundError: there is no such image, or its files have gone.
        BadInputError: it cannot be read, or is no ultrasound.
    """
    image, history = store.images.get(image_id), store.labels.history(image_id, FINAL)
    head = history[-1] if history and not history[-1].removed else None
    classes = {note: str(image.info[note]) for note in sorted(notes) if image.info.get(note)}
    case = ClassCase(
        image_id=image_id,
        patient_id=image.patient_id,
        source=store.source(image_id),
        truth=next(iter(classes.values()), ""),
        label=None if head is None else store.labels.path(head),
        names={} if head is None else label_names(head.info),
        said=str(image.info.get(NOTE) or ""),
    )
    shows_lesion = all(name != notes[note] for note, name in classes.items())
    return with_its_study(case, store).eligibility(shows_lesion=shows_lesion)


@dataclass(frozen=True)
class OthersOfStudy:
    """Paths of the other images of an image's study, of the same modality, each asked for when its turn comes.

    Those that are on this machine come first, and those of another length: a cine's stills, a still's cines. One that
    has gone is passed over; one that cannot be had ends it with that error.

    Attributes:
        store: of the images.
        image_id: of the image.
    """

    store: Store
    image_id: str

    def __iter__(self) -> Iterator[Path]:
        own = self.store.images.get(self.image_id)
        others = self.store.images.all(study_uid=own.study_uid, modality=own.modality) if own.study_uid else []
        for other in sorted(others, key=lambda one: (not self.store.is_here(one.id), one.size[2] == own.size[2])):
            if other.id != own.id:
                try:
                    path = self.store.source(other.id)
                except NotFoundError:
                    continue
                yield path


def with_its_study(case: ClassCase, store: Store) -> ClassCase:
    """Return a case with the other images of its study."""
    return replace(case, beside=OthersOfStudy(store, case.image_id))


def is_taken_back(history: Sequence[Label], note: str) -> bool:
    """Whether the last word about a note, but for what a review wrote itself, is that there is no class."""
    words = (said_by(one)[note] for one in counting(history) if note in said_by(one) and not told(one))
    return next(words, None) == ""


def _read(told: Mapping[str, Any]) -> NotedClass:
    return NotedClass(**{**told, "label": None if told["label"] is None else Drawn(**told["label"])})


def _file(image_id: str, label: Drawn, store: Store) -> Path:
    file = store.labels.path(store.labels.get(image_id, FINAL, label.version))
    fix = "Restore the labels folder from a backup, or take a new snapshot."
    check_unchanged(file, label.sha256, f"version {label.version} of the label of {image_id}", fix=fix)
    return file
