"""Numbers for Prometheus: requests, latency, queues, batches, what became of texts.

No label holds a text, a key or anything else that a client chose freely.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from civilly import __version__
from civilly.serve.settings import Settings

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus_client: where several processes put their numbers together."""


class Metrics:
    """All numbers of one application.

    Args:
        settings: What the server was started with.
    """

    def __init__(self, settings: Settings) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "civilly_requests", "Requests by route and status.", ["route", "code"],
            registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "civilly_request_seconds", "Time from request to answer.", ["route"],
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self._queue = Gauge(
            "civilly_queue_depth", "Texts that wait.", ["lane"],
            registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self._in_flight = Gauge(
            "civilly_requests_in_flight", "Requests that were accepted and not answered.",
            registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self._batches = Histogram(
            "civilly_batch_size", "Texts that were worked on together.", ["lane"],
            buckets=BATCHES, registry=registry,
        )  # fmt: skip
        self._texts = Counter(
            "civilly_texts", "Texts by language and what became of them.", ["lang", "decision"],
            registry=registry,
        )  # fmt: skip
        build = Gauge(
            "civilly_build_info", "What is served.", ["version", "method", "engine"],
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        engine = (settings.engine or settings.model or "embedded").partition(":")[0]
        build.labels(__version__, settings.method, engine).set(1)
        self._queues: dict[str, Callable[[], int]] = {}

    def watch_queue(self, lane: str, waiting: Callable[[], int]) -> None:
        """Asks how many texts wait whenever somebody looks."""
        self._queues[lane] = waiting

    def batch(self, lane: str, count: int) -> None:
        """A batch of so many texts begins."""
        self._batches.labels(lane).observe(count)
        self._queue.labels(lane).set(self._queues[lane]())

    def text(self, lang: str, decision: str) -> None:
        """A text was found toxic or civil, or was changed or kept."""
        self._texts.labels(lang, decision).inc()

    def accepted(self) -> None:
        """A request came in."""
        self._in_flight.inc()

    def answered(self, route: str, code: str, seconds: float) -> None:
        """A request was answered."""
        self._in_flight.dec()
        self._requests.labels(route, code).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, route: str, code: str) -> None:
        """A request was refused at the door."""
        self._requests.labels(route, code).inc()

    def page(self) -> bytes:
        """All of them, in Prometheus' text format; of all worker processes."""
        for lane, waiting in self._queues.items():
            self._queue.labels(lane).set(waiting())
        if SHARED not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
