"""What a process does again and again beside serving."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


@contextmanager
def repeated(call: Callable[[], object], *, every: float, name: str) -> Iterator[None]:
    """Call ``call`` now and every so many seconds meanwhile, in a thread of that name, which ends with this.

    A call that fails is logged, the next of the same type only after one that did not, and made again in its turn.
    """
    stopped = threading.Event()

    def run() -> None:
        failure = ""
        while not stopped.is_set():
            try:
                call()
                failure = ""
            except Exception as error:  # noqa: BLE001 - else it would never be done again, and nobody would know
                if (kind := type(error).__name__) != failure:
                    failure = kind
                    _log.error("%s failed and is tried again: %s", name, kind)
            stopped.wait(every)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
