"""A snapshot of verdicts as cases a detector is trained on: every phase a picture of its own (paper 001)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hepatic.boxes import Boxes
from hepatic.engine.split import Side
from hepatic.errors import BadInputError, NotFoundError
from hepatic.geometry import Grid
from hepatic.harvest.prepared_cache import load_prepared
from hepatic.harvest.snapshots import VERSION, check_snapshot
from hepatic.harvest.study import Phase, PreparedStudy
from hepatic.io.image import Volume
from hepatic.tasks.spec import Sample, Task

logger = logging.getLogger(__name__)

Prepare = Callable[[str], PreparedStudy]


@dataclass(frozen=True, kw_only=True, eq=False)
class SnapshotCase:
    """One phase of a reviewed study.

    Attributes:
        image_id: of the phase's series, in the datastore.
        patient_id: PatientID.
        study: StudyInstanceUID.
        part: side of the split, drawn by the review store for good.
        phase: which.
        content: of the prepared study.
        cache: folder of prepared studies.
        about: the study's entry in the snapshot.
        prepare: prepares the study again when it has gone from the cache, by its StudyInstanceUID; None cannot.
    """

    image_id: str
    patient_id: str
    study: str
    part: Side | None
    phase: Phase
    cache: Path
    prepared: str
    about: Mapping[str, Any]
    prepare: Prepare | None = None

    @property
    def complete(self) -> bool:
        """Whether every lesion of the study was known when it was read, whatever was proposed later."""
        return bool(self.about["complete"])

    def sample(self, task: Task) -> Sample:
        """Return the phase with its liver, boxes, hard negatives and candidates to be ignored.

        Raises:
            NotFoundError: the prepared study has gone from the cache and cannot be prepared again.
            BadInputError: it was prepared again and is another one.
        """
        study = self._study()
        if self.phase not in study.phases:
            raise BadInputError(
                f"study {self.study}",
                expected=f"its {self.phase.value} phase",
                came="a prepared study without it",
                fix="Propose the study again.",
            )
        primaries = [number for number, one in enumerate(self.about["boxes"]) if one.get("primary")]
        return {
            "source": task.accept(Volume(study.phases[self.phase].hu, study.grid, "CT")),
            "liver": study.liver,
            "options": task.parse_options({}),
            "boxes": _boxes(self.about["boxes"]),
            "negatives": _boxes(self.about["negatives"]),
            "ignored": _boxes(self.about["ignored"]),
            "complete": bool(self.about.get("background", self.about["complete"])),
            "all_known": self.complete,
            "primary": primaries[0] if primaries else None,
        }

    def _study(self) -> PreparedStudy:
        try:
            return _loaded(self.cache, self.prepared)
        except NotFoundError:
            if self.prepare is None:
                raise
            logger.info("Study %s has gone from the cache and is prepared again", self.study)
            return self._checked(self.prepare(self.study))

    def _checked(self, again: PreparedStudy) -> PreparedStudy:
        """Refuse a study that was not prepared as the one that was read: its boxes would lie elsewhere in it."""
        noted: Mapping[str, str] = self.about.get("image_ids", {})
        other = [
            f"another {phase.value} series"
            for phase, volume in again.phases.items()
            if noted.get(phase.value, volume.image_id) != volume.image_id
        ]
        if self.about.get("reference", again.reference.value) != again.reference.value:
            other.append(f"the {again.reference.value} phase as its reference")
        if "size" in self.about and "affine" in self.about:
            i, j, k = (int(count) for count in self.about["size"])
            if not again.grid.matches(Grid((i, j, k), np.array(self.about["affine"], np.float64).reshape(4, 4))):
                other.append("another grid")
        if other:
            raise BadInputError(
                f"study {self.study}",
                expected="the series, reference phase and grid it was read with",
                came="one that is prepared with " + " and ".join(other),
                fix="Propose the study again, have it read, and take a new snapshot.",
            )
        return again

    def content(self) -> str:
        """Name of the prepared study, phase, and all that was said about it."""
        return f"{self.prepared} {self.phase.value} {json.dumps(dict(self.about), sort_keys=True)}"


def snapshot_cases(file: Path, *, prepared: Path, prepare: Prepare | None = None) -> list[SnapshotCase]:
    """Read the cases of a snapshot, one per phase.

    Args:
        file: a snapshot of the review store.
        prepared: the cache of prepared studies.
        prepare: prepares a study again, by its StudyInstanceUID.

    Raises:
        BadInputError: the snapshot was changed, is damaged or of another version.
    """
    document = check_snapshot(file)
    if document.get("version") != VERSION:
        raise BadInputError(
            f"snapshot {file.stem[:12]}",
            expected=f"version {VERSION}",
            came=repr(document.get("version"))[:40],
            fix="Take a new snapshot.",
        )
    return [
        SnapshotCase(
            image_id=str(about.get("image_ids", {}).get(phase, f"{about['study_uid']}/{phase}")),
            patient_id=about["patient_id"],
            study=about["study_uid"],
            part={"train": "train", "test": "validation"}.get(about["split"] or ""),  # type: ignore[arg-type]
            phase=Phase(phase),
            cache=prepared,
            prepared=about["prepared"],
            about=about,
            prepare=prepare,
        )
        for about in document["studies"]
        for phase in about["phases"]
    ]


@lru_cache(maxsize=1)
def _loaded(cache: Path, content: str) -> PreparedStudy:
    """The last study that was asked for: its phases are asked for one after the other."""
    return load_prepared(cache, content)


def _boxes(entries: list[Mapping[str, Any]]) -> Boxes:
    return np.array([one["box"] for one in entries], np.float64).reshape(-1, 6)
