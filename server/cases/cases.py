"""The ultrasound images of the studies, as readers look at them: frames, what models say, what readers drew."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from hepatic.boxes import to_voxels
from hepatic.engine.eligibility import NOTE
from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.geometry import Grid
from hepatic.io.ultrasound import to_grey
from hepatic.io.us_region import carried
from hepatic.store.images import Image
from hepatic.store.label import FINAL, Label, label_names
from hepatic.store.store import Store
from hepatic.transforms.contrast_clip import drawn_frame
from hepatic.transforms.echo_onset import onset_of
from server import worker
from server.cases.remembered import Remembered
from server.executor import Executor, Priority
from server.host import Host, is_shared
from server.names import check_listed

MODALITY = "US"

_FRAMES_BYTES = 1 << 30
_ANSWERS_BYTES = 32 << 20
_OPEN_S = 300.0
_ANSWER_S = 300.0

Box = list[float]
"""Left, top, right, bottom in pixels, edges: pixel 0 reaches from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A picture or cine.

    Attributes:
        frames: (F, H, W) or (F, H, W, 3) uint8, on disk.
        about: what ``worker.open_ultrasound`` says of it.
    """

    frames: NDArray[np.uint8]
    about: Mapping[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.about["width"], self.about["height"]

    @property
    def grid(self) -> Grid:
        """On which labels lie."""
        return Grid((*self.size, self.about["frames"]), np.array(self.about["affine"], np.float64))

    def beside(self, boxes: Sequence[Box]) -> list[Box]:
        """Return boxes that lie on one of two images side by side, contrast and B-mode, as they lie on the other."""
        if self.about["pair"] is None:
            return []
        one, other = self.about["pair"]
        drawn = [[top, left, bottom, right] for left, top, right, bottom in boxes]
        moved = [carried(drawn, to, here).round(2).tolist() for to, here in ((other, one), (one, other))]
        found = [new for before, *news in zip(drawn, *moved, strict=True) for new in news if new != before]
        return [[left, top, right, bottom] for top, left, bottom, right in found if bottom > top and right > left]

    def onset(self, boxes: Sequence[Box]) -> int:
        """Return the frame in which echo begins in the first of some boxes; where there is none, on the contrast image.

        0 where it does not begin.
        """
        if not boxes:
            return int(self.about["onset"])
        left, top, right, bottom = boxes[0]
        drawn = [[top, left, bottom, right]]
        pair = self.about["pair"]
        ((top, left, bottom, right),) = carried(drawn, *pair).tolist() if pair else drawn
        shown = self.frames[:, max(0, round(top)) : round(bottom), max(0, round(left)) : round(right)]
        return onset_of(to_grey(shown, 8).mean(axis=(1, 2), dtype=np.float64)) if shown.size else 0


@dataclass(frozen=True)
class DrawnBox:
    """Where a lesion lies.

    Attributes:
        box: of it.
        span: the first frame it was drawn on, and one past the last.
        frame: of these, that nearest to the onset.
    """

    box: Box
    span: tuple[float, float]
    frame: int


@dataclass(frozen=True)
class Drawn:
    """What a label shows.

    Attributes:
        boxes: of lesions, the largest first.
        unreadable: why it cannot be shown, in words; empty where it can.
    """

    boxes: Sequence[DrawnBox]
    unreadable: str = ""


class Cases:
    """What is shown of ultrasound images. Decoding and models are the workers' business; what they made is remembered.

    Args:
        host: the app.
        executor: the workers.
        folder: for decoded frames, 1 GiB at most.
    """

    def __init__(self, host: Host, executor: Executor, folder: Path) -> None:
        self._host, self._executor, self._folder = host, executor, folder
        self._opened: Remembered[Opened] = Remembered(_FRAMES_BYTES, lambda one: int(one.frames.nbytes))
        self._answers: Remembered[dict[str, Any]] = Remembered(_ANSWERS_BYTES, lambda one: len(json.dumps(one)))
        self._boxes: Remembered[list[DrawnBox]] = Remembered(1 << 20, lambda one: 64 + 64 * len(one))

    @property
    def store(self) -> Store:
        """Of the app's datastore.

        Raises:
            ConflictError: the datastore is not hepatic's own.
        """
        datastore = self._host.datastore
        if not is_shared(datastore):
            raise ConflictError(
                "the cases",
                expected="hepatic's own datastore, which knows modalities and keeps versions",
                came="another app's",
                fix="Serve apps/hepatic.",
            )
        store: Store = datastore.store
        return store

    def images(self) -> list[Image]:
        """Return the ultrasound images, in the order of their paths."""
        return self.store.images.all(modality=MODALITY)

    def image(self, asked: str) -> Image:
        """Return one of them.

        Raises:
            NotFoundError: there is no such ultrasound image.
        """
        found = self.store.images.get(self._host.image_id(asked))
        if found.modality != MODALITY:
            raise NotFoundError(
                "the case", expected="an ultrasound image", came=f"one of modality {found.modality}", fix="See /cases."
            )
        return found

    def models(self, *, frames: int) -> dict[str, dict[str, Any]]:
        """Return the served classifiers for ultrasound by name, with what they tell of themselves, the fittest first.

        Args:
            frames: of the image; models for cines are left out for a still.
        """
        told = {name: dict(model.info()) for name, model in self._host.models.items()}
        found = {
            name: about
            for name, about in told.items()
            if about.get("type") == "classification"
            and about.get("modality") == MODALITY
            and about.get("version")
            and (frames > 1 or about.get("dimension") == 2)
        }

        def fit(name: str) -> tuple[bool, bool, str]:
            about = found[name]
            return (about.get("dimension") == 2) == (frames > 1), "roi" in about.get("options", {}), name

        return {name: found[name] for name in sorted(found, key=fit)}

    async def opened(self, image_id: str) -> Opened:
        """Return the frames of an image."""

        async def read() -> Opened:
            target = self._folder / f"{uuid.uuid4().hex}.npy"
            try:
                about = await self._work(
                    worker.open_ultrasound, await self._path(image_id), str(target), limit_s=_OPEN_S
                )
                return Opened(np.load(target, mmap_mode="r", allow_pickle=False), about)
            finally:
                target.unlink(missing_ok=True)  # the map holds it as long as somebody looks

        return await self._opened.get((image_id, self.store.images.signature(image_id)), read)

    async def answer(self, image_id: str, model: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the params that a model answers with.

        Args:
            image_id: of the image.
            model: one of ``models``.
            options: of that model, as clients send them.

        Raises:
            NotFoundError: there is no such model.
            BadInputError: the image or an option does not suit.
        """
        models = self.models(frames=2)
        check_listed("the model", model, models, fix="GET /cases/api/v1/images/{image} lists them.")
        chosen = {name: value for name, value in options.items() if name in models[model].get("options", {})}

        async def run() -> dict[str, Any]:
            request = {**chosen, "model": model, "image": await self._path(image_id), "image_id": image_id}
            result = await self._work(worker.infer, request, limit_s=_ANSWER_S)
            told: dict[str, Any] = result["params"]
            return told

        version, signature = models[model]["version"], self.store.images.signature(image_id)
        looks_at_label = "roi" in models[model].get("options", {}) and "roi" not in chosen
        history = self.store.labels.history(image_id, FINAL) if looks_at_label else []
        asked = json.dumps([chosen, [one.version for one in history[-1:]]], sort_keys=True)
        return await self._answers.get((image_id, signature, model, version, asked), run)

    async def eligibility(self, image_id: str, notes: Mapping[str, str | None]) -> dict[str, Any]:
        """Return what speaks against learning from an image, as ``worker.eligibility`` says it.

        Args:
            image_id: of the image.
            notes: of which one has to hold its class, each with the class that says that there is no lesion, if any.

        Raises:
            BadInputError: it cannot be read.
        """
        store = self.store
        image = store.images.get(image_id)
        study = store.images.all(study_uid=image.study_uid, modality=MODALITY) if image.study_uid else [image]
        noted = {note: image.info.get(note) for note in (*notes, NOTE)}
        history = store.labels.history(image_id, FINAL)
        about = [noted, [one.version for one in history[-1:]], [store.images.signature(one.id) for one in study]]

        async def examine() -> dict[str, Any]:
            await self._path(image_id)
            told: dict[str, Any] = await self._work(worker.eligibility, image_id, notes, limit_s=_ANSWER_S)
            return told

        return await self._answers.get((image_id, NOTE, json.dumps(about, sort_keys=True)), examine)

    async def drawn(self, label: Label | None, opened: Opened) -> Drawn:
        """Return what a label shows; one that cannot be read, as older versions of hepatic kept it, hides no image."""
        if label is None:
            return Drawn(())
        try:
            return Drawn(await self._boxes_of(label, opened))
        except BadInputError as refused:
            return Drawn((), str(refused))

    async def _boxes_of(self, label: Label, opened: Opened) -> Sequence[DrawnBox]:
        async def read() -> list[DrawnBox]:
            file, names = self.store.labels.path(label), label_names(label.info)
            found: Sequence[Sequence[float]] = await self._work(
                worker.lesion_boxes, str(file), await self._path(label.image_id), names, limit_s=_OPEN_S
            )
            corners = to_voxels(np.array(found, np.float64).reshape(-1, 6), opened.grid).round(2)
            boxes = [([i, j, right, bottom], (first, past)) for first, j, i, past, bottom, right in corners.tolist()]
            onsets = await run_in_threadpool(lambda: [opened.onset([box]) for box, _ in boxes])
            return [
                DrawnBox(box, span, drawn_frame(span, onset, len(opened.frames)))
                for (box, span), onset in zip(boxes, onsets, strict=True)
            ]

        return await self._boxes.get((label.image_id, label.version, label.sha256), read)

    async def _path(self, image_id: str) -> str:
        return str(await self._host.located(image_id))

    async def _work(self, work: Any, *args: Any, limit_s: float) -> Any:
        future = self._executor.submit(work, *args, priority=Priority.INTERACTIVE, timeout_s=limit_s)
        return await asyncio.shield(asyncio.wrap_future(future))
