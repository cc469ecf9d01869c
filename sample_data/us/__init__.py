"""B-mode ultrasound of the liver: simulated stills with focal lesions of five kinds and exact truth (after paper 004).

They test mechanisms, not clinical performance.
"""

from sample_data.us.learning import LearningSet, learning_set
from sample_data.us.patient import KINDS, MALIGNANT, Kind, Patient, draw_patient
from sample_data.us.still import Still, screen_of, simulate
from sample_data.us.write import write_us

__all__ = [
    "KINDS",
    "MALIGNANT",
    "Kind",
    "LearningSet",
    "Patient",
    "Still",
    "draw_patient",
    "learning_set",
    "screen_of",
    "simulate",
    "write_us",
]
