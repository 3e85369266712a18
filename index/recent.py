"""What was used last stays open, so that a file is not opened for every question."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Opened = TypeVar("Opened")


class LastUsed(Generic[Opened]):
    """What is open, by name: the last used ones. Methods may be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Opened] = OrderedDict()

    def get(self, name: str) -> Opened | None:
        """Return what is open under ``name``, which is now the last used."""
        with self._lock:
            held = self._open.get(name)
            if held is not None:
                self._open.move_to_end(name)
            return held

    def keep(self, name: str, opened: Opened, *, most: int) -> None:
        """Keep what was opened, and let go of what was used longest ago where that makes more than ``most``."""
        with self._lock:
            self._open[name] = opened
            self._open.move_to_end(name)
            if len(self._open) > most:
                self._open.popitem(last=False)

    def drop(self, name: str) -> None:
        """Let go of what is open under ``name``."""
        with self._lock:
            self._open.pop(name, None)

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._open.clear()
