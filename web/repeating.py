"""What a process does again and again beside serving."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(call: Callable[[], object], *, every: float, name: str) -> Iterator[None]:
    """Call ``call`` now and every so many seconds meanwhile, in a thread of that name, which ends with this."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            call()
            stopped.wait(every)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
