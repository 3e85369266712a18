"""Every request as an operator sees it: an id from edge to answer, a line in the log, figures; never its text."""

from __future__ import annotations

import logging
import re
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.degraded import collecting, in_order
from retrieval.stages import recording
from web.logs import choose_request_id, request_id
from web.metrics import Metrics
from web.problems import noting_problems
from web.readiness import Readiness
from web.security import path_below

if TYPE_CHECKING:
    from retrieval import Assistant

_log = logging.getLogger(__name__)

FAILED = 500
GONE = 499  # nginx's word for a client that went away before its answer
# Names of apps and clauses stand in paths: what is logged and counted is the kind of path, of which there are few.
TEMPLATES = tuple(
    (re.compile(pattern), template)
    for pattern, template in (
        (r"/api/v1/policies/.+", "/api/v1/policies/{app}"),
        (r"/api/v1/clauses/.+", "/api/v1/clauses/{clause_id}"),
        (r"/(read|changes|profile)/.+", r"/\1/{app}"),
        (r"/cited/.+", "/cited/{places}"),
        (r"/assets/.+", "/assets/{file}"),
        (r"/page/.+", "/page/{file}"),
        (r"/widget/(?:frame|demo)\.(?:css|js)", "/widget/{file}"),
        (
            r"/|/compare|/compare/(?:rows|export)|/theme\.css|/favicon\.ico|/gradio_api/run/predict|/widget\.js"
            r"|/widget/(?:frame|demo|ask)|/healthz|/readyz|/mcp|/api/v1/(?:ask|search|compare|apps|profile|docs)"
            r"|/api/v1/openapi\.json",
            r"\g<0>",
        ),
    )
)
DESCRIBED = ("/api/v1/openapi.json", "/api/v1/docs")  # they show every problem, as examples


def template_of(path: str) -> str:
    """Return the kind of a path below the site's root.

    >>> template_of("/read/津心办"), template_of("/wp-login.php")
    ('/read/{app}', 'other')
    """
    for pattern, template in TEMPLATES:
        if found := pattern.fullmatch(path):
            return found.expand(template)
    return "other"


class Observed:
    """ASGI middleware around all others. While the process drains, every response asks for another connection."""

    def __init__(
        self, app: ASGIApp, *, assistant: Assistant, metrics: Metrics, readiness: Readiness, root_path: str = ""
    ) -> None:
        self.app = app
        self.assistant = assistant
        self.metrics = metrics
        self.readiness = readiness
        self.root_path = root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        chosen = choose_request_id(Headers(scope=scope).get("x-request-id"))
        status = GONE
        scope = {**scope, "state": dict(scope.get("state", {}))}  # seen by those inside, and what they put there by us

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=list(message["headers"]))
                headers["x-request-id"] = chosen
                if self.readiness.draining:
                    headers["connection"] = "close"
                message = {**message, "headers": headers.raw}
            await send(message)

        token = request_id.set(chosen)
        began = perf_counter()
        try:
            with recording() as times, collecting() as failed, noting_problems() as problems:
                await self.app(scope, receive, tell)
        except Exception:  # whoever asked sees a 500, or an answer that breaks off
            status = FAILED
            raise
        finally:
            seconds = perf_counter() - began
            route, method = template_of(path_below(self.root_path, scope["path"])), scope["method"]
            degraded = in_order(failed)
            self.metrics.note_request(route, method, status, seconds, times, degraded)
            kinds = [] if route in DESCRIBED else problems
            for kind in kinds:
                self.metrics.note_problem(kind)
            fields: dict[str, object] = {"route": route, "method": method, "status": status}
            fields |= {"ms": round(seconds * 1000, 1), "generation": getattr(self.assistant, "generation", "")[:12]}
            if client := scope["state"].get("client"):
                fields["client"] = client
            if times.statuses:
                fields["answer"] = times.statuses[0]
            if degraded:
                fields["degraded"] = ",".join(degraded)
            if kinds:
                fields["problem"] = ",".join(kinds)
            _log.info("request", extra={"fields": fields})
            request_id.reset(token)
