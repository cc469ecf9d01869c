"""The models of an app whose answers can be put before readers."""

from __future__ import annotations

import logging
from typing import Any

from hepatic.errors import NotFoundError
from server.host import Host
from server.names import check_listed
from server.proposers.classifier import MODALITY as ULTRASOUND
from server.proposers.classifier import Classifier
from server.proposers.detector import Detector
from server.proposers.proposer import Proposer

logger = logging.getLogger(__name__)

DETECTION, CLASSIFICATION = "detection", "classification"
DEFAULT_DETECTOR, DEFAULT_CLASSIFIER = "ct_centernet3d", "us_fll"


class Proposers:
    """Detectors of lesions on CT, and classifiers of ultrasound images.

    Args:
        host: the app.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def named(self, model: str = "") -> Proposer:
        """Return the model of that name; by default the detector.

        Raises:
            NotFoundError: there is none.
        """
        return self.classifiers().get(model) or self.detector(model)

    def detector(self, asked: str = "") -> Detector:
        """Return a detector: the one asked for, else ours, else the first there is.

        Raises:
            NotFoundError: there is none.
        """
        found = self._of_type(DETECTION)
        if asked:
            fix = "GET /info/ lists the models; it takes one that detects, or classifies US."
            check_listed("the model", asked, found, fix=fix)
            return Detector(self._host, asked)
        if not found:
            raise NotFoundError(
                "the app", expected="a model that detects", came="none", fix="Serve an app that has one."
            )
        return Detector(self._host, DEFAULT_DETECTOR if DEFAULT_DETECTOR in found else found[0])

    def classifiers(self) -> dict[str, Classifier]:
        """Return the classifiers of ultrasound by name."""
        told = {name: self._about(name) for name in self._of_type(CLASSIFICATION)}
        return {
            name: Classifier(self._host, name, about)
            for name, about in told.items()
            if about.get("modality") == ULTRASOUND and about.get("note")
        }

    def classifier(self) -> Classifier:
        """Return the classifier for studies that arrive: ours that needs no box, else the first there is.

        Raises:
            NotFoundError: there is none.
        """
        found = self.classifiers()
        if not found:
            raise NotFoundError(
                "the app", expected="a model that classifies US", came="none", fix="Serve an app that has one."
            )
        return found.get(DEFAULT_CLASSIFIER) or next(iter(found.values()))

    def _of_type(self, kind: str) -> list[str]:
        return [name for name, task in self._host.models.items() if type_of(task) == kind]

    def _about(self, name: str) -> dict[str, Any]:
        try:
            return dict(self._host.models[name].info())
        except Exception as failure:  # an app's own code
            logger.debug("model %s does not describe itself: %s", name, type(failure).__name__)
            return {}


def type_of(task: Any) -> str:
    """Return what a task does, as MONAI Label names it; empty where it does not say."""
    kind = getattr(task, "type", "")
    return str(getattr(kind, "value", kind))
