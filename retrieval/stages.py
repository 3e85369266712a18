"""Where the time of a question goes, stage by stage, and what came of it.

>>> with recording() as times:
...     with stage("understand"):
...         with stage("encode"):
...             pass
>>> sorted(times)
['encode', 'understand']
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from retrieval.datatypes import Status

STAGES = ("understand", "encode", "dense", "lexical", "rank_again", "decide", "answer")
"""The stages of a question in the order of DESIGN.md's "From question to answer"; retrieval is dense and lexical."""


class Times(Mapping[str, float]):
    """Seconds by stage, each stage's own: what a stage inside another takes is that one's, and counts once.

    Stages of several threads may add to it; the whole is the wall time of the recording, known when that has ended.
    ``statuses`` holds those of the answers that were given meanwhile, in their order.
    """

    def __init__(self) -> None:
        self.total: float = 0.0
        self.statuses: list[Status] = []
        self._seconds: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, name: str, seconds: float) -> None:
        """Add to the stage ``name``."""
        with self._lock:
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds
            self._counts[name] = self._counts.get(name, 0) + 1

    def count(self, name: str) -> int:
        """Return how often the stage ``name`` was gone through."""
        return self._counts.get(name, 0)

    @property
    def unnamed(self) -> float:
        """The seconds of the recording in no stage; 0 where stages of several threads lay side by side."""
        return max(0.0, self.total - sum(self._seconds.values()))

    def __getitem__(self, name: str) -> float:
        return self._seconds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._seconds)

    def __len__(self) -> int:
        return len(self._seconds)


class _Open:
    """What is under way in this context: the recording, and the seconds of the stages that lay inside so far."""

    __slots__ = ("inside", "times")

    def __init__(self, times: Times) -> None:
        self.times = times
        self.inside = 0.0


_open: ContextVar[_Open | None] = ContextVar("stages", default=None)


@contextmanager
def recording() -> Iterator[Times]:
    """Record the stages of this context, and of the threads that are given a copy of it, until the end.

    A recording inside another takes what happens in it to itself.
    """
    times = Times()
    token = _open.set(_Open(times))
    began = time.perf_counter()
    try:
        yield times
    finally:
        times.total = time.perf_counter() - began
        _open.reset(token)


@contextmanager
def joining() -> Iterator[Times]:
    """Give the recording that this context is in, what was before included, or begin one where it is in none."""
    outer = _open.get()
    if outer is not None:
        yield outer.times
        return
    with recording() as times:
        yield times


def note_answer(status: Status) -> None:
    """Tell whoever records that a question was answered so."""
    if (outer := _open.get()) is not None:
        outer.times.statuses.append(status)


class stage:
    """``with stage("encode"):`` counts the wall time inside for whoever records; where nobody does, nothing happens.

    Waiting counts, so that a question which waits for others to be encoded spends that in ``encode``. Never around a
    ``yield``: what the caller does meanwhile would count.
    """

    __slots__ = ("_began", "_name", "_outer", "_own")

    def __init__(self, name: str) -> None:
        self._name = name
        self._outer: _Open | None = None

    def __enter__(self) -> None:
        outer = self._outer = _open.get()
        if outer is not None:
            self._own = _Open(outer.times)
            _open.set(self._own)
            self._began = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        outer = self._outer
        if outer is not None:
            spent = time.perf_counter() - self._began
            outer.times.add(self._name, max(0.0, spent - self._own.inside))
            outer.inside += spent
            _open.set(outer)
