"""Contrast-enhanced ultrasound of the liver: simulated cines of HCC and other malignant lesions (after paper 002).

They test mechanisms, not clinical performance.
"""

from sample_data.ceus.cine import Cine, simulate
from sample_data.ceus.learning import LearningSet, learning_set
from sample_data.ceus.patient import LABELS, Label, Patient, draw_patient
from sample_data.ceus.show import Style, draw_style, screen_of
from sample_data.ceus.write import write_ceus

__all__ = [
    "LABELS",
    "Cine",
    "Label",
    "LearningSet",
    "Patient",
    "Style",
    "draw_patient",
    "draw_style",
    "learning_set",
    "screen_of",
    "simulate",
    "write_ceus",
]
