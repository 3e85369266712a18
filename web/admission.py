"""How many questions are answered at once and how many may wait; one more is refused without delay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import checkpoint_if_cancelled
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from index.errors import OverloadedError
from web.language import negotiate_language
from web.limits import is_question
from web.problems import unavailable_response
from web.security import path_below

if TYPE_CHECKING:
    from fastapi import FastAPI

# Share of one large batch's speed that 64 clients get, runs in turns: 32 at once 0.57 and 0.59, 64 0.60 and 0.59. Fewer
# leave the encoder small batches, which cost more a text.
ANSWERING = 64
OTHER_THREADS = 8  # for what is no question: the reader, the page's files
MAX_QUESTIONS = 128  # answered or waiting: about two seconds' work of one process on two cores
FIRST_SECONDS = 0.2  # that an answer takes, until some were measured
SHARE = 0.1  # of a new measurement in the mean


class Admission:
    """ASGI middleware that lets questions in by their order, ``answering`` of them at once.

    A question is every POST, and the GET of a profile, which asks a whole list of them. The chat page's small calls
    (what to ask of an app, which apps there are) go to the same address as its questions and are counted with them; the
    page goes on without what they bring. All else goes by untouched, and finds threads of its own
    (:func:`threads_for`). What finds ``max_questions`` in here already gets a 503 with ``Retry-After`` at once.

    A question is here until its answer has been made, a stream's last part too. What is made waits for its reader
    outside: whoever does not read, or slowly, keeps nobody else from asking (web/connections.py ends it in time).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_questions: int = MAX_QUESTIONS,
        answering: int = ANSWERING,
        on_change: Callable[[int, int], None] = lambda inside, waiting: None,
    ) -> None:
        """:param on_change: told how many questions are here, and how many of them wait, whenever that changes."""
        self.app = app
        self._on_change = on_change
        self.max_questions = max_questions
        self.answering = answering
        self.inside = 0
        self._slots = CapacityLimiter(answering)  # first come, first served
        self._seconds = FIRST_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _asks(scope):
            await self.app(scope, receive, send)
            return
        if self.inside >= self.max_questions:
            language = negotiate_language(Headers(scope=scope).get("accept-language"))
            refusal = OverloadedError(f"{self.inside} questions are here", retry_after=self.retry_after)
            await unavailable_response(refusal, language)(scope, receive, send)
            return
        made: asyncio.Queue[Message | None] = asyncio.Queue()
        sending = asyncio.create_task(_send_all(made, send))

        async def hand_over(message: Message) -> None:
            await checkpoint_if_cancelled()  # a reader who has gone is noticed here: the queue always has room
            if sending.done():
                await sending  # it failed
            made.put_nowait(message)

        try:
            await self._answer(scope, receive, hand_over)
            made.put_nowait(None)
            await sending
        finally:
            sending.cancel()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inside += 1
        self._tell()
        try:
            async with self._slots:
                self._tell()
                began = monotonic()
                await self.app(scope, receive, send)
                self._seconds += SHARE * (monotonic() - began - self._seconds)
        finally:
            self.inside -= 1
            self._tell()

    def _tell(self) -> None:
        self._on_change(self.inside, self.inside - self._slots.borrowed_tokens)

    @property
    def retry_after(self) -> float:
        """The seconds that what is in here takes, by the mean of the answers so far."""
        return self.inside / self.answering * self._seconds


@asynccontextmanager
async def threads_for(
    answering: int, inner: Callable[[FastAPI], AbstractAsyncContextManager[Any]], app: FastAPI
) -> AsyncIterator[Any]:
    """Run the application's own start and end, with threads for so many answers at once and for what else is asked."""
    to_thread.current_default_thread_limiter().total_tokens = answering + OTHER_THREADS
    async with inner(app) as state:
        yield state


async def _send_all(made: asyncio.Queue[Message | None], send: Send) -> None:
    while (message := await made.get()) is not None:
        await send(message)


def _asks(scope: Scope) -> bool:
    return is_question(path_below(scope.get("root_path", ""), scope["path"]), scope["method"])
