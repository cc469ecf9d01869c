"""Which patients a model is trained on and which it is judged by: drawn once, then only extended."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from hepatic.errors import BadInputError

logger = logging.getLogger(__name__)

Part = Literal["train", "validation"]


class FrozenSplit:
    """Patients' parts, kept in a file beside the models.

    A patient once drawn never changes sides, so yesterday's training case cannot become today's validation case. New
    patients go to validation only while validation holds less than its share.

    Args:
        file: JSON; made on the first draw.
        share: of the patients that validate, at least one.
        seed: of the draw.
    """

    def __init__(self, file: Path, *, share: float = 0.25, seed: int = 0) -> None:
        self._file, self._share, self._seed = file, share, seed
        self.parts: dict[str, Part] = json.loads(file.read_bytes())["patients"] if file.is_file() else {}

    def extend(self, patients: Iterable[str], *, wished: Mapping[str, Part] | None = None) -> dict[str, Part]:
        """Give every patient a part and return the parts of those named.

        Args:
            patients: those of the images at hand.
            wished: parts that were drawn elsewhere, such as by the review store. A patient who has a part here already
                keeps it, whatever is wished: who was trained on cannot judge any more.

        Raises:
            BadInputError: fewer than two patients, or all of them on one side.
        """
        named = sorted(set(patients))
        wished = wished or {}
        told = [patient for patient in named if patient not in self.parts and patient in wished]
        self.parts.update({patient: wished[patient] for patient in told})
        late = [patient for patient in named if patient in wished and self.parts[patient] != wished[patient]]
        if late:
            logger.warning("%d patients keep the side of the split they were on before", len(late))
        new = [patient for patient in named if patient not in self.parts]
        random.Random(f"{self._seed}:{len(self.parts)}").shuffle(new)
        for patient in new:
            validating = sum(part == "validation" for part in self.parts.values())
            wanted = max(1, round(self._share * (len(self.parts) + 1)))
            # the first patient trains: a split with nothing to train on helps nobody
            self.parts[patient] = "validation" if self.parts and validating < wanted else "train"
        if new or told:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._file.with_suffix(".new")
            temporary.write_text(
                json.dumps({"seed": self._seed, "share": self._share, "patients": self.parts}, indent=1)
            )
            temporary.replace(self._file)
        drawn = {patient: self.parts[patient] for patient in named}
        if set(drawn.values()) != {"train", "validation"}:
            raise BadInputError(
                "training",
                expected="final labels of at least two patients: one to train on, one to judge the new model by",
                came=f"labels of {len(named)} patient{'' if len(named) == 1 else 's'}"
                + (f", all on the {next(iter(drawn.values()))} side" if len(named) > 1 else ""),
                fix="Submit the label of another patient, then train again.",
            )
        return drawn
