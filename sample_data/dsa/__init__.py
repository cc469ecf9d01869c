"""Digital subtraction angiography of the liver: simulated runs with exact truth (after paper 000).

They test mechanisms, not clinical performance.
"""

from sample_data.dsa.angiogram import Angiogram, base
from sample_data.dsa.learning import LearningSet, learning_set
from sample_data.dsa.run import DSARun, Tumour, draw, simulate

__all__ = ["Angiogram", "DSARun", "LearningSet", "Tumour", "base", "draw", "learning_set", "simulate"]
