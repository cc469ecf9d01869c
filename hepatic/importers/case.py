"""What an importer finds in a data set: images, whose they are, and what is marked in them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydicom.uid import UID

from hepatic.boxes import Boxes
from hepatic.geometry import Grid
from hepatic.io.dicom_report_read import ReadReport
from hepatic.io.image import Labelmap, Modality

Known = Literal["complete", "positives_only"]
"""Whether every lesion of the image is marked, so that the rest of the liver is free of them."""

ReportReader = Callable[[Path], tuple[ReadReport | None, str]]

LIVER, TUMOUR = "liver", "tumour"
VALUES = {LIVER: 1, TUMOUR: 2}
"""Label values in imported labelmaps, those of LiTS."""

_NAMESPACE = uuid.UUID("6f0d2f04-9a5b-4c1e-8a6e-3d2b6f6f7a10")


@dataclass(frozen=True)
class DataSet:
    """Where images come from.

    Attributes:
        name: as it is cited.
        licence: under which its data are given, as its publisher states it; a pointer where it does not name one.
        url: where it is published.
    """

    name: str
    licence: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """One image of a data set, not read yet.

    Attributes:
        name: what it is called here: the id of the image, safe or not; SeriesInstanceUID for DICOM.
        origin: what it is called there, such as a file name.
        patient_id: of the patient, the same for all images of one; empty where the DICOM files say it.
        study_uid: StudyInstanceUID, the same for the phases of one examination; likewise.
        description: SeriesDescription, such as the contrast phase; likewise.
        modality: DICOM's.
        image: gives the image's files, one NIfTI or NRRD file or the slices of a DICOM series; what has to be made is
            written to the folder it is given. No file means an image of this name that is in the studies already.
        instance_uids: SOPInstanceUIDs that such an image has one of, where it is one of several cines of a series.
        label: gives the labelmap on the image's grid; None where nothing is segmented.
        report: gives what readers say of the image, from its file or the folder with its files, and why some of it was
            left out; its boxes count where nothing is segmented.
        boxes: gives boxes around lesions, (N, 6) LPS millimetres; None where they are those of the labelmap.
        known: whether all lesions are marked.
        said: words for classes of the whole image, beside those under which something is drawn.
        facts: what else the data set says of it, JSON.
    """

    name: str
    origin: str
    patient_id: str = ""
    study_uid: str = ""
    description: str = ""
    modality: Modality = "CT"
    image: Callable[[Path], Sequence[Path]]
    instance_uids: frozenset[str] = frozenset()
    label: Callable[[Grid], Labelmap] | None = None
    boxes: Callable[[Grid], Boxes] | None = None
    report: ReportReader | None = None
    known: Known = "complete"
    said: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


def study_uid_of(*names: str) -> str:
    """Return a StudyInstanceUID for an examination that has none: the same for the same names, always."""
    return str(UID(f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(names)).int}"))


def file_of(path: Path) -> Callable[[Path], Sequence[Path]]:
    """Return ``Case.image`` for an image that is a file already."""
    return lambda _scratch: [path]
