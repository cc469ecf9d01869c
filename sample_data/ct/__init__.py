"""Four-phase CT of the liver: simulated studies with lesions of seven kinds and exact truth (after paper 001).

They test mechanisms, not clinical performance.
"""

from sample_data.ct.flaws import Flaws, Odds, draw_flaws
from sample_data.ct.learning import LearningSet, arrays, learning_set
from sample_data.ct.patient import Lesion, Patient, draw_patient
from sample_data.ct.study import PHASES, Box, CTPhase, CTStudy, Phase, simulate, visits_of
from sample_data.ct.write import WrittenCT, write_ct, write_study

__all__ = [
    "PHASES",
    "Box",
    "CTPhase",
    "CTStudy",
    "Flaws",
    "LearningSet",
    "Lesion",
    "Odds",
    "Patient",
    "Phase",
    "WrittenCT",
    "arrays",
    "draw_flaws",
    "draw_patient",
    "learning_set",
    "simulate",
    "visits_of",
    "write_ct",
    "write_study",
]
