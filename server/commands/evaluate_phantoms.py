"""Simulated patients for ``hepatic evaluate``, a share of them of the rarer class."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from server.commands.demo_cases import demo_cases

if TYPE_CHECKING:
    from hepatic.engine.cases import ClassCase
    from hepatic.engine.trial_images import Source
    from hepatic.tasks.spec import ClassificationTask

FIRST_SEED = 700_000
"""No patient of sample data, demo weights or benchmarks has one of these seeds."""
RARE = 16 / 116
"""Share of patients without HCC in paper 002."""


def phantoms(task: ClassificationTask, count: int, *, rare: float = RARE, first_seed: int = FIRST_SEED) -> list[Source]:
    """Name simulated patients; each is simulated when its image is asked for.

    Args:
        task: of ultrasound. Patients of one seed are the same for pictures and cines.
        count: how many.
        rare: share of those without HCC, where HCC is told from other tumours.
        first_seed: of the first.
    """
    from hepatic.engine.trial_images import Source
    from sample_data.ceus import draw_patient as draw_tumour
    from sample_data.us.patient import draw_patient

    made_by = _source_hash()
    drawn: list[tuple[int, str]] = []
    if task.findings:
        drawn = [(seed, draw_patient(seed).kind) for seed in range(first_seed, first_seed + count)]
    else:
        left = {"non_hcc": round(rare * count), "hcc": count - round(rare * count)}
        seed = first_seed
        while len(drawn) < count:
            label = draw_tumour(seed).label
            if left[label]:
                left[label] -= 1
                drawn.append((seed, label))
            seed += 1
    return [Source(f"{made_by} {seed}", f"{seed}", truth, partial(_simulate, task, seed)) for seed, truth in drawn]


def _simulate(task: ClassificationTask, seed: int, folder: Path) -> ClassCase:
    from hepatic.engine.cases import ClassCase

    (case,) = demo_cases(task, folder, 1, first_seed=seed, progress=lambda: None)
    if not isinstance(case, ClassCase):
        raise TypeError(type(case))
    return case


def _source_hash() -> str:
    """Changes when what simulates does."""
    import sample_data

    root = Path(sample_data.__file__).parent
    digest = hashlib.sha256()
    for file in sorted([*root.glob("*.py"), *root.glob("us/*.py"), *root.glob("ceus/*.py")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
