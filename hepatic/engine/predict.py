"""Run a task on an image: decode once, prepare once, load the model once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hepatic.engine.cache import BoundedCache, Budget
from hepatic.engine.card import ModelCard
from hepatic.engine.device import LAYOUTS, choose_device, place
from hepatic.engine.fold import fold_batch_norms
from hepatic.engine.weights import ModelVersion, Registry
from hepatic.errors import NotFoundError
from hepatic.geometry import Grid
from hepatic.io.content import content_hash
from hepatic.io.image import Cine, Volume
from hepatic.io.read import read
from hepatic.metrics import foreground_entropy
from hepatic.settings import settings
from hepatic.tasks.spec import Sample, SegmentationTask

logger = logging.getLogger(__name__)

MIB = 1 << 20


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a task says about an image.

    Attributes:
        labelmap: uint8, shape (k, j, i), on ``grid``; label ``labels[i]`` has value i + 1.
        grid: the source's own.
        labels: value by name.
        facts: what else was found; JSON-able.
        uncertainty: entropy in bits averaged over the foreground.
        version: of the model.
        model_sha256: of its weights.
        timings_ms: by stage (read, prepare, network, finish), 0 where a cache answered.
    """

    labelmap: NDArray[np.uint8]
    grid: Grid
    labels: dict[str, int]
    facts: dict[str, Any]
    uncertainty: float
    version: str
    model_sha256: str
    timings_ms: dict[str, float]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network with a version's weights, ready on the device, and the task in that version's preset."""

    task: SegmentationTask
    card: ModelCard
    network: nn.Module


class Predictor:
    """Answers requests in one process; safe from several threads.

    A version promoted in the registry, by this or any other process, is picked up by the next request; a request under
    way keeps the model it began with.

    Args:
        registry: where the models are.
        device: ``auto``, ``cpu``, ``cuda``...; the setting unless given.
        cache_mib: memory for decoded images and prepared tensors together; the setting unless given.
    """

    def __init__(self, registry: Registry, *, device: str | None = None, cache_mib: int | None = None) -> None:
        self.registry = registry
        self.device = choose_device(settings().device if device is None else device)
        budget = Budget((settings().cache_mib if cache_mib is None else cache_mib) * MIB)
        self._sources: BoundedCache[Volume | Cine] = BoundedCache(budget, _source_bytes)
        self._prepared: BoundedCache[Sample] = BoundedCache(budget, lambda sample: int(sample["image"].nbytes))
        self._models: dict[str, LoadedModel] = {}
        self._loading = threading.Lock()
        if settings().threads:
            torch.set_num_threads(settings().threads)

    def caches(self) -> dict[str, dict[str, int]]:
        """Return hits, misses and bytes of the caches by name, since this process began."""
        both: dict[str, BoundedCache[Any]] = {"images": self._sources, "prepared": self._prepared}
        return {name: {"hits": one.hits, "misses": one.misses, "bytes": one.bytes} for name, one in both.items()}

    def model(self, task: SegmentationTask) -> LoadedModel:
        """The served model of a task; NotFoundError when none has been trained yet."""
        served = self.registry.served(task.name)
        if served is None:
            raise NotFoundError(
                f"model '{task.name}'",
                expected="a trained version",
                came="none",
                fix=f"Train it (`hepatic train {task.name}`) or put a version into {self.registry.models.name}/.",
            )
        loaded = self._models.get(task.name)
        if loaded is None or loaded.card.version != served.version:
            with self._loading:
                loaded = self._models.get(task.name)
                if loaded is None or loaded.card.version != served.version:
                    loaded = load_model(task, served, self.device)
                    fold_batch_norms(loaded.network)
                    self._models[task.name] = loaded
        return loaded

    def predict(
        self, task: SegmentationTask, source: Path, *, params: Mapping[str, object] | None = None
    ) -> Prediction:
        """Run the served model of a task on an image file or series folder.

        Args:
            task: in any preset; the served version decides which one runs.
            source: a file or a folder with one series.
            params: what the client sent; the task's options are read out of it.

        Raises:
            BadInputError: the image or an option does not suit.
            NotFoundError: the task has no model yet.
        """
        model = self.model(task)
        options = model.task.parse_options(params or {})
        timings: dict[str, float] = {}
        digest = content_hash(source)
        with _Timer(timings, "read"):
            image = model.task.accept(self._sources.get(digest, lambda: read(source)))
        key = (digest, model.task.pre_fingerprint, tuple(sorted(options.items())))
        with _Timer(timings, "prepare"):
            sample = self._prepared.get(key, lambda: _slim(model.task.prepare({"source": image, "options": options})))
        with _Timer(timings, "network"):
            probabilities = run_network(model, sample["image"], self.device)
        with _Timer(timings, "finish"):
            finished = model.task.finish(
                {**sample, "source": image, "options": options, "probabilities": probabilities}
            )
        return Prediction(
            labelmap=finished["labelmap"],
            grid=image.grid,
            labels={name: value for value, name in enumerate(model.task.labels, start=1)},
            facts=finished["facts"],
            uncertainty=foreground_entropy(probabilities),
            version=model.card.version,
            model_sha256=model.card.sha256,
            timings_ms=timings,
        )


def load_model(task: SegmentationTask, version: ModelVersion, device: torch.device) -> LoadedModel:
    """Build the network of a version's preset and put its weights in."""
    task = task.preset(version.card.preset)
    if version.card.pre_fingerprint not in ("", task.pre_fingerprint):
        logger.warning("%s %s was trained with another pre-processing; train it again", task.name, version.version)
    network = task.network()
    network.load_state_dict(version.load())
    place(network, device).eval().requires_grad_(False)
    return LoadedModel(task, version.card, network)


def run_network(model: LoadedModel, image: torch.Tensor, device: torch.device) -> torch.Tensor:
    """One prepared image (C, spatial...) to probabilities (labels, spatial...), float32 on the CPU."""
    with torch.inference_mode():
        batch = image[None].to(device, non_blocking=True)
        if batch.ndim in LAYOUTS:
            batch = batch.contiguous(memory_format=LAYOUTS[batch.ndim])
        return model.task.probabilities(model.task.inferer(batch, model.network))[0].float().cpu()


def _slim(sample: Sample) -> Sample:
    return {"image": sample["image"].contiguous(), "facts": sample.get("facts", {})}


def _source_bytes(source: Volume | Cine) -> int:
    return int(source.frames.nbytes if isinstance(source, Cine) else source.array.nbytes)


class _Timer:
    def __init__(self, timings: dict[str, float], name: str) -> None:
        self._timings, self._name = timings, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._timings[self._name] = round(1000 * (time.perf_counter() - self._start), 2)
