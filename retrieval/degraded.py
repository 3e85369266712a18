"""What failed while a question was answered all the same, said with the answer.

>>> with collecting() as failed:
...     with doing_without("second_stage"):
...         raise ArithmeticError("no numbers")
>>> sorted(failed)
['second_stage']
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from retrieval.datatypes import DEGRADABLE, Degraded

_log = logging.getLogger(__name__)

_failed: ContextVar[tuple[set[Degraded], ...]] = ContextVar("failed", default=())


@contextmanager
def collecting() -> Iterator[set[Degraded]]:
    """Collect what fails in this context, and in the threads that are given a copy of it, until the end.

    What fails inside a collection in another is told to both.
    """
    own: set[Degraded] = set()
    token = _failed.set((*_failed.get(), own))
    try:
        yield own
    finally:
        _failed.reset(token)


@contextmanager
def doing_without(part: Degraded) -> Iterator[None]:
    """Go on after what is inside if it breaks: ``part`` is then missing, which is collected, and logged once.

    What cannot be had now and a damaged index are no faults of the part, and are raised.
    """
    from index.errors import IndexMismatchError, UnavailableError

    try:
        yield
    except (UnavailableError, IndexMismatchError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever broke, the answer can do without it and says so
        if not any(part in collected for collected in _failed.get()[:1]):  # once for all apps of a question
            # Its message may quote the question, and those stay out of logs.
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = type(error).__name__
            _log.error("%s failed and is done without: %s in %s, line %d", part, kind, place.name, place.lineno)
        note_failed(part)


def note_failed(part: Degraded) -> None:
    """Tell whoever collects that ``part`` is missing."""
    for collected in _failed.get():
        collected.add(part)


def in_order(failed: set[Degraded]) -> tuple[Degraded, ...]:
    """Return what failed in the order in which it is always said."""
    return tuple(part for part in DEGRADABLE if part in failed)
