"""The end of a process that is asked meanwhile: it says so, answers what comes for a while, then what is in.

uvicorn stops listening as soon as it is told to end. A proxy that has not noticed would send requests to a closed
port, and a client would write into a connection that is being closed. So SIGTERM first makes ``/readyz`` say no and
every response ``connection: close``; uvicorn's own end comes after that.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from web.readiness import Readiness

if TYPE_CHECKING:
    from fastapi import FastAPI

_log = logging.getLogger(__name__)

DRAIN_SECONDS = 3.0  # longer than a proxy takes to notice, which asks once a second or two; WENTIAO_DRAIN_SECONDS
LINGER_SECONDS = 0.5  # after the port is closed, for requests under way on connections that are open


@asynccontextmanager
async def draining(
    readiness: Readiness,
    seconds: float,
    inner: Callable[[FastAPI], AbstractAsyncContextManager[Any]],
    app: FastAPI,
) -> AsyncIterator[Any]:
    """Run the application's own start and end; have SIGTERM drain the server that runs it in this thread.

    Where no server of uvicorn takes signals, as in a thread of a test, nothing is changed.
    """
    from uvicorn import Server

    loop = asyncio.get_running_loop()
    ending: list[asyncio.Task[None]] = []
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if isinstance(server, Server):

        def begin() -> None:
            if ending:  # told twice: whoever it is has no patience
                server.should_exit = True
            else:
                ending.append(loop.create_task(end(server, readiness, seconds)))

        # The server gives back the handler from before it when it has ended.
        signal.signal(signal.SIGTERM, lambda number, frame: loop.call_soon_threadsafe(begin))
    async with inner(app) as state:
        yield state


async def end(server: Any, readiness: Readiness, seconds: float) -> None:
    """Drain ``server`` and tell it to end, which it does when all that is in has been answered."""
    _log.info("told to end: not ready from now on, and done in %g seconds with what comes", seconds)
    readiness.drain()
    await asyncio.sleep(seconds)
    for listening in server.servers:
        listening.close()
    await asyncio.sleep(LINGER_SECONDS)
    server.should_exit = True
