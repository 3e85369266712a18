"""Figures for Prometheus: of one process, or of several together. No question and no name is among their labels.

They have an address of their own (``WENTIAO_METRICS``), never the site's: behind a proxy every request comes from this
machine, so that the site cannot tell an operator from a stranger.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from index.batching import BatchingEncoder
from retrieval.datatypes import DEGRADABLE
from web.connections import REASONS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from retrieval import Assistant
    from retrieval.stages import Times

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client lets several processes add up
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH_TEXTS = (1, 2, 4, 8, 16, 32, 64)
METHODS = ("GET", "HEAD", "POST")
OUTCOMES = ("used", "refused")
# The kinds of problem that are somebody's to look after; what is wrong with a request is not.
ALARMING = ("failed", "timed_out", "store_unreachable", "index_damaged", "overloaded", "rate_limited")


class Metrics:
    """The figures of this process."""

    def __init__(self) -> None:
        """Start all at zero, in a registry of their own."""
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        self.registry: CollectorRegistry = CollectorRegistry()
        if SHARED_FOLDER not in os.environ:
            ProcessCollector(registry=self.registry)
        own: Any = {"namespace": "wentiao", "registry": self.registry}
        self._requests = Counter("requests", "Requests by what was asked for", ["route", "method", "status"], **own)
        self._seconds = Histogram("request_seconds", "From request to answer", ["route"], buckets=SECONDS, **own)
        self._answers = Counter("answers", "Answers by status, declines among them", ["status"], **own)
        self._stages = Histogram("stage_seconds", "Time of a question by stage", ["stage"], buckets=SECONDS, **own)
        self._problems = Counter("problems", "Requests refused or failed, by kind of problem", ["kind"], **own)
        self._degraded = Counter("degraded", "Requests answered without a part that failed", ["part"], **own)
        self._inside = Gauge(
            "questions_inside", "Questions being answered or waiting", multiprocess_mode="livesum", **own
        )
        self._waiting = Gauge("questions_waiting", "Questions that wait", multiprocess_mode="livesum", **own)
        self._batch_texts = Histogram("batch_texts", "Texts encoded together", buckets=BATCH_TEXTS, **own)
        self._batch_seconds = Histogram("batch_seconds", "Time of a batch", buckets=SECONDS, **own)
        self._ready = Gauge("ready", "1 where the process can answer", multiprocess_mode="livemin", **own)
        self._apps = Gauge("index_apps", "Apps in the index", multiprocess_mode="livemax", **own)
        self._ended = Counter("connections_ended", "Connections that the server ended, by why", ["reason"], **own)
        self._generations = Counter("index_generations", "Changes to a new generation", ["outcome"], **own)
        # A counter that first appears with its first event has not increased, as Prometheus sees it.
        for outcome in OUTCOMES:
            self._generations.labels(outcome)
        for part in DEGRADABLE:
            self._degraded.labels(part)
        for kind in ALARMING:
            self._problems.labels(kind)
        for reason in REASONS:
            self._ended.labels(reason)

    def watch(self, assistant: Assistant) -> None:
        """Count the batches of the assistant's encoder, where it has one that makes batches."""
        encoder = getattr(assistant, "encoder", None)
        if isinstance(encoder, BatchingEncoder):
            encoder.on_batch = self.note_batch

    def note_request(
        self, route: str, method: str, status: int, seconds: float, times: Times, degraded: Iterable[str]
    ) -> None:
        """Count one request and what it took; ``route`` is one of few."""
        self._requests.labels(route, method if method in METHODS else "other", str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        for name, spent in times.items():
            self._stages.labels(name).observe(spent)
        if times.statuses:
            self._answers.labels(times.statuses[0]).inc()
        for part in degraded:
            self._degraded.labels(part).inc()

    def note_problem(self, kind: str) -> None:
        """Count one request that was refused or failed."""
        self._problems.labels(kind).inc()

    def note_questions(self, inside: int, waiting: int) -> None:
        """Take down how many questions are here, and how many of them wait."""
        self._inside.set(inside)
        self._waiting.set(waiting)

    def note_ended(self, reason: str) -> None:
        """Count one connection that this server ended, for one of :data:`web.connections.REASONS`."""
        self._ended.labels(reason).inc()

    def note_batch(self, texts: int, seconds: float) -> None:
        """Count one batch of the encoder."""
        self._batch_texts.observe(texts)
        self._batch_seconds.observe(seconds)

    def note_ready(self, apps: int | None) -> None:
        """Take down whether the process can answer: from how many apps, or ``None``."""
        self._ready.set(apps is not None)
        if apps is not None:
            self._apps.set(apps)

    def note_generation(self, used: bool) -> None:
        """Count a new generation of the index that was changed to, or that could not be used."""
        self._generations.labels(OUTCOMES[not used]).inc()


def forget_process(process: int | None) -> None:
    """Leave what a process that has ended last said of the moment, such as whether it could answer, out of the figures.

    What it counted stays. Where no figures are shared, nothing is done.
    """
    if process is not None and SHARED_FOLDER in os.environ:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(process)  # type: ignore[no-untyped-call]


class FiguresError(ValueError):
    """The address for the figures cannot be listened on; the message says why."""


@contextmanager
def exposed(address: tuple[str, int] | None, registry: CollectorRegistry) -> Iterator[None]:
    """Give the figures of ``registry`` to whoever asks at ``address``, host and port; without one nobody can.

    :raises FiguresError: if the address cannot be listened on.
    """
    if address is None:
        yield
        return
    from prometheus_client import start_http_server

    host, port = address
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise FiguresError(error.strerror or type(error).__name__) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def exposed_together(address: tuple[str, int] | None) -> Iterator[None]:
    """Give the figures of all processes that are started meanwhile, added up; what one counted stays when it ends.

    :raises FiguresError: if the address cannot be listened on.
    """
    if address is None:
        yield
        return
    folder = tempfile.mkdtemp(prefix="wentiao-metrics-")
    os.environ[SHARED_FOLDER] = folder  # the processes look there when they make theirs
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        with exposed(address, registry):
            yield
    finally:
        del os.environ[SHARED_FOLDER]
        shutil.rmtree(folder, ignore_errors=True)
