"""Batch inference: one model over many images of the datastore, each result kept as a label."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from hepatic.errors import BadInputError
from hepatic.store.label import FINAL, ORIGINAL
from hepatic.store.names import check_tag
from server import worker
from server.executor import Executor
from server.host import Host
from server.jobs.held import Held, JobFailedError
from server.jobs.items import go_through
from server.jobs.job import Job
from server.jobs.runner import Jobs
from server.names import check_listed
from server.params import cleaned

logger = logging.getLogger(__name__)

KIND = "batch_infer"


class Images(StrEnum):
    """Which images of the datastore; those that somebody has finished are labelled."""

    ALL = "all"
    LABELED = "labeled"
    UNLABELED = "unlabeled"


class BatchInference:
    """Asks for batch inferences, and does them item by item.

    Args:
        host: the app.
        executor: where models run.
        jobs: where they are kept; this serves its kind ``batch_infer``.
        discard: deletes result files once they are kept.
        window: images given to the executor at a time; a few, so that a request never finds the queue full of them.
        timeout_s: for one image.
    """

    def __init__(
        self,
        host: Host,
        executor: Executor,
        jobs: Jobs,
        *,
        discard: Callable[[Path | None], None],
        window: int = 2,
        timeout_s: float = 1800.0,
    ) -> None:
        self._host, self._executor, self._jobs, self._discard = host, executor, jobs, discard
        self._window, self._timeout_s = window, timeout_s
        jobs.serve(KIND, self._run)

    def submit(
        self,
        model: str,
        images: Images,
        params: Mapping[str, Any] | None = None,
        *,
        enqueue: bool = True,
        asked_by: str = "",
    ) -> Job:
        """Ask for a model to be run on images; which ones is settled now.

        Args:
            model: an inference task of the app.
            images: which images.
            params: options for the model, and ``label_tag``, ``save_label``, ``max_batch_size`` (most images) and
                ``images`` (a list of ids instead of all of a sort).
            enqueue: wait for those that were asked for before.
            asked_by: who wants it.

        Raises:
            JobRunningError: one runs or waits, and ``enqueue`` is off.
            NotFoundError: there is no such model or image.
            BadInputError: a parameter does not suit.
        """
        check_listed("the model", model, self._host.models, fix="GET /info/ lists the models.")
        given = dict(params or {})
        tag = result_tag(given.get("label_tag"))
        most = given.pop("max_batch_size", 0) or 0
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise BadInputError(
                "max_batch_size", expected="a number of images, 0 for all", came=ascii(most)[:40], fix="Correct it."
            )
        ids = sorted(self._ids(given.get("images"), images))
        spec = {
            **cleaned(given),
            "model": model,
            "images": images.value if not isinstance(given.get("images"), list) else "named",
            "label_tag": tag,
            "save_label": str(given.get("save_label", True)).lower() not in ("false", "0", "no", "off"),
        }
        return self._jobs.submit(KIND, spec, items=ids[:most] if most else ids, asked_by=asked_by, enqueue=enqueue)

    def results(self, job: Job) -> dict[str, Any]:
        """Return what came of each image so far, by id: label, tag and params, or the error."""
        return {item.item: item.result for item in self._jobs.table.settled_items(job)}

    def _ids(self, named: Any, images: Images) -> list[str]:
        if isinstance(named, list):
            return list(dict.fromkeys(self._host.image_id(str(image)) for image in named))
        with self._host.storing() as datastore:
            if images is Images.LABELED:
                found = datastore.get_labeled_images()
            elif images is Images.UNLABELED:
                found = datastore.get_unlabeled_images()
            else:
                found = datastore.list_images()
        return list(dict.fromkeys(str(image) for image in found))

    def _run(self, held: Held) -> dict[str, Any]:
        spec = held.job.spec
        if spec["model"] not in self._host.models:
            raise JobFailedError("The app has no such model any more.")
        options = cleaned({key: value for key, value in spec.items() if key not in ("images", "label_tag")})
        if held.job.begun_before:
            self._take_over(held)

        def ask(image: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            path = str(self._host.image_path(self._host.image_id(image)))
            return worker.infer, ({**options, "model": spec["model"], "image": path, "image_id": image},)

        def keep(image: str, result: dict[str, Any]) -> dict[str, Any]:
            return self._keep(held.job, image, result)

        held.line(f"{held.job.items} images")
        go_through(held, self._executor, ask, keep, window=self._window, timeout_s=self._timeout_s)
        now = held.table.get(held.job.id)
        if now.items and now.items_failed == now.items:
            raise JobFailedError(f"None of the {now.items} images went well; the last lines say why.")
        failed = f", {now.items_failed} failed" if now.items_failed else ""
        held.line(f"{now.items_done} of {now.items} images done{failed}")
        return {"total": now.items, "done": now.items_done, "failed": now.items_failed}

    def _keep(self, job: Job, image: str, result: dict[str, Any]) -> dict[str, Any]:
        """Save the result as a label, unless it is not to be, and return what is told of it."""
        file = None if result["file"] is None else Path(result["file"])
        label = None
        try:
            if file is not None and file.is_file() and job.spec["save_label"]:
                info = {"model": job.spec["model"], "params": result["params"], "job": job.id}
                with self._host.storing() as datastore:
                    label = str(datastore.save_label(image, str(file), job.spec["label_tag"], info))
        finally:
            self._discard(file)
        return {"label": label, "tag": job.spec["label_tag"], "params": result["params"]}

    def _take_over(self, held: Held) -> None:
        """Settle the images whose label was saved in the moment their server was killed."""
        if not held.job.spec["save_label"]:
            return
        tag = held.job.spec["label_tag"]
        for image in held.table.waiting_items(held.job)[: self._window]:
            with suppress(Exception):  # there is no label, in the words of whichever datastore it is
                label, _ = self._host.label(image, tag)
                with self._host.storing() as datastore:
                    info = datastore.get_label_info(label, tag)
                if info.get("job") == held.job.id:
                    held.settle(image, {"label": label, "tag": tag, "params": info.get("params") or {}})


def result_tag(asked: Any) -> str:
    """Return the tag for a model's result: what was asked for, else ``original``; BadInputError if it may not be."""
    if asked is not None and not isinstance(asked, str):
        raise BadInputError("label_tag", expected="a name", came=ascii(asked)[:40], fix="Leave it out.")
    tag = check_tag(asked or ORIGINAL)
    if tag == FINAL:
        raise BadInputError(
            "label_tag",
            expected="another tag than final, which is for labels that somebody has finished",
            came=tag,
            fix="Leave it out.",
        )
    return tag
