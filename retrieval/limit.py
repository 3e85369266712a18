"""A limit on the time that an answer takes: what hangs is left behind, and its caller told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar

from index.errors import TimedOutError

# Calls that were left behind and run on. From here on nothing more is begun: each holds a thread, and what keeps so
# many of them will keep the next.
MOST_LEFT_BEHIND = 8
IDLE_SECONDS = 60.0  # that a thread waits for the next call; making one takes a tenth of a millisecond

_inside: ContextVar[bool] = ContextVar("inside a limit", default=False)
_Result = TypeVar("_Result")


@dataclass(eq=False)
class _Call(Generic[_Result]):
    call: Callable[[], _Result]
    context: Context
    reply: Future[_Result] = field(default_factory=Future)
    is_left_behind: bool = False


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
        self._idle: list[SimpleQueue[_Call[Any]]] = []  # of the threads that wait for a call, by what they are given
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
        seconds = self.seconds if ending is None else ending - monotonic()
        if seconds <= 0:
            raise self._took_longer()
        begun = self._begin(call)
        with suppress(TimeoutError):
            begun.reply.exception(seconds)  # waits for it
        return self._result(begun)

    async def wait(self, call: Callable[[], _Result]) -> _Result:
        """Return or raise what ``call`` does, as :meth:`run` outside of another call; no thread waits for it meanwhile.

        Where the caller is cancelled the call is left behind.

        :raises TimedOutError: as :meth:`run`.
        """
        import asyncio

        begun = self._begin(call)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def tell(_: Future[_Result]) -> None:
            with suppress(RuntimeError):  # the loop has ended before the call
                loop.call_soon_threadsafe(ended.set)

        begun.reply.add_done_callback(tell)
        try:
            async with asyncio.timeout(self.seconds):
                await ended.wait()
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            self._leave(begun)
            raise
        return self._result(begun)

    def _begin(self, call: Callable[[], _Result]) -> _Call[_Result]:
        if (hanging := self.left_behind) >= self._most_left_behind:
            raise TimedOutError(f"{hanging} calls hang that took longer than {self.seconds:g} seconds")
        begun = _Call(call, copy_context())
        begun.context.run(_inside.set, True)
        with self._lock:
            given = self._idle.pop() if self._idle else None
        if given is None:
            given = SimpleQueue()
            # No pool of the library's: it would wait for those that hang when the process ends.
            threading.Thread(target=self._work, args=(given,), name="answer", daemon=True).start()
        given.put(begun)
        return begun

    def _result(self, begun: _Call[_Result]) -> _Result:
        """Return or raise what came of a call, or leave it behind."""
        if self._leave(begun):
            raise self._took_longer()
        return begun.reply.result()

    def _leave(self, begun: _Call[Any]) -> bool:
        """Leave a call behind unless it has ended; return whether it was left."""
        with self._lock:
            if not begun.reply.done():
                begun.is_left_behind = True
                self._left_behind += 1
            return begun.is_left_behind

    def _work(self, given: SimpleQueue[_Call[Any]]) -> None:
        """Do what is given, one call after another, until none has come for a while."""
        while True:
            try:
                begun = given.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if given not in self._idle:  # one comes after all
                        continue
                    self._idle.remove(given)
                return
            try:
                tell = partial(begun.reply.set_result, begun.context.run(begun.call))
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                tell = partial(begun.reply.set_exception, error)
            with self._lock:
                self._idle.append(given)  # whoever is told now finds this thread for the next call
                self._left_behind -= begun.is_left_behind
                tell()
            del begun, tell  # nothing of a question is kept

    def _took_longer(self) -> TimedOutError:
        return TimedOutError(f"not answered within {self.seconds:g} seconds")
