"""Of many questions that are answered at once, one computes at a time.

Threads of one interpreter hand it over whenever numpy lets go of it, some hundred times an answer: 32 at once spent
5 ms of processor time on what one alone does in 2 (docs/benchmarks.md, "Many users").

>>> turns = Turns()
>>> with turns.taking():
...     with aside():
...         pass
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PATIENCE = 0.5  # seconds: 64 that wait for one another are through in a third of that


class Turns:
    """Lets those who take a turn compute one after another; it is a courtesy, and nothing relies on it.

    Whoever has waited for ``patience`` seconds goes ahead beside the one that has the turn, and so do all after: one
    that hangs stops nobody.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._turn = threading.Lock()
        self._replacing = threading.Lock()

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Wait for the turn and keep it until the end, but for what is :func:`aside`; who has it goes on."""
        if _mine.get() is not None:
            yield
            return
        mine = _Turn(self)
        token = _mine.set(mine)
        try:
            with mine:
                yield
        finally:
            _mine.reset(token)

    def begin(self) -> threading.Lock:
        """Wait for the turn; return what is released when it ends."""
        while not (turn := self._turn).acquire(timeout=self._patience):
            with self._replacing:
                if self._turn is turn:
                    self._turn = threading.Lock()
        return turn


class _Turn:
    """One thread's turn, begun and ended as often as it steps aside."""

    __slots__ = ("_held", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._held: threading.Lock | None = None

    def __enter__(self) -> None:
        self._held = self._turns.begin()

    def __exit__(self, *error: object) -> None:
        held, self._held = self._held, None
        if held is not None:  # it is not where waiting for it was broken off
            held.release()


_mine: ContextVar[_Turn | None] = ContextVar("turn", default=None)


@contextmanager
def aside() -> Iterator[None]:
    """Let others compute meanwhile, for what is inside waits or takes long; without a turn nothing happens."""
    mine = _mine.get()
    if mine is None:
        yield
        return
    token = _mine.set(None)
    mine.__exit__()
    try:
        yield
    finally:
        mine.__enter__()
        _mine.reset(token)
