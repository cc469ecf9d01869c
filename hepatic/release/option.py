"""The options of the confidentiality profile."""

from enum import StrEnum


class Option(StrEnum):
    """An option of the profile (PS3.15, E.3), by the name hepatic gives it."""

    DATES = "modified-dates"
    PATIENT = "patient-characteristics"
    DESCRIPTORS = "descriptors"
