"""Which patients test models and which train them: drawn once, patient by patient, and never again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Literal

from hepatic.harvest.rules import Rules
from hepatic.store.connection import Connection

Part = Literal["train", "test"]


def testing_patients(connection: Connection) -> set[str]:
    """Return the patients who test models: no model is ever trained on them."""
    return {patient for (patient,) in connection.execute("SELECT patient FROM part WHERE part = 'test'")}


def draw_parts(
    connection: Connection,
    patients: Mapping[str, bool],
    *,
    rules: Rules,
    now: float,
    drawn: Mapping[str, Part] | None = None,
) -> dict[str, Part]:
    """Give each patient a part, inside a transaction; who has one keeps it.

    Args:
        connection: inside a write transaction.
        patients: by PatientID, whether they can test: whether all lesions of a study of theirs are known.
        rules: how many test, and the seed.
        now: seconds since 1970.
        drawn: parts that patients were given elsewhere, by trainings on labels; they count where the store has none.

    Returns:
        The part of each patient named. A patient who cannot test trains, and does so from then on.
    """
    parts: dict[str, Part] = dict(connection.execute("SELECT patient, part FROM part").fetchall())
    elsewhere = {patient: part for patient, part in (drawn or {}).items() if patient in patients}
    told = {patient: part for patient, part in elsewhere.items() if patient not in parts}
    parts |= told
    new = sorted(patient for patient in patients if patient not in parts)
    random.Random(f"{rules.seed}:{len(parts)}").shuffle(new)
    for patient in new:
        testing = sum(part == "test" for part in parts.values())
        wanted = round(rules.test_share * (len(parts) + 1))
        # the first patient trains: with nothing to train on there is nothing to test
        parts[patient] = "test" if parts and patients[patient] and testing < max(1, wanted) else "train"
    connection.executemany(
        "INSERT INTO part (patient, part, at) VALUES (?, ?, ?)",
        [(patient, parts[patient], now) for patient in (*told, *new)],
    )
    return {patient: parts[patient] for patient in patients}
