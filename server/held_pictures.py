"""Pictures that may name their patient in the pixels, for who looks at them and lets them leave."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import asdict
from typing import Any

from hepatic.errors import ConflictError
from hepatic.io.burnt_in import BurntIn
from hepatic.release.quarantine import Box, Quarantine
from hepatic.store.images import Image
from hepatic.store.store import Store
from server import worker
from server.cases.remembered import Remembered
from server.executor import Executor, Priority
from server.host import Host, is_shared

_PICTURES_BYTES = 64 << 20
_LIMIT_S = 600.0


class HeldPictures:
    """The quarantine of what is served (``hepatic.release.quarantine``). Pixels are the workers' business.

    Args:
        host: the app.
        executor: the workers.
    """

    def __init__(self, host: Host, executor: Executor) -> None:
        self._host, self._executor = host, executor
        self._said: dict[str, tuple[str, BurntIn]] = {}
        self._looking = threading.Lock()
        self._proposals: Remembered[dict[str, Any]] = Remembered(_PICTURES_BYTES, lambda one: len(one["png"]))

    def listed(self, *, all_of_them: bool) -> list[dict[str, Any]]:
        """Return the pictures that are held, or those that are approved, too; headers are read once per file.

        An image of a PACS is looked at once it is fetched.
        """
        store = self._store()
        with self._looking:
            here = (image for image in store.images.all() if store.is_here(image.id))
            images = [(image, said) for image in here if (said := self._says(store, image)) != "no"]
        found = [Quarantine(store).state(image, said) for image, said in images]
        patients = {image.id: image.patient_id for image, _ in images}
        return [
            {**asdict(one), "patient": patients[one.image_id]} for one in found if all_of_them or one.state == "held"
        ]

    def one(self, asked: str) -> dict[str, Any]:
        """Return how it stands with a picture.

        Raises:
            NotFoundError: there is no such image.
            ConflictError: it needs no approval.
        """
        store = self._store()
        image = store.images.get(self._host.image_id(asked))
        said = Quarantine(store).said(image.id)
        if said == "no":
            raise ConflictError(
                "the image", expected="one in quarantine", came="one that may leave", fix="There is nothing to do."
            )
        return {**asdict(Quarantine(store).state(image, said)), "patient": image.patient_id}

    async def proposal(self, image_id: str) -> dict[str, Any]:
        """Return what ``worker.propose_mask`` says of a picture."""

        async def propose() -> dict[str, Any]:
            told: dict[str, Any] = await self._work(worker.propose_mask, image_id)
            return told

        return await self._proposals.get((image_id, self._store().images.signature(image_id)), propose)

    async def approve(self, image_id: str, *, by: str, boxes: list[Box], as_is: bool) -> dict[str, Any]:
        """Let a picture leave; see ``Quarantine.approve``."""
        told: dict[str, Any] = await self._work(worker.approve_release, image_id, by, boxes, as_is)
        return told

    def withdraw(self, image_id: str, *, by: str) -> None:
        """Hold a picture again; see ``Quarantine.withdraw``."""
        Quarantine(self._store()).withdraw(image_id, by=by)

    def _store(self) -> Store:
        datastore = self._host.datastore
        if not is_shared(datastore):
            raise ConflictError(
                "the quarantine", expected="hepatic's own datastore", came="another app's", fix="Serve apps/hepatic."
            )
        store: Store = datastore.store
        return store

    def _says(self, store: Store, image: Image) -> BurntIn:
        signature = store.images.signature(image.id)
        known = self._said.get(image.id)
        if known is None or known[0] != signature:
            known = self._said[image.id] = signature, Quarantine(store).said(image.id)
        return known[1]

    async def _work(self, work: Any, *args: Any) -> Any:
        future = self._executor.submit(work, *args, priority=Priority.INTERACTIVE, timeout_s=_LIMIT_S)
        return await asyncio.shield(asyncio.wrap_future(future))
