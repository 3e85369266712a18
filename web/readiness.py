"""Whether this process can answer: one question is put to it, at most one a second however many ask."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING

import anyio

from index.errors import IndexMismatchError, UnavailableError
from web.repeating import repeated

if TYPE_CHECKING:
    from retrieval import Assistant

_log = logging.getLogger(__name__)

KEPT_SECONDS = 1.0  # that a result is told to whoever asks
PATIENCE = 10.0  # seconds; the queue of an overloaded process is two seconds' work, on a slow machine more
LOOK_EVERY = 10.0  # seconds between two questions that nobody asked for: figures are read about as often
LOOK_SECONDS = 0.01  # between two looks whether the probe has ended


class Readiness:
    """Tells whether model, index and store answer; ``draining`` says that this process is about to end."""

    def __init__(
        self,
        assistant: Assistant,
        *,
        patience: float = PATIENCE,
        kept: float = KEPT_SECONDS,
        on_result: Callable[[int | None], None] = lambda apps: None,
    ) -> None:
        """:param on_result: told of every result: the number of apps, or ``None`` where the process cannot answer."""
        self.draining = False
        self._assistant = assistant
        self._patience = patience
        self._kept = kept
        self._on_result = on_result
        self._lock = threading.Lock()
        self._since: float | None = None  # when the probe that runs was begun
        self._apps: int | None = None
        self._known_at = float("-inf")
        self._told = ""

    async def check(self) -> int | None:
        """Return how many apps can be asked about; ``None`` if this process cannot answer, or not in time.

        A probe that hangs is not repeated: one thread waits, and everybody is told at once that it does.
        """
        while not self.draining:
            with self._lock:
                if self._since is None and monotonic() - self._known_at < self._kept:
                    return self._apps
                if self._since is None:
                    self._begin()
                elif monotonic() - self._since > self._patience:
                    self._tell("the probe gets no answer")
                    self._on_result(None)
                    return None
            await anyio.sleep(LOOK_SECONDS)
        self._on_result(None)
        return None

    def drain(self) -> None:
        """Say from now on that this process is about to end."""
        self.draining = True
        self._on_result(None)

    @contextmanager
    def watching(self, seconds: float = LOOK_EVERY) -> Iterator[None]:
        """Put the question now and every so many seconds meanwhile, so that the figures know though nobody asks.

        The process drains when this ends.
        """
        with repeated(lambda: anyio.run(self.check), every=seconds, name="watch"):
            try:
                yield
            finally:
                self.drain()  # or a probe that hangs would be waited for

    def _begin(self) -> None:
        """Begin a probe; where this machine has no thread left, that is the result, and kept as any other."""
        # In a context of its own: the request that began it may be long gone when it ends.
        probe = threading.Thread(target=Context().run, args=(self._probe,), name="readiness", daemon=True)
        try:
            probe.start()
        except RuntimeError:
            self._apps, self._known_at = None, monotonic()
            self._tell("no thread can be started")
            self._on_result(None)
        else:
            self._since = monotonic()  # it ends no sooner than the lock is given back

    def _probe(self) -> None:
        apps: int | None = None
        try:
            apps = self._ask()
        except (UnavailableError, IndexMismatchError) as error:
            reason = f"{type(error).__name__}: {error}"  # it quotes the store or a file, and no question was asked
        except Exception as error:  # noqa: BLE001 - whatever it is, this process cannot answer
            reason = type(error).__name__
        with self._lock:
            self._apps, self._known_at, self._since = apps, monotonic(), None
            self._tell("" if apps is not None else reason)
        self._on_result(None if self.draining else apps)

    def _ask(self) -> int:
        """Search one app: the model is asked, and one app's vectors. A damaged one says nothing of the others."""
        apps = self._assistant.apps()
        damage: IndexMismatchError | None = None
        for app in apps:
            try:
                self._assistant.search("隐私", app=app, top_k=1, rerank=False)
            except IndexMismatchError as error:
                damage = error
            else:
                return len(apps)
        raise damage or LookupError("the index has no app")

    def _tell(self, reason: str) -> None:
        """Log once what keeps this process from answering, and that nothing does any more."""
        if reason != self._told:
            self._told = reason
            if reason:
                _log.error("not ready: %s", reason)
            else:
                _log.warning("ready again")
