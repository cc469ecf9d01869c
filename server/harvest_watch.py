"""Lets a detector look at CT studies that no detector has seen yet, while nobody asks for anything else."""

from __future__ import annotations

import logging

from hepatic.errors import HepaticError
from hepatic.harvest.store import ReviewStore
from server.harvest_jobs import MODALITY, HarvestJobs, studies_under_way
from server.host import Host, is_shared
from server.jobs.runner import Jobs

logger = logging.getLogger(__name__)


class HarvestWatch:
    """Asks for proposals of studies that have arrived.

    A study is proposed once its series were the same at two looks, so that one that is still being copied is waited
    for; and again when series are added to it. Does nothing before there is a detector that has been trained, nor with
    one that is not ours, which is said once.

    Args:
        host: the app.
        jobs: where jobs are kept.
        harvest: asks for proposals.
        store: of reviews.
    """

    def __init__(self, host: Host, jobs: Jobs, harvest: HarvestJobs, store: ReviewStore) -> None:
        self._host, self._jobs, self._harvest, self._store = host, jobs, harvest, store
        self._state: object = None
        self._settled = False
        self._said = ""
        self._seen: dict[str, frozenset[str]] = {}
        self._asked: dict[str, frozenset[str]] | None = None

    def look(self) -> None:
        """Ask for what is new; cheap where nothing is."""
        if not is_shared(self._host.datastore):
            return
        try:
            detector = self._harvest.detector()
        except HepaticError:  # the app has none
            return
        version, reason = self._version(detector)
        if reason and reason != self._said:
            logger.info("CT studies that arrive are not proposed by %s: %s", detector, reason)
        self._said = reason
        state = (detector, version, self._host.datastore.waiting().arrivals())
        if version is None or (state == self._state and self._settled):
            return
        self._state = state
        now = {study: frozenset(image.id for image in images) for study, images in self._harvest.series().items()}
        if self._asked is None:  # what earlier servers have asked for is not asked for again
            proposed = {*self._store.proposals.studies(), *studies_under_way(self._jobs)}
            self._asked = {study: series for study, series in now.items() if study in proposed}
        due = [study for study, series in now.items() if self._asked.get(study) != series]
        ready = [study for study in due if self._seen.get(study) == now[study]]
        self._seen, self._settled = now, len(ready) == len(due)
        if ready:
            self._harvest.propose(ready, model=detector)
            self._asked |= {study: now[study] for study in ready}
            logger.info("%d studies have arrived; a detector is asked to look at them", len(ready))

    def _version(self, detector: str) -> tuple[str | None, str]:
        """Return which version of a detector is served, None where there is none, and why it is left alone."""
        try:
            about = dict(self._host.models[detector].info())
        except Exception as failure:  # an app's own code
            return None, f"it does not describe itself: {type(failure).__name__}"
        if "version" not in about:
            return None, "it is of another make and tells no version"
        if about.get("modality", MODALITY) != MODALITY:
            return None, f"it is for {about['modality']}"
        if not callable(getattr(self._host.app, "propose", None)):
            return None, "the app does not propose studies"
        return about["version"], ""
