"""One segment of a DICOM segmentation: what it is and who or what made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import highdicom as hd
from highdicom.seg import SegmentDescription
from pydicom.sr.codedict import codes

from hepatic.labels import UNKNOWN, Code, structure

LONG_STRING = 64
_SHORT_TEXT = 1024


@dataclass(frozen=True)
class Algorithm:
    """What made labels.

    Attributes:
        name: of the model.
        version: of the model.
        weights_sha256: of its weights; empty where nobody said.
    """

    name: str
    version: str
    weights_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A segment.

    Attributes:
        name: as viewers list it.
        meaning: the structure it is (``hepatic.labels``); the one its name means where this is empty.
        algorithm: what found it; None for what somebody drew by hand.
        judged: whether somebody looked at what the algorithm found, and could correct it.
        tracking_uid: the same wherever the same thing is meant; a new one where it is empty.
        tracking_id: the same in words; the name where it is empty.
        about: who said what of it, in words.
    """

    name: str
    meaning: str = ""
    algorithm: Algorithm | None = None
    judged: bool = False
    tracking_uid: str = ""
    tracking_id: str = ""
    about: str = ""

    def described(self, number: int) -> SegmentDescription:
        """Return the segment as DICOM has it, under its number, counted from 1."""
        meant = structure(self.meaning or self.name) or UNKNOWN
        made = SegmentDescription(
            segment_number=number,
            segment_label=self.name[:LONG_STRING],
            segmented_property_category=coded(meant.category),
            segmented_property_type=coded(meant.type),
            algorithm_type=self._method(),
            algorithm_identification=self._identified(),
            tracking_uid=self.tracking_uid or hd.UID(),
            tracking_id=self.tracking_id or self.name[:LONG_STRING],
            display_color=hd.color.CIELabColor.from_rgb(*meant.rgb),
        )
        if self.about:
            made.SegmentDescription = self.about[:_SHORT_TEXT]
        return made

    def _method(self) -> Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]:
        if self.algorithm is None:
            return "MANUAL"
        return "SEMIAUTOMATIC" if self.judged else "AUTOMATIC"

    def _identified(self) -> hd.AlgorithmIdentificationSequence | None:
        if self.algorithm is None:
            return None
        return hd.AlgorithmIdentificationSequence(
            name=self.algorithm.name[:LONG_STRING],
            family=codes.DCM.ArtificialIntelligence,
            version=self.algorithm.version[:LONG_STRING] or "unknown",
            parameters={"weights SHA-256": self.algorithm.weights_sha256} if self.algorithm.weights_sha256 else None,
        )


def coded(code: Code) -> hd.sr.CodedConcept:
    """Return a code as DICOM has it."""
    return hd.sr.CodedConcept(*code)
