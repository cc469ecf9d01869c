"""What a NIfTI or NRRD file cannot say of itself, in a JSON file beside it.

``scan.json`` beside ``scan.nii.gz``, with DICOM's keywords, as dcm2niix and BIDS write it: ``PatientID``,
``StudyInstanceUID``, ``SeriesDescription``, ``Modality``. Without the first, each file is a patient of its own; without
the second, phases of one examination do not find each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from hepatic.errors import BadInputError
from hepatic.io.image import Modality
from hepatic.io.labelmap import write_atomically
from hepatic.io.refusal import refusing

EXPECTED = "a JSON object with DICOM keywords"
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr")
_LARGEST_BYTES = 1 << 20


@dataclass(frozen=True)
class Sidecar:
    """What is said beside an image; None where it is not.

    Attributes:
        patient_id: PatientID.
        study_uid: StudyInstanceUID.
        series_description: SeriesDescription.
        modality: Modality; another than those hepatic knows is none.
    """

    patient_id: str | None = None
    study_uid: str | None = None
    series_description: str | None = None
    modality: Modality | None = None


def sidecar_path(image: Path) -> Path:
    """Return where the sidecar of an image is, if it has one."""
    suffix = next((suffix for suffix in _SUFFIXES if image.name.lower().endswith(suffix)), image.suffix)
    return image.with_name(image.name[: len(image.name) - len(suffix)] + ".json")


def read_sidecar(image: Path) -> Sidecar:
    """Read what is said beside an image; a JSON file that is no object is not a sidecar.

    Raises:
        BadInputError: a sidecar that is cut off or says other than texts: without the patient it names, the image
            could end up on both sides of a split.
    """
    path = sidecar_path(image)
    if not path.is_file() or path == image:
        return Sidecar()
    with refusing(path, expected=EXPECTED):
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_BYTES + 1)
        if len(data) > _LARGEST_BYTES:
            raise _refusal(path, f"more than {_LARGEST_BYTES} bytes")
        said = json.loads(data)
    if not isinstance(said, dict):
        return Sidecar()
    modality = _text(path, said, "Modality")
    return Sidecar(
        _text(path, said, "PatientID"),
        _text(path, said, "StudyInstanceUID"),
        _text(path, said, "SeriesDescription"),
        next((known for known in get_args(Modality) if known == modality), None),
    )


def write_sidecar(image: Path, said: Sidecar) -> Path:
    """Write what is to be said of an image beside it, atomically; return the path."""
    values = {
        "PatientID": said.patient_id,
        "StudyInstanceUID": said.study_uid,
        "SeriesDescription": said.series_description,
        "Modality": said.modality,
    }
    path = sidecar_path(image)
    text = json.dumps({keyword: value for keyword, value in values.items() if value}, indent=1)
    write_atomically(path, text.encode())
    return path


def _text(path: Path, said: dict[object, object], keyword: str) -> str | None:
    value = said.get(keyword)
    if value is None or isinstance(value, str):
        return value or None
    raise _refusal(path, f"a {keyword} that is a {type(value).__name__}")


def _refusal(path: Path, came: str) -> BadInputError:
    return BadInputError(path.name, expected=EXPECTED, came=came, fix="Mend the file, or remove it.")
