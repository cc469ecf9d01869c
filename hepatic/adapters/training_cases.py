"""What a datastore knows, as cases to train on."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from hepatic.adapters import compat
from hepatic.adapters.datastore import HepaticDatastore
from hepatic.engine.cases import Case, ClassCase
from hepatic.engine.eligibility import NOTE
from hepatic.store.label import FINAL, label_names
from hepatic.tasks.spec import ClassificationTask, Task

compat.install()

from monailabel.interfaces.datastore import Datastore  # noqa: E402


def cases_for(task: Task, datastore: Datastore, *, coarse: bool = False) -> list[Case | ClassCase]:
    """Return what a task is trained on: final labels, or the classes that stand in the notes of images.

    Args:
        task: what is trained.
        datastore: any.
        coarse: whether images of which a data set gives a coarser class (``ClassificationTask.coarse``) are of use.
    """
    if isinstance(task, ClassificationTask):
        names = task.coarse if coarse else ()
        return list(
            classified_cases(datastore, modality=task.modality, note=task.note, drawn=task.uses_boxes, coarse=names)
        )
    return list(labelled_cases(datastore, modality=task.modality, markups=task.type == "detection"))


def classified_cases(
    datastore: Datastore, *, modality: str, note: str, drawn: bool = False, coarse: Container[str] = ()
) -> list[ClassCase]:
    """Images whose notes say their class.

    Args:
        datastore: any.
        modality: of the images.
        note: key of the note that holds the name of the class.
        drawn: whether the final labels, which show where the lesions are, are of use.
        coarse: classes that count, too, where a data set gives them (``class`` of the image's ``facts``) and nobody has
            said or taken back one.
    """
    labels = labelled_cases(datastore, modality=modality, markups=True) if drawn else []
    by_image = {case.image_id: case for case in labels}
    cases = []
    for image_id in datastore.list_images():
        info = datastore.get_image_info(image_id)
        facts = info.get("facts")
        given = facts.get("class") if isinstance(facts, Mapping) else None
        truth = info.get(note, given if isinstance(given, str) and given in coarse else "")
        if truth and info.get("modality", modality) == modality:
            label = by_image.get(image_id)
            cases.append(
                ClassCase(
                    image_id=image_id,
                    patient_id=str(info.get("patient") or image_id),
                    source=Path(datastore.get_image_uri(image_id)),
                    truth=str(truth),
                    label=None if label is None else label.label,
                    names={} if label is None else label.names,
                    said=str(info.get(NOTE) or ""),
                )
            )
    return cases


def labelled_cases(datastore: Datastore, *, modality: str, markups: bool = False) -> list[Case]:
    """Final labels of a datastore with their images and patients.

    A datastore other than hepatic's knows neither patients nor modalities: each image counts as a patient of its own.

    Args:
        datastore: any.
        modality: of the images.
        markups: whether labels that are markups (.json) are of use, too.
    """
    if isinstance(datastore, HepaticDatastore):
        return [
            Case(
                image_id=case.image_id,
                patient_id=case.patient_id,
                source=case.source,
                study_uid=case.study_uid,
                label=case.label,
                names=label_names(case.label_info),
                complete=case.label_info.get("boxes_known") != "positives_only",
            )
            for case in datastore.labelled_cases()
            if case.modality == modality and (markups or case.label.suffix != ".json")
        ]
    cases = []
    for image_id in datastore.get_labeled_images():
        label_id = datastore.get_label_by_image_id(image_id, FINAL)
        cases.append(
            Case(
                image_id=image_id,
                patient_id=image_id,
                source=Path(datastore.get_image_uri(image_id)),
                label=Path(datastore.get_label_uri(label_id, FINAL)),
                names=label_names(datastore.get_label_info(label_id, FINAL)),
            )
        )
    return cases
