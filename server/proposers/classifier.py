"""A classifier that looks at each ultrasound image of a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hepatic.geometry import Grid
from hepatic.harvest.propose_classes import Classified, classified_uid, propose_classes
from hepatic.harvest.study import ProposedStudy
from hepatic.store.images import Image
from server import worker
from server.host import Host
from server.proposers.proposer import series, served_version

MODALITY = "US"


@dataclass(frozen=True)
class Classifier:
    """See ``Proposer``.

    Attributes:
        host: the app.
        model: its name.
        about: what it tells of itself.
    """

    host: Host
    model: str
    about: Mapping[str, Any]
    modality: str = MODALITY

    @property
    def note(self) -> str:
        """Key of the note that keeps the class of an image."""
        return str(self.about["note"])

    def images(self) -> dict[str, list[Image]]:
        """Return the images of each study that it can look at: one for cines none of a single frame."""
        least = 2 if self.about.get("dimension") == 3 else 1
        found = {
            uid: [one for one in images if (one.size[2] if len(one.size) > 2 else 1) >= least]
            for uid, images in series(self.host, self.modality).items()
        }
        return {uid: images for uid, images in found.items() if images}

    def review_uid(self, study: str) -> str:
        """Return the study with its note: two classifiers with other classes ask about it apart."""
        return classified_uid(study, self.note)

    def work(self, study: str, images: Sequence[Image]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return what classifies one image after the other."""
        asked = [
            {"image_id": one.id, "path": str(self.host.image_path(one.id)), "description": one.description}
            for one in images
        ]
        request = {"model": self.model, "study_uid": study, "patient_id": images[0].patient_id, "images": asked}
        return worker.classify, (request,)

    def proposed(self, result: Mapping[str, Any]) -> ProposedStudy:
        """Return the study with a card for each image; BadInputError where it could look at none."""
        images = []
        for one in result["images"]:
            i, j, k = (int(count) for count in one["size"])
            grid = Grid((i, j, k), np.array(one["affine"], np.float64))
            images.append(Classified(one["image_id"], grid, one["probabilities"]))
        return propose_classes(
            result["study_uid"],
            result["patient_id"],
            images,
            classes=list(self.about["classes"]),
            note=self.note,
            model=result["model"],
            model_hash=result["model_hash"],
            warnings=result["warnings"],
        )

    def version(self) -> tuple[str | None, str]:
        """Return which version is served."""
        return served_version(self.about, self.modality)
