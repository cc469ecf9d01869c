"""Run a task on an image: decode once, prepare once, load the model once."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray

from hepatic.engine.accelerate import AcceleratedNetwork, check_accelerator
from hepatic.engine.answer import Answer, Classification, Detections, Prediction
from hepatic.engine.cache import BoundedCache, Budget
from hepatic.engine.candidates import choose
from hepatic.engine.device import choose_device
from hepatic.engine.fold import fold_batch_norms
from hepatic.engine.label_boxes import PictureBox, boxes_in_sample
from hepatic.engine.model import AnyTask, LoadedModel, load_model, run_classifier, run_detector, run_network
from hepatic.engine.weights import Registry
from hepatic.errors import NotFoundError
from hepatic.io.content import content_hash
from hepatic.io.image import Cine, Volume
from hepatic.io.read import read
from hepatic.metrics import foreground_entropy
from hepatic.settings import Accelerator, settings
from hepatic.tasks.spec import ClassificationTask, DetectionTask, Sample, SegmentationTask, Task

MIB = 1 << 20
EXPORTS = ".openvino"
"""Folder of exported networks beside the models."""

Options = dict[str, int | float | str | bool]
Timings = dict[str, float]
PictureBoxes = Sequence[PictureBox | tuple[float, float, float, float]]
"""On an ultrasound picture; without frames they count on each."""


class Predictor:
    """Answers requests in one process; safe from several threads.

    A version promoted in the registry, by this or any other process, is picked up by the next request; a request under
    way keeps the model it began with.

    Args:
        registry: where the models are.
        device: ``auto``, ``cpu``, ``cuda``...; the setting unless given.
        cache_mib: memory for decoded images and prepared tensors together; the setting unless given.
        accelerator: what runs networks on a CPU; the setting unless given.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        device: str | None = None,
        cache_mib: int | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.registry = registry
        self.device = choose_device(settings().device if device is None else device)
        self._accelerator = check_accelerator(accelerator or settings().accelerator, self.device)
        budget = Budget((settings().cache_mib if cache_mib is None else cache_mib) * MIB)
        self._sources: BoundedCache[Volume | Cine] = BoundedCache(budget, _source_bytes)
        self._prepared: BoundedCache[Sample] = BoundedCache(budget, lambda sample: int(sample["image"].nbytes))
        self._livers: BoundedCache[NDArray[np.bool_]] = BoundedCache(budget, lambda mask: int(mask.nbytes))
        self._models: dict[str, LoadedModel[Any]] = {}
        self._loading = threading.Lock()
        if settings().threads:
            torch.set_num_threads(settings().threads)

    def caches(self) -> dict[str, dict[str, int]]:
        """Return hits, misses and bytes of the caches by name, since this process began."""
        both: dict[str, BoundedCache[Any]] = {
            "images": self._sources,
            "prepared": self._prepared,
            "livers": self._livers,
        }
        return {name: {"hits": one.hits, "misses": one.misses, "bytes": one.bytes} for name, one in both.items()}

    def model(self, task: AnyTask) -> LoadedModel[AnyTask]:
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
                    self._models[task.name] = loaded = self._accelerated(loaded)
        return loaded

    def _accelerated(self, model: LoadedModel[AnyTask]) -> LoadedModel[AnyTask]:
        if self._accelerator == "none":
            return model
        name = model.task.name
        folder = self.registry.models / EXPORTS / name / model.card.sha256
        return replace(model, network=AcceleratedNetwork(model.network, self._accelerator, name=name, folder=folder))

    @overload
    def predict(
        self, task: SegmentationTask, source: Path, *, params: Mapping[str, object] | None = None
    ) -> Prediction: ...
    @overload
    def predict(
        self, task: DetectionTask, source: Path, *, params: Mapping[str, object] | None = None
    ) -> Detections: ...
    @overload
    def predict(
        self,
        task: ClassificationTask,
        source: Path,
        *,
        params: Mapping[str, object] | None = None,
        boxes: PictureBoxes = (),
    ) -> Classification: ...
    @overload
    def predict(
        self, task: Task, source: Path, *, params: Mapping[str, object] | None = None, boxes: PictureBoxes = ()
    ) -> Answer: ...
    def predict(
        self, task: Task, source: Path, *, params: Mapping[str, object] | None = None, boxes: PictureBoxes = ()
    ) -> Answer:
        """Run the served model of a task on an image file or series folder.

        Args:
            task: in any preset; the served version decides which one runs.
            source: a file or a folder with one series.
            params: what the client sent; the task's options are read out of it.
            boxes: of lesions that a reader has drawn on an ultrasound picture: a classifier that looks at one lesion
                looks at the largest, unless an option says another.

        Raises:
            BadInputError: the image or an option does not suit.
            NotFoundError: the task, or the liver task of a detector, has no model yet.
        """
        timings: dict[str, float] = {}
        model = self.model(task)
        options = model.task.parse_options(params or {})
        digest = content_hash(source)
        with _Timer(timings, "read"):
            image = model.task.accept(self._sources.get(digest, lambda: read(source)))
        return self._answer(model, image, options, timings, boxes, digest=digest)

    def segment(
        self, task: SegmentationTask, image: Volume | Cine, *, params: Mapping[str, object] | None = None
    ) -> Prediction:
        """Run the served model of a segmentation task on an image in memory; see ``predict``."""
        model = self.model(task)
        return self._segmented(model, model.task.accept(image), model.task.parse_options(params or {}), {})

    def classify(
        self, task: ClassificationTask, image: Volume | Cine, *, params: Mapping[str, object] | None = None
    ) -> Classification:
        """Run the served model of a classification task on an image in memory; see ``predict``."""
        model = self.model(task)
        return self._classified(model, model.task.accept(image), model.task.parse_options(params or {}), {})

    def detect(
        self,
        task: DetectionTask,
        image: Volume | Cine,
        liver: NDArray[np.bool_] | None = None,
        *,
        params: Mapping[str, object] | None = None,
    ) -> Detections:
        """Run the served model of a detection task on an image in memory, such as one phase of a prepared study.

        Args:
            task: in any preset; the served version decides which one runs.
            image: the image.
            liver: (K, J, I) bool on the image's grid; found by the task's ``liver`` task where it is None.
            params: the task's options are read out of it.
        """
        model = self.model(task)
        return self._detected(model, model.task.accept(image), model.task.parse_options(params or {}), {}, liver=liver)

    def _answer(
        self,
        model: LoadedModel[Task],
        image: Volume | Cine,
        options: Options,
        timings: Timings,
        boxes: PictureBoxes,
        *,
        digest: str,
    ) -> Answer:
        match model.task:
            case SegmentationTask():
                return self._segmented(cast(LoadedModel[SegmentationTask], model), image, options, timings, digest)
            case DetectionTask():
                return self._detected(cast(LoadedModel[DetectionTask], model), image, options, timings, digest)
            case ClassificationTask():
                classifier = cast(LoadedModel[ClassificationTask], model)
                return self._classified(classifier, image, options, timings, digest, boxes=boxes)
        raise TypeError(type(model.task))

    def _segmented(
        self,
        model: LoadedModel[SegmentationTask],
        image: Volume | Cine,
        options: Options,
        timings: Timings,
        digest: str | None = None,
    ) -> Prediction:
        sample = self._prepare(model.task, {"source": image, "options": options}, timings, digest)
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

    def _detected(
        self,
        model: LoadedModel[DetectionTask],
        image: Volume | Cine,
        options: Options,
        timings: Timings,
        digest: str | None = None,
        *,
        liver: NDArray[np.bool_] | None = None,
    ) -> Detections:
        more: Sample = {}
        if liver is not None:
            more["liver"] = liver
        elif model.task.liver is not None:
            with _Timer(timings, "liver"):
                more["liver"] = self.liver(model.task.liver, image, digest)
        sample = self._prepare(model.task, {"source": image, "options": options, **more}, timings, digest)
        with _Timer(timings, "network"):
            peaks = run_detector(model, sample["image"], self.device)
        with _Timer(timings, "finish"):
            boxes, scores = choose(*peaks, sample["grid"], options)
        return Detections(
            boxes=boxes,
            scores=scores,
            label=model.task.labels[0],
            grid=image.grid,
            facts=sample["facts"],
            version=model.card.version,
            model_sha256=model.card.sha256,
            timings_ms=timings,
        )

    def _classified(
        self,
        model: LoadedModel[ClassificationTask],
        image: Volume | Cine,
        options: Options,
        timings: Timings,
        digest: str | None = None,
        *,
        boxes: PictureBoxes = (),
    ) -> Classification:
        asked = {"source": image, "options": options, **boxes_in_sample(boxes)}
        sample = self._prepare(model.task, asked, timings, digest)
        with _Timer(timings, "network"):
            probabilities, attention = run_classifier(model, sample["image"], self.device)
        told = dict(zip(model.task.labels, probabilities.tolist(), strict=True))
        return Classification(
            probabilities=told,
            label=model.task.conclude(told),
            attention=None if attention is None else (attention / attention.max()).numpy(),
            grid=image.grid,
            facts=sample["facts"],
            version=model.card.version,
            model_sha256=model.card.sha256,
            timings_ms=timings,
        )

    def _prepare(self, task: Task, sample: Sample, timings: Timings, digest: str | None) -> Sample:
        """Prepare a sample, or remember it where it is known which file it came from."""
        with _Timer(timings, "prepare"):
            if digest is None:
                return _slim(task.prepare(sample))
            liver = None
            if isinstance(task, DetectionTask) and task.liver is not None:
                served = self.registry.served(task.liver.name)
                liver = None if served is None else served.card.sha256
            drawn = (*sample.get("boxes", ()), *sample.get("boxes_frames", ()))
            key = (digest, task.pre_fingerprint, tuple(sorted(sample["options"].items())), drawn, liver)
            return self._prepared.get(key, lambda: _slim(task.prepare(sample)))

    def liver(self, task: SegmentationTask, image: Volume | Cine, digest: str | None = None) -> NDArray[np.bool_]:
        """Return everything a liver task finds, the liver and what it names within it: (K, J, I) bool.

        Args:
            task: the liver task.
            image: the image.
            digest: of the file it came from, under which the mask is remembered; None remembers nothing.
        """

        def find() -> NDArray[np.bool_]:
            return np.asarray(self.segment(task, image).labelmap > 0)

        if digest is None:
            return find()
        model = self.model(task)
        return self._livers.get((digest, model.card.sha256, model.task.pre_fingerprint), find)


def _slim(sample: Sample) -> Sample:
    kept = {"image": sample["image"].contiguous(), "facts": sample.get("facts", {})}
    return {**kept, "grid": sample["grid"]} if "grid" in sample else kept


def _source_bytes(source: Volume | Cine) -> int:
    return int(source.frames.nbytes if isinstance(source, Cine) else source.array.nbytes)


class _Timer:
    def __init__(self, timings: dict[str, float], name: str) -> None:
        self._timings, self._name = timings, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._timings[self._name] = round(1000 * (time.perf_counter() - self._start), 2)
