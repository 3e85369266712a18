"""A limit on the time that an answer takes: what hangs is left behind, and its caller told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from time import monotonic
from typing import TypeVar

from index.errors import TimedOutError

# Calls that were left behind and run on. From here on nothing more is begun: each holds a thread, and what keeps so
# many of them will keep the next.
MOST_LEFT_BEHIND = 8

_inside: ContextVar[bool] = ContextVar("inside a limit", default=False)
_Result = TypeVar("_Result")


class TimeLimit:
    """Lets calls run for so many seconds and no longer.

    Python cannot stop a thread, so that a call which takes longer runs on in a thread that nobody waits for. No more
    than :data:`MOST_LEFT_BEHIND` - 1 of them are there when another call begins, whatever hangs, and a new one is
    refused at once where there are more: threads are bounded by these and by how many call at a time.
    """

    def __init__(self, seconds: float, *, most_left_behind: int = MOST_LEFT_BEHIND) -> None:
        self.seconds = seconds
        self._most_left_behind = most_left_behind
        self._left_behind = 0
        self._lock = threading.Lock()

    @property
    def left_behind(self) -> int:
        """How many calls run on that nobody waits for."""
        with self._lock:
            return self._left_behind

    def ending(self) -> float:
        """Return the moment at which several calls that are begun now and run one by one have had their time."""
        return monotonic() + self.seconds

    def run(self, call: Callable[[], _Result], *, ending: float | None = None) -> _Result:
        """Return what ``call`` returns or raise what it raises; inside another such call, simply call it.

        :param ending: the moment of :meth:`ending` by which it is to be done, if it is not alone.
        :raises TimedOutError: if it takes longer, or too many that did still run.
        """
        if _inside.get():
            if ending is not None and ending <= monotonic():  # left behind: nobody waits for the next one
                raise self._took_longer()
            return call()
        if (hanging := self.left_behind) >= self._most_left_behind:
            raise TimedOutError(f"{hanging} calls hang that took longer than {self.seconds:g} seconds")
        seconds = self.seconds if ending is None else ending - monotonic()
        if seconds <= 0:
            raise self._took_longer()
        reply: Future[_Result] = Future()
        context = copy_context()
        context.run(_inside.set, True)
        given_up = False

        def work() -> None:
            try:
                result = context.run(call)
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                reply.set_exception(error)
            else:
                reply.set_result(result)
            with self._lock:
                self._left_behind -= given_up

        # A thread of its own: starting one takes a tenth of a millisecond, and a pool would wait for those that hang
        # when the process ends.
        threading.Thread(target=work, name="answer", daemon=True).start()
        try:
            return reply.result(seconds)
        except TimeoutError:
            with self._lock:
                if reply.done():  # at the last moment, or the call itself raised this
                    return reply.result()
                given_up = True
                self._left_behind += 1
            raise self._took_longer() from None

    def _took_longer(self) -> TimedOutError:
        return TimedOutError(f"not answered within {self.seconds:g} seconds")
