"""An image with a label to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LabelledCase:
    """An image with a label to learn from.

    Attributes:
        study_uid: StudyInstanceUID; empty where the file does not say.
        source: the image's file, or the folder with its series.
        files: all its files.
        label: the label's file.
        label_version: which version that is.
        label_sha256: names the content of the label: what was trained on can be told later.
        label_info: what the client sent along with it, such as the names of the segments.
    """

    image_id: str
    patient_id: str
    study_uid: str
    modality: str
    source: Path
    files: tuple[Path, ...]
    label: Path
    label_version: int
    label_sha256: str
    label_info: dict[str, Any]
