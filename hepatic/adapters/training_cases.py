"""What a datastore knows, as cases to train on."""

from __future__ import annotations

from pathlib import Path

from hepatic.adapters import compat
from hepatic.adapters.datastore import HepaticDatastore
from hepatic.engine.cases import Case, ClassCase
from hepatic.engine.eligibility import NOTE
from hepatic.store.label import FINAL, label_names
from hepatic.tasks.spec import ClassificationTask, Task

compat.install()

from monailabel.interfaces.datastore import Datastore  # noqa: E402


def cases_for(task: Task, datastore: Datastore) -> list[Case | ClassCase]:
    """Return what a task is trained on: final labels, or the classes that stand in the notes of images.

    Args:
        task: what is trained.
        datastore: any.
    """
    if isinstance(task, ClassificationTask):
        return list(classified_cases(datastore, modality=task.modality, note=task.note, drawn=task.uses_boxes))
    return list(labelled_cases(datastore, modality=task.modality, markups=task.type == "detection"))


def classified_cases(datastore: Datastore, *, modality: str, note: str, drawn: bool = False) -> list[ClassCase]:
    """Images whose notes say their class.

    Args:
        datastore: any.
        modality: of the images.
        note: key of the note that holds the name of the class.
        drawn: whether the final labels, which show where the lesions are, are of use.
    """
    labels = labelled_cases(datastore, modality=modality, markups=True) if drawn else []
    by_image = {case.image_id: case for case in labels}
    cases = []
    for image_id in datastore.list_images():
        info = datastore.get_image_info(image_id)
        if info.get(note) and info.get("modality", modality) == modality:
            label = by_image.get(image_id)
            cases.append(
                ClassCase(
                    image_id=image_id,
                    patient_id=str(info.get("patient") or image_id),
                    source=Path(datastore.get_image_uri(image_id)),
                    truth=str(info[note]),
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
