"""Numbers about the server in Prometheus' form. Their labels are of few values, and none is from a client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asks for

_HTTP_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_STAGE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_STAGES = {
    "queue": "queue", "read": "read", "prepare": "pre", "pre": "pre", "network": "network", "infer": "network",
    "invert": "post", "finish": "post", "post": "post", "write": "write", "send": "send",
}  # fmt: skip
"""Stages as hepatic's tasks and MONAI Label's call them, and as they are told."""
_GAUGES = {
    "hepatic_queue_waiting": "Requests that wait for a worker.",
    "hepatic_queue_limit": "Requests that may wait before more are answered with 503.",
    "hepatic_work_running": "Requests that a worker is at.",
    "hepatic_slots_ready": "Workers that are loaded and take work.",
    "hepatic_store_images": "Images in the datastore.",
    "hepatic_store_completed": "Images with a final label.",
}

Now = Callable[[], Mapping[str, float]]
Jobs = Callable[[], Mapping[tuple[str, str], int]]


class Metrics:
    """The numbers of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "hepatic_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "hepatic_http_request_seconds", "From a request's head to the end of its answer.", ("method", "route"),
            buckets=_HTTP_S, registry=self.registry,
        )  # fmt: skip
        self._received = Counter(
            "hepatic_upload_bytes", "Bytes of requests' bodies.", ("method", "route"), registry=self.registry
        )
        self._sent = Counter(
            "hepatic_answer_bytes", "Bytes of answers' bodies.", ("method", "route"), registry=self.registry
        )
        self._stages = Histogram(
            "hepatic_inference_stage_seconds", "Stages of an interactive inference.", ("model", "stage"),
            buckets=_STAGE_S, registry=self.registry,
        )  # fmt: skip
        self._hits = Counter("hepatic_cache_hits", "Found in a worker's cache.", ("cache",), registry=self.registry)
        self._misses = Counter("hepatic_cache_misses", "Made anew.", ("cache",), registry=self.registry)
        self._workers: dict[int, Mapping[str, Any]] = {}
        self._lock = threading.Lock()
        self._current: Collector | None = None

    def served(self, method: str, route: str, status: int, seconds: float, received: int, sent: int) -> None:
        """Count a request. Takes the template of the route, not what the client wrote."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        self._received.labels(method, route).inc(received)
        self._sent.labels(method, route).inc(sent)

    def inferred(self, model: str, stages_ms: Mapping[str, float]) -> None:
        """Count an inference by its stages."""
        summed: dict[str, float] = {}
        for name, took_ms in stages_ms.items():
            if name in _STAGES:
                summed[_STAGES[name]] = summed.get(_STAGES[name], 0.0) + took_ms
        for stage, took_ms in summed.items():
            self._stages.labels(model, stage).observe(took_ms / 1000)

    def used(self, worker: int, usage: Mapping[str, Any] | None) -> None:
        """Take in what a worker process uses (``server.worker.usage``), None when it is gone."""
        with self._lock:
            before = self._workers.pop(worker, {}).get("caches", {})
            if usage is None:
                return
            self._workers[worker] = usage
            for cache, now in usage.get("caches", {}).items():
                was = before.get(cache, {})
                self._hits.labels(cache).inc(max(0, now["hits"] - was.get("hits", 0)))
                self._misses.labels(cache).inc(max(0, now["misses"] - was.get("misses", 0)))

    def watch(self, now: Now, jobs: Jobs) -> None:
        """Ask these at every scrape from now on: gauges by name, and numbers of jobs by kind and state."""
        self.forget()
        self._current = _Current(now, jobs, self._usages)
        self.registry.register(self._current)

    def forget(self) -> None:
        """Ask nobody any more."""
        if self._current is not None:
            self.registry.unregister(self._current)
            self._current = None

    def text(self) -> bytes:
        """Return all numbers in Prometheus' text format."""
        return generate_latest(self.registry)

    def _usages(self) -> list[Mapping[str, Any]]:
        with self._lock:
            return list(self._workers.values())


class _Current(Collector):
    """What is as it is at this moment."""

    def __init__(self, now: Now, jobs: Jobs, usages: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
        self._now, self._jobs, self._usages = now, jobs, usages

    def describe(self) -> Iterable[Metric]:
        """Nothing: who registers this is not to be asked already."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        told = self._now()
        for name, about in _GAUGES.items():
            if name in told:
                yield GaugeMetricFamily(name, about, value=told[name])
        jobs = GaugeMetricFamily("hepatic_jobs", "Jobs in the table.", labels=("kind", "state"))
        for (kind, state), count in self._jobs().items():
            jobs.add_metric((kind, state), count)
        yield jobs
        usages = list(self._usages())
        resident = sum(usage.get("resident_bytes", 0) for usage in usages)
        yield GaugeMetricFamily("hepatic_worker_resident_bytes", "Memory of all workers together.", value=resident)
        cached = GaugeMetricFamily("hepatic_cache_bytes", "Memory of all workers' caches.", labels=("cache",))
        for cache in sorted({cache for usage in usages for cache in usage.get("caches", {})}):
            held = sum(usage.get("caches", {}).get(cache, {}).get("bytes", 0) for usage in usages)
            cached.add_metric((cache,), held)
        yield cached
        gpus = GaugeMetricFamily(
            "hepatic_gpu_memory_bytes", "Of a device, or of workers on it.", labels=("device", "what")
        )
        for device in sorted({str(gpu["device"]) for usage in usages for gpu in usage.get("gpus", ())}):
            there = [gpu for usage in usages for gpu in usage.get("gpus", ()) if str(gpu["device"]) == device]
            for what in ("total", "used"):  # every worker sees the same
                gpus.add_metric((device, what), max(gpu[what] for gpu in there))
            for what in ("reserved", "allocated"):
                gpus.add_metric((device, what), sum(gpu[what] for gpu in there))
        yield gpus
