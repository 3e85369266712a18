"""The web application for tests: put together quietly, and served on a port of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import uvicorn
from fastapi import FastAPI

from web.connections import Connections
from web.limits import Rates
from web.listening import LOOPBACK_HOSTS
from web.server import WebSettings, create_app
from web.sites import Sites

UNLIMITED = Rates(client=0, all=0)  # all tests come from one address
HOSTS = (*LOOPBACK_HOSTS, "testserver")  # the last is what Starlette's client calls itself


def build_app(assistant: Any, root_path: str = "", sites: Sites | None = None, **others: Any) -> FastAPI:
    """Return the application around ``assistant``; ``others`` are further fields of its settings.

    Without a running event loop Gradio makes several and closes none of them, and warnings are errors here. The
    loop runs in a thread of its own because Playwright keeps one running in this.
    """

    async def build() -> FastAPI:
        settings = WebSettings(root_path=root_path, sites=sites or Sites(), allowed_hosts=HOSTS, rates=UNLIMITED)
        return create_app(assistant, replace(settings, **others))

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(build())).result()


@contextmanager
def served(assistant: Any, root_path: str = "", sites: Sites | None = None, **others: Any) -> Iterator[str]:
    """Serve ``assistant`` on a free port of this machine; give the page's address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        app = build_app(assistant, root_path, sites, **others)
        config = uvicorn.Config(app, http=Connections(), ws="none", log_level="error", access_log=False)  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < deadline and thread.is_alive(), "the server did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}{root_path}/"
        server.should_exit = True
        thread.join(timeout=10)


def paths_of(app: Any) -> set[str]:
    """Return the paths of every route of ``app``, those of its routers and of Gradio among them."""
    paths: set[str] = set()
    for route in app.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if hasattr(inner, "routes") and not hasattr(route, "endpoint"):
            paths |= {getattr(route, "path", "") + path for path in paths_of(inner)}
        elif hasattr(route, "path"):
            paths.add(route.path)
    return paths
