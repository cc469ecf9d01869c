"""What a training run was asked to do, noted so that it can be taken up again after it was cut off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from hepatic.engine.cases import Case, ClassCase
from hepatic.engine.fit import FitSettings


@dataclass(frozen=True)
class Plan:
    """Settings and labelled images of one run.

    Attributes:
        settings: with the version it goes on from, so that another one served meanwhile does not change the run.
        cases: each with the very version of its label.
        snapshot: SHA-256 of the snapshot of verdicts that is trained on, too; empty where there is none.
    """

    settings: FitSettings
    cases: list[Case | ClassCase]
    snapshot: str = ""

    def write(self, file: Path) -> None:
        """Write it whole or not at all."""
        temporary = file.with_suffix(".new")
        temporary.write_bytes(_PLAN.dump_json(self))
        temporary.replace(file)

    @classmethod
    def read(cls, file: Path) -> Plan:
        """Read what ``write`` wrote."""
        return _PLAN.validate_json(file.read_bytes())


_PLAN = TypeAdapter(Plan)
