"""The web application put together, and the process that serves it."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

from index.errors import IndexMismatchError, IndexNotBuiltError, StoreUnreachableError
from web.admission import ANSWERING, MAX_QUESTIONS, Admission, threads_for
from web.draining import DRAIN_SECONDS, draining
from web.files import files_version
from web.limits import Limiter, Rates
from web.listening import LOOPBACK_HOSTS
from web.security import NO_TELEMETRY, SecurityMiddleware
from web.sites import Sites
from web.tokens import Tokens

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from fastapi import FastAPI

    from retrieval import Assistant
    from web.connections import Connections

_log = logging.getLogger(__name__)

STYLES = ("theme.css", "chat.css", "reader.css", "docs.css", "compare.css", "changes.css", "profile.css")
WORKER_PATIENCE = 60  # seconds; a process that opens its index and model answers its parent late
KILLED = -9  # the exit code of who could not end by itself
PAGE_FILES = dict.fromkeys(STYLES, "text/css") | dict.fromkeys(("chat.js", "compare.js"), "text/javascript")


@dataclass(frozen=True)
class WebSettings:
    """What an operator sets.

    ``root_path`` is the sub-path that a proxy puts the site under, such as ``/wentiao``; ``allowed_hosts`` are the
    names that the site answers to, ``None`` for any (see :func:`web.listening.choose_hosts`). ``answering`` questions
    are answered at once and ``max_questions`` are taken in, in each process (see :class:`web.admission.Admission`).
    ``rates`` are what a client may ask for (see :mod:`web.limits`), which is told apart by its address, as those of
    ``proxies`` give it. ``tokens`` are what programs need one of (see :mod:`web.tokens`), ``None`` for none.
    ``metrics`` is the address at which :mod:`web.metrics` is read. What is being answered when the process is told to
    end has ``answer_seconds`` to be, and what comes is answered for ``drain_seconds`` more (see :mod:`web.draining`).
    """

    root_path: str = ""
    sites: Sites = field(default_factory=Sites)
    allowed_hosts: tuple[str, ...] | None = LOOPBACK_HOSTS
    max_questions: int = MAX_QUESTIONS
    answering: int = ANSWERING
    rates: Rates = field(default_factory=Rates)
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    tokens: Tokens | None = None
    metrics: tuple[str, int] | None = None
    answer_seconds: float = 30.0
    drain_seconds: float = DRAIN_SECONDS


def create_app(assistant: Assistant, settings: WebSettings) -> FastAPI:
    """Return the ASGI application: API, reader and chat page around ``assistant``, inside the security middleware."""
    from fastapi import FastAPI
    from fastapi.responses import Response
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.routing import Route

    from web.api import add_problem_handlers, build_router
    from web.changes import build_changes
    from web.chat import mount_chat
    from web.cited import build_cited
    from web.compare import build_comparison
    from web.frame import mount_frame
    from web.generation import PinnedGeneration
    from web.mcp import McpEndpoint
    from web.metrics import Metrics
    from web.observed import Observed
    from web.page import PageRewriter
    from web.profile import build_profile
    from web.readiness import Readiness

    metrics = Metrics()
    metrics.watch(assistant)
    readiness = Readiness(assistant, on_result=metrics.note_ready)
    app = FastAPI(title="Wentiao", openapi_url=None, telemetry=NO_TELEMETRY)
    app.state.metrics = metrics
    app.state.readiness = readiness
    app.include_router(build_router(assistant, readiness))
    app.include_router(build_changes(assistant))
    app.include_router(build_cited(assistant))
    app.include_router(build_comparison(assistant))
    app.include_router(build_profile(assistant))
    add_problem_handlers(app)
    app.router.routes.append(Route("/mcp", McpEndpoint(assistant), methods=["POST"]))
    contents = {name: (Path(__file__).parent / name).read_bytes() for name in PAGE_FILES}

    def page_file(name: str) -> Response:
        headers = {"cache-control": "public, max-age=86400"}
        return Response(contents[name], media_type=PAGE_FILES[name], headers=headers)

    for name in PAGE_FILES:
        app.add_api_route(f"/page/{name}", partial(page_file, name), methods=["GET"])
    mount_frame(app, assistant, settings.sites)
    mount_chat(app, assistant)
    # The last one added is the outermost.
    app.add_middleware(PinnedGeneration, assistant=assistant)
    app.add_middleware(
        Admission,
        max_questions=settings.max_questions,
        answering=settings.answering,
        on_change=metrics.note_questions,
    )
    app.add_middleware(PageRewriter, version=files_version())
    app.add_middleware(
        SecurityMiddleware,
        allowed_hosts=settings.allowed_hosts,
        root_path=settings.root_path,
        limiter=Limiter(settings.rates),
        tokens=settings.tokens,
    )
    app.add_middleware(GZipMiddleware)
    app.add_middleware(
        Observed, assistant=assistant, metrics=metrics, readiness=readiness, root_path=settings.root_path
    )
    lifespan = partial(threads_for, settings.answering, app.router.lifespan_context)
    app.router.lifespan_context = partial(draining, readiness, settings.drain_seconds, lifespan)
    return app


def serve(
    assistant: Assistant,
    settings: WebSettings,
    sockets: list[socket],
    *,
    announce: Callable[[], None] = lambda: None,
) -> None:
    """Serve until interrupted: one process, no access log (an operator's proxy keeps one, without bodies).

    What a maintainer changes in the index meanwhile is answered from without a restart.

    :param sockets: bound, as by :func:`web.listening.bound_address`.
    :param announce: called once questions are taken there.
    :raises OSError: if another process has come to listen there meanwhile.
    """
    import uvicorn

    from web.generation import following
    from web.metrics import exposed

    class AnnouncedServer(uvicorn.Server):
        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets)
            announce()

    app = create_app(assistant, settings)
    metrics = app.state.metrics
    common = uvicorn_settings(settings.proxies)
    common["http"].on_end = metrics.note_ended
    config = uvicorn.Config(app, **common, timeout_graceful_shutdown=math.ceil(settings.answer_seconds))
    with (
        exposed(settings.metrics, metrics.registry),
        following(assistant, on_change=metrics.note_generation),
        app.state.readiness.watching(),
        suppress(KeyboardInterrupt),
    ):
        AnnouncedServer(config).run(sockets)


def serve_many(
    opening: Callable[[], AbstractContextManager[Assistant]],
    settings: WebSettings,
    sockets: list[socket],
    *,
    workers: int,
    announce: Callable[[], None] = lambda: None,
) -> bool:
    """Serve from several processes on one port until interrupted; each is like that of :func:`serve`.

    A process that dies is started again. One that cannot open its assistant, for whatever reason, ends them all.

    :param opening: opens an assistant in each process; it is pickled on its way there.
    :param sockets: bound, as by :func:`web.listening.bound_address`.
    :param announce: called once the first of the processes takes questions there.
    :return: whether they served until they were told to stop.
    """
    import uvicorn
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

    from web.metrics import exposed_together, forget_process

    class AnnouncedProcesses(Multiprocess):
        is_announced = False
        known: frozenset[int | None] = frozenset()

        def keep_subprocess_alive(self) -> None:
            served = list(self.processes)
            before = self.known | {process.pid for process in served}
            super().keep_subprocess_alive()
            for one in served:
                if one not in self.processes:
                    why = " (killed: for want of memory, by hand, or here for not answering)"
                    _log.error(
                        "process %d ended with exit code %s%s: the questions that it had in are lost, and another "
                        "process is started in its place",
                        *(one.pid, one.exitcode, why if one.exitcode == KILLED else ""),
                    )
            self.known = frozenset(process.pid for process in self.processes)
            for process in before - self.known:
                forget_process(process)
            if not self.is_announced and any(process.is_ready(timeout=1) for process in self.processes):
                self.is_announced = True
                announce()

        def terminate_all(self) -> None:
            super().terminate_all()
            for one in self.sockets:  # or who connects when the processes have closed theirs would wait for nobody
                one.close()

    common = uvicorn_settings(settings.proxies)
    config = uvicorn.Config(
        partial(open_app, opening, settings, common["http"]),  # pickled together, they are one in each process too
        factory=True,
        workers=workers,
        **common,
        timeout_worker_healthcheck=WORKER_PATIENCE,
        timeout_graceful_shutdown=math.ceil(settings.answer_seconds),
    )
    with exposed_together(settings.metrics):
        supervisor = AnnouncedProcesses(config, sockets)
        supervisor.run()
    return not any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes)


def uvicorn_settings(proxies: Sequence[IPv4Network | IPv6Network]) -> dict[str, Any]:
    """Return how uvicorn is set wherever we serve: quiet, stalled connections closed, proxies believed that are named.

    By itself uvicorn believes whoever asks from 127.0.0.1, or whom ``FORWARDED_ALLOW_IPS`` names.
    """
    from web.connections import Connections

    return {
        "http": Connections(proxies=proxies),
        "ws": "none",  # the page opens no web socket, and no time limit of ours would hold for one
        "forwarded_allow_ips": [str(network) for network in proxies],
        "log_config": None,  # uvicorn's own handlers would write beside our log (web/logs.py)
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
    }


def open_app(
    opening: Callable[[], AbstractContextManager[Assistant]],
    settings: WebSettings,
    connections: Connections | None = None,
) -> FastAPI:
    """Return the application of one process of several, which closes its assistant when it shuts down.

    Its figures count what becomes of ``connections``, those that uvicorn has in this process.

    Why an assistant cannot be opened is written to standard error, with the place where nobody foresaw it, and the
    process ends as uvicorn's do that cannot start: another try would fail the same way.
    """
    from uvicorn.config import STARTUP_FAILURE

    _end_with_parent()
    opened = ExitStack()
    try:
        assistant = opened.enter_context(opening())
        app = create_app(assistant, settings)
    except (IndexNotBuiltError, IndexMismatchError, StoreUnreachableError, ImportError, OSError, ValueError) as error:
        told = str(error)
    except Exception:  # noqa: BLE001 - ended any other way, as by a model that fails, processes are started for ever
        told = traceback.format_exc()
    else:
        if connections is not None:
            connections.on_end = app.state.metrics.note_ended
        app.router.lifespan_context = partial(_closing, opened, assistant, app.router.lifespan_context)
        return app
    opened.close()
    sys.stderr.write(f"wentiao: {told}\n")
    sys.exit(STARTUP_FAILURE)


def _end_with_parent() -> None:
    """Have this process told to end when the one that started it is gone, however that went.

    Nobody would start it again or tell it to end, and it would hold the port against the server that comes after it.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        _log.error("the process that started process %d is gone, and it is told to end", os.getpid())
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


@asynccontextmanager
async def _closing(
    opened: ExitStack, assistant: Assistant, inner: Callable[[FastAPI], AbstractAsyncContextManager[Any]], app: FastAPI
) -> AsyncIterator[Any]:
    """Run the application's own start and end; follow the index meanwhile and close what was ``opened`` afterwards."""
    from web.generation import following

    with (
        opened,
        following(assistant, on_change=app.state.metrics.note_generation),
        app.state.readiness.watching(),
    ):
        async with inner(app) as state:
            yield state
