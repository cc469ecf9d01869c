"""What clients are told of images and labels, under the keys that MONAI Label's clients look for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from hepatic.store.images import Image
from hepatic.store.label import Label
from hepatic.store.names import label_suffix, split_suffix
from hepatic.store.store import Store

Info = dict[str, Any]


def image_info(image: Image) -> Info:
    """Return the notes of clients on an image, and what the index knows of it; without its path."""
    series = image.file_count > 1
    info = {
        **image.info,
        "name": f"{image.id}.nrrd" if series else Path(image.path).name,
        "modality": image.modality,
        "kind": image.kind,
        "size": list(image.size),
        "description": image.description,
        "patient": image.patient_id,
        "added": image.added,
    }
    if image.series_uid:
        info |= {
            "Modality": image.modality,
            "StudyInstanceUID": image.study_uid,
            "SeriesInstanceUID": image.series_uid,
        }
    if image.patient_id not in (image.study_uid, image.id):
        info["PatientID"] = image.patient_id
    if image.checksum:
        info["checksum"] = image.checksum
    return info


def label_info(label: Label) -> Info:
    """Return what was saved with a version of a label, and what is known of it."""
    return {
        **label.info,
        "name": Path(label.file).name,
        "ts": int(datetime.fromisoformat(label.created).timestamp()),
        "version": label.version,
        "author": label.author,
        "created": label.created,
        "checksum": f"SHA256:{label.sha256}",
    }


def listing(store: Store) -> Info:
    """Return all images with their labels in the form of the stock server's ``datastore_v2.json``."""
    labels: dict[str, Info] = {}
    for label in store.labels.heads():
        labels.setdefault(label.image_id, {})[label.tag] = {"ext": label_suffix(label.file), "info": label_info(label)}
    return {
        "images_dir": ".",
        "labels_dir": "labels",
        "objects": {
            image.id: {
                "image": {"ext": split_suffix(image.path)[1], "info": image_info(image)},
                "labels": labels.get(image.id, {}),
            }
            for image in store.images.all()
        },
    }
