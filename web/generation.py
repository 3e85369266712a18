"""A request sees one generation of the index; a running server changes to the newest without a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from web.repeating import repeated

if TYPE_CHECKING:
    from retrieval import Assistant

_log = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # reading one file of 65 bytes; a maintainer who looks after an update sees it


class PinnedGeneration:
    """ASGI middleware that holds every request to the generation that it began with."""

    def __init__(self, app: ASGIApp, *, assistant: Assistant) -> None:
        self.app = app
        self.assistant = assistant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with self.assistant.pinned():
            await self.app(scope, receive, send)


@contextmanager
def following(
    assistant: Assistant,
    *,
    seconds: float = POLL_SECONDS,
    on_change: Callable[[bool], None] = lambda used: None,
) -> Iterator[None]:
    """Let ``assistant`` change to every new generation of its index meanwhile, looked for every ``seconds``.

    A generation that cannot be used is logged, once for each reason, and the one before goes on answering, whatever
    is the matter with it.

    :param on_change: told of each new generation whether it is used, once for each reason that one is not.
    """
    failure = ""

    def follow() -> None:
        nonlocal failure
        try:
            if assistant.refresh():
                _log.info("the index has a new generation; it answers from now on")
                on_change(True)
            failure = ""
        except Exception as error:  # noqa: BLE001 - a damaged file may raise anything; the next one is looked for
            if (reason := f"{type(error).__name__}: {error}") != failure:
                failure = reason
                _log.error("the new generation of the index cannot be used, the one before answers: %s", failure)
                on_change(False)

    with repeated(follow, every=seconds, name="index"):
        yield
