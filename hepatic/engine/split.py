"""Which patients a model is trained on, tuned by and judged by: drawn once, then only extended."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from hepatic.errors import BadInputError

logger = logging.getLogger(__name__)

Side = Literal["train", "validation"]
Part = Literal["train", "tuning", "validation"]
"""``tuning`` patients are of the training side, but no weight is fitted to them: the epoch that is kept is chosen on
them, so that those of validation judge only."""


class _Drawn(BaseModel):
    """What the file says.

    Attributes:
        patients: parts, in the order they were drawn.
        seed, share, tuning_share: of the last draw; ``tuning_share`` is missing from before there were tuning patients.
        before_tuning: how many of the training side were drawn before there were; they never tune.
    """

    patients: dict[str, Part]
    seed: int | None = None
    share: float | None = None
    tuning_share: float | None = None
    before_tuning: int = 0


class FrozenSplit:
    """Patients' parts, kept in a file beside the models.

    A patient once drawn keeps the part, so yesterday's training case cannot become today's validation or tuning case.
    New patients go to validation only while validation holds less than its share, and those of the training side to
    tuning only while tuning holds less than its own: nobody tunes before there are five of them. Of a split drawn
    before there were tuning patients, those who came later count.

    Args:
        file: JSON; made on the first draw.
        share: of the patients that validate, at least one.
        tuning_share: of the training side that tunes, rounded down.
        seed: of the draw.

    Raises:
        BadInputError: the file is damaged.
    """

    def __init__(self, file: Path, *, share: float = 0.25, tuning_share: float = 0.2, seed: int = 0) -> None:
        self._file, self._share, self._tuning_share, self._seed = file, share, tuning_share, seed
        drawn = _read(file) if file.is_file() else _Drawn(patients={}, tuning_share=tuning_share)
        self.parts = drawn.patients
        self._before_tuning = self._on_training_side() if drawn.tuning_share is None else drawn.before_tuning

    def extend(self, patients: Iterable[str], *, wished: Mapping[str, Side] | None = None) -> dict[str, Part]:
        """Give every patient a part and return the parts of those named.

        Args:
            patients: those of the images at hand.
            wished: sides that were drawn elsewhere, such as by the review store. A patient who has a part here already
                keeps it, whatever is wished: who was trained on cannot judge any more.

        Raises:
            BadInputError: nobody to train on or nobody to judge by, as with fewer than two patients.
        """
        named = sorted(set(patients))
        wished = wished or {}
        late = [
            patient
            for patient in named
            if patient in wished
            and patient in self.parts
            and (self.parts[patient] == "validation") != (wished[patient] == "validation")
        ]
        if late:
            logger.warning("%d patients keep the side of the split they were on before", len(late))
        new = [patient for patient in named if patient not in self.parts]
        random.Random(f"{self._seed}:{len(self.parts)}").shuffle(new)
        for patient in sorted(new, key=lambda patient: patient not in wished):
            side = wished.get(patient) or self._side()
            self.parts[patient] = "validation" if side == "validation" else self._part_in_training()
        if new:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._file.with_suffix(".new")
            temporary.write_text(
                _Drawn(
                    patients=self.parts,
                    seed=self._seed,
                    share=self._share,
                    tuning_share=self._tuning_share,
                    before_tuning=self._before_tuning,
                ).model_dump_json(indent=1)
            )
            temporary.replace(self._file)
        drawn = {patient: self.parts[patient] for patient in named}
        there = set(drawn.values())
        if not {"train", "validation"} <= there:
            raise BadInputError(
                "training",
                expected="final labels of at least two patients: one to train on, one to judge the new model by",
                came=f"labels of {len(named)} patient{'' if len(named) == 1 else 's'}"
                + (f", all on the {' or the '.join(sorted(there))} side" if len(named) > 1 else ""),
                fix="Submit the label of another patient, then train again.",
            )
        return drawn

    def _side(self) -> Side:
        validating = sum(part == "validation" for part in self.parts.values())
        wanted = max(1, round(self._share * (len(self.parts) + 1)))
        # the first patient trains: a split with nothing to train on helps nobody
        return "validation" if self.parts and validating < wanted else "train"

    def _part_in_training(self) -> Part:
        tuning = sum(part == "tuning" for part in self.parts.values())
        training = self._on_training_side() - self._before_tuning + 1
        return "tuning" if tuning < int(self._tuning_share * training + 1e-9) else "train"

    def _on_training_side(self) -> int:
        return sum(part != "validation" for part in self.parts.values())


def _read(file: Path) -> _Drawn:
    try:
        return _Drawn.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise BadInputError(
            f"{file.name} of '{file.parent.name}'",
            expected="the patients who train, tune and validate",
            came=f"{error.error_count()} errors, first: {error.errors()[0]['msg']}"[:200],
            fix="Restore it from a backup: without it nobody knows who was trained on.",
        ) from error
