"""A detector that looks at all phases of a CT study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hepatic.harvest.study import ProposedStudy
from hepatic.harvest.study_json import from_json
from hepatic.store.images import Image
from server import worker
from server.host import Host
from server.proposers.proposer import series, served_version

MODALITY = "CT"


@dataclass(frozen=True)
class Detector:
    """See ``Proposer``.

    Attributes:
        host: the app.
        model: its name.
    """

    host: Host
    model: str
    modality: str = MODALITY

    def images(self) -> dict[str, list[Image]]:
        """Return the CT series of each study."""
        return series(self.host, self.modality)

    def review_uid(self, study: str) -> str:
        """Return the study's own UID."""
        return study

    def work(self, study: str, images: Sequence[Image]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return what proposes candidates on all phases at once."""
        asked = [
            {
                "image_id": image.id,
                "path": str(self.host.image_path(image.id)),
                "description": image.description,
                "study_uid": image.study_uid,
                "patient_id": image.patient_id,
            }
            for image in images
        ]
        return worker.propose, ({"study_uid": study, "series": asked, "model": self.model},)

    def proposed(self, result: Mapping[str, Any]) -> ProposedStudy:
        """Return the study with its candidates."""
        return from_json(result)

    def version(self) -> tuple[str | None, str]:
        """Return which version is served, and what keeps it from studies that arrive."""
        try:
            about = dict(self.host.models[self.model].info())
        except Exception as failure:  # an app's own code
            return None, f"it does not describe itself: {type(failure).__name__}"
        version, reason = served_version(about, self.modality)
        if not reason and not callable(getattr(self.host.app, "propose", None)):
            return None, "the app does not propose studies"
        return version, reason
