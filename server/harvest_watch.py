"""Lets models look at studies that have arrived and that none has seen yet, while nobody asks for anything else."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hepatic.errors import HepaticError
from hepatic.harvest.store import ReviewStore
from server.harvest_jobs import HarvestJobs, studies_under_way
from server.host import Host, is_shared
from server.jobs.runner import Jobs
from server.proposers.proposer import Proposer

logger = logging.getLogger(__name__)


class HarvestWatch:
    """Asks one model for proposals of studies that have arrived.

    A study is proposed once its images were the same at two looks, so that one that is still being copied is waited
    for; and again when images are added to it. Does nothing before there is a model that has been trained, nor with
    one that is not ours, which is said once.

    Args:
        host: the app.
        jobs: where jobs are kept.
        harvest: asks for proposals.
        store: of reviews.
        find: returns the model; NotFoundError where there is none.
    """

    def __init__(
        self, host: Host, jobs: Jobs, harvest: HarvestJobs, store: ReviewStore, find: Callable[[], Proposer]
    ) -> None:
        self._host, self._jobs, self._harvest, self._store, self._find = host, jobs, harvest, store, find
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
            proposer = self._find()
        except HepaticError:  # the app has none
            return
        model = proposer.model
        version, reason = proposer.version()
        if reason and reason != self._said:
            logger.info("%s studies that arrive are not proposed by %s: %s", proposer.modality, model, reason)
        self._said = reason
        state = (model, version, self._host.datastore.waiting().arrivals())
        if version is None or (state == self._state and self._settled):
            return
        self._state = state
        now = {study: frozenset(image.id for image in images) for study, images in proposer.images().items()}
        if self._asked is None:  # what earlier servers have asked for is not asked for again
            reviewed, under_way = set(self._store.proposals.studies()), studies_under_way(self._jobs, model)
            known = (study for study in now if proposer.review_uid(study) in reviewed or study in under_way)
            self._asked = {study: now[study] for study in known}
        due = [study for study, series in now.items() if self._asked.get(study) != series]
        settled = self._host.datastore.store.is_settled
        ready = [study for study in due if self._seen.get(study) == now[study] and settled(study)]
        self._seen, self._settled = now, len(ready) == len(due)
        if ready:
            self._harvest.propose(ready, model=model)
            self._asked |= {study: now[study] for study in ready}
            logger.info("%d %s studies have arrived; %s is asked to look at them", len(ready), proposer.modality, model)
