"""Which instance of which series an object is that hepatic writes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
from pydicom.dataset import Dataset

MAKER = "hepatic"
"""Manufacturer of the objects that hepatic writes."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "hepatic candidate")


def uid_of(*parts: str) -> str:
    """Return the DICOM UID of what some texts name, always the same (PS3.5, B.2: 2.25 and a UUID)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '|'.join(parts)).int}"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An object that is there already."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_uid: str

    def as_dataset(self) -> Dataset:
        """Return what highdicom asks of an object it refers to."""
        made = Dataset()
        made.StudyInstanceUID, made.SeriesInstanceUID = self.study_uid, self.series_uid
        made.SOPClassUID, made.SOPInstanceUID = self.sop_class_uid, self.sop_uid
        return made


@dataclass(frozen=True, kw_only=True)
class Instance:
    """The place of an object among others.

    Attributes:
        series_uid: the same for all versions of one result.
        sop_uid: its own.
        number: from 1; a later version has a higher one.
        replaces: the versions it stands for.
        note: what a person reads of the version; empty where there is one only.
    """

    series_uid: str
    sop_uid: str
    number: int = 1
    replaces: Sequence[Reference] = ()
    note: str = ""

    @classmethod
    def new(cls) -> Instance:
        """Return one that nobody will ask for again."""
        return cls(series_uid=hd.UID(), sop_uid=hd.UID())
