"""The outer wall: which paths exist, which pages may ask, what every response says about itself."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from anyio import move_on_after
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.datatypes import Language
from retrieval.stages import joining
from web.language import negotiate_language
from web.limits import Limiter
from web.problems import API_SUMMARY, AnswerFailedError, log_failure, problem_response, whole_seconds
from web.tokens import Tokens

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

# A question of 500 characters with ten turns of history is under 25 KB of UTF-8; twice that leaves room for escapes.
MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 30.0  # for all of it: 2 KB a second, which the slowest telephone has

# Gradio answers far more than its page asks for (uploads, files of the server, run history, monitoring, API pages).
# These are the requests that the page makes; tests/web/test_page.py fails when Gradio starts to need another.
PAGE_PATHS = re.compile(
    r"/|/compare|/assets/[A-Za-z0-9_.-]{1,120}|/theme\.css|/favicon\.ico|/page/[\w.-]+|/(?:read|changes|profile)/.+|/cited/[\w.:,-]+"
)
CALL_PATHS = re.compile(r"/gradio_api/run/predict")
WIDGET_PATHS = re.compile(r"/widget\.js|/widget/(?:frame|demo|(?:frame|demo)\.(?:css|js))")
READ_PATHS = re.compile(r"/healthz|/readyz|/api/v1/(?:apps|profile|policies/.+|clauses/[^/]+|openapi\.json|docs)")
ASK_PATHS = re.compile(r"/api/v1/(?:ask|search|compare)|/mcp|/widget/ask|/compare/(?:rows|export)")
# What programs call, and need a token for where the operator set some. Our own pages have routes of their own.
TOKEN_PATHS = re.compile(r"/api/v1/(?!(?:docs|openapi\.json)\Z).*|/mcp", re.DOTALL)  # a path may hold a line's end
ALIVE_PATH = "/healthz"  # asked by what starts a process anew if it does not answer

PORT = re.compile(r":[0-9]*$")
MAX_HOST_CHARACTERS = 80  # of a wrong one in a problem

EMBEDDED_PATHS = ("/widget.js", "/widget/frame")  # by other sites' pages; which ones, the frame's own policy says

INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
# By itself FastAPI would hand requests to whatever OpenTelemetry is set up around it; nothing leaves the machine.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
COMMON_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}
_COMMON = [(name.encode(), value.encode()) for name, value in COMMON_HEADERS.items()]
_COMMON_NAMES = frozenset(name for name, _ in _COMMON)
CLOSED_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
READER_POLICY = f"{CLOSED_POLICY}; style-src 'self'; img-src 'self'"
COMPARE_POLICY = f"{CLOSED_POLICY}; style-src 'self'; script-src 'self'; connect-src 'self'"
# Gradio compiles its HTML templates and `js=` hooks with Function() and styles elements inline. Inline scripts run
# by their hash only, so markup that slipped through the escaping could still run nothing.
CHAT_POLICY = (
    "default-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'self'; connect-src 'self'; "
    "font-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-eval'{hashes}"
)


def chat_policy(page: bytes) -> str:
    """Return the content security policy of the chat page, its own inline scripts allowed by SHA-256."""
    digests = (hashlib.sha256(script).digest() for script in INLINE_SCRIPT.findall(page))
    hashes = "".join(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return CHAT_POLICY.format(hashes=hashes)


def is_foreign(headers: Headers) -> bool:
    """Say whether another site's page sent the request; programs send neither header and are not foreign."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    asked_for = headers.get("x-forwarded-host", "").partition(",")[0].strip() or None  # each proxy appends its own
    try:
        return urlsplit(origin).netloc not in (headers.get("host"), asked_for)
    except ValueError:  # no address, as "http://["
        return True


def path_below(root_path: str, path: str) -> str:
    """Return ``path`` below the sub-path that a proxy puts the site under, which it may have stripped already.

    >>> path_below("/wentiao", "/wentiao/read/a"), path_below("/wentiao", "/read/a"), path_below("", "/")
    ('/read/a', '/read/a', '/')
    """
    if f"{path}/".startswith(f"{root_path}/"):
        return path[len(root_path) :] or "/"
    return path


class SecurityMiddleware:
    """ASGI middleware: the names we answer to, an allow-list of paths, a limit on bodies, no foreign writes,
    headers on every response.

    Compression stands outside of it: the page's scripts are hashed here and must still be readable.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Sequence[str] | None,
        root_path: str = "",
        limiter: Limiter | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        """Put ``app`` behind the wall.

        :param allowed_hosts: the names, without a port, that a request may be sent to; ``None``: any.
        :param root_path: the sub-path of a proxy, which may or may not strip it.
        :param limiter: says who has asked for too much; ``None``: nobody has.
        :param tokens: what programs need one of; ``None``: none.
        """
        self.app = app
        self.allowed_hosts = allowed_hosts
        self.root_path = root_path.rstrip("/")
        self.limiter = limiter
        self.tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page opens no web socket
            await send({"type": "websocket.close", "code": 1008})
            return
        path = path_below(self.root_path, scope["path"])
        scope = {**scope, "root_path": self.root_path, "path": self.root_path + path}
        headers = Headers(scope=scope)
        method = scope["method"]
        language = negotiate_language(headers.get("accept-language"))
        guarded_send = GuardedSend(send, path, method)
        try:
            refusal = self._limit(scope, path, language) or self._refuse(scope, path, headers, language)
            if refusal is not None:
                await refusal(scope, receive, guarded_send)
                return
            with joining() as times:
                try:
                    await self._pass_on(scope, receive, guarded_send, language)
                finally:
                    if self.limiter is not None:
                        self.limiter.charge(_client_of(scope), path, method, times.count("rank_again"))
        except Exception as exc:  # noqa: BLE001 - the server would log its message, which may quote the question
            log_failure(exc)
            if guarded_send.is_started:
                raise AnswerFailedError(type(exc).__name__) from None
            await problem_response("failed", 500, language)(scope, receive, guarded_send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, language: Language) -> None:
        if scope["method"] == "HEAD":  # answered as GET is, without the body
            scope = {**scope, "method": "GET"}
        elif scope["method"] != "GET":
            body: bytes | Response | None = None
            with move_on_after(BODY_SECONDS) as limit:
                body = _too_large(language) if _declares_too_much(scope) else await _read_body(receive, language)
            if limit.cancelled_caught:
                body = problem_response("body_too_slow", 408, language, allowed=int(BODY_SECONDS))
            if body is None:  # who asked is gone
                return
            if isinstance(body, Response):
                body.headers["connection"] = "close"  # what still comes of the body is no request
                await body(scope, receive, send)
                return
            receive = _replay(body, receive)
        await self.app(scope, receive, send)

    def _limit(self, scope: Scope, path: str, language: Language) -> Response | None:
        if self.limiter is None or path == ALIVE_PATH:
            return None
        wait = self.limiter.wait(_client_of(scope), path, scope["method"])
        if not wait:
            return None
        seconds = whole_seconds(wait)
        response = problem_response("rate_limited", 429, language, seconds=seconds)
        response.headers["retry-after"] = str(seconds)
        return response

    def _refuse(self, scope: Scope, path: str, headers: Headers, language: Language) -> Response | None:
        method = scope["method"]
        host = PORT.sub("", headers.get("host", "").lower())
        if self.allowed_hosts is not None and host and host not in self.allowed_hosts:  # every browser sends it
            return problem_response("wrong_host", 421, language, host=host[:MAX_HOST_CHARACTERS])
        if any(paths.fullmatch(path) for paths in (PAGE_PATHS, READ_PATHS, WIDGET_PATHS)):
            allowed = "GET, HEAD"
        elif CALL_PATHS.fullmatch(path) or ASK_PATHS.fullmatch(path):
            allowed = "POST"
        else:
            return problem_response("not_found", 404, language, paths=API_SUMMARY)
        if method not in allowed.split(", "):
            response = problem_response("method", 405, language, method=method, allowed=allowed)
            response.headers["allow"] = allowed
            return response
        if method == "POST" and is_foreign(headers):
            return problem_response("foreign_origin", 403, language)
        if self.tokens and TOKEN_PATHS.fullmatch(path):
            given = headers.get("authorization")
            name = self.tokens.name_of(given)
            if name is None:
                response = problem_response("token_needed", 401, language)
                wrong = ', error="invalid_token"' if given else ""
                response.headers["www-authenticate"] = f'Bearer realm="wentiao"{wrong}'
                return response
            scope.setdefault("state", {})["client"] = name  # for the line of the request (web/observed.py)
        return None


class GuardedSend:
    """Sends the response to a request with our headers on it, without a body to HEAD, and says whether it has begun."""

    def __init__(self, send: Send, path: str, method: str) -> None:
        self.is_started = False
        self._send = send
        self._path = path
        self._method = method
        self._start: Message = {}

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message  # the page's policy needs the body that follows
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body = message.get("body", b"")
        if not self.is_started:
            self.is_started = True
            await self._send({**self._start, "headers": self._headers(body)})
        await self._send({**message, "body": b"" if self._method == "HEAD" else body})

    def _headers(self, body: bytes) -> list[tuple[bytes, bytes]]:
        # Gradio echoes any Origin with credentials; nobody else's page may read an answer here.
        kept = [
            (name, value)
            for name, value in self._start["headers"]
            if name not in _COMMON_NAMES and not name.startswith(b"access-control-")
        ]
        headers = MutableHeaders(raw=[*kept, *_COMMON])
        own_policy = headers.get("content-security-policy") if WIDGET_PATHS.fullmatch(self._path) else None
        if self._path in EMBEDDED_PATHS:
            headers["cross-origin-resource-policy"] = "cross-origin"
            del headers["x-frame-options"]  # it knows one origin only; frame-ancestors takes its place
        if own_policy:
            headers["content-security-policy"] = own_policy
        elif self._path == "/":
            headers["content-security-policy"] = chat_policy(body)
        elif self._path == "/compare":
            headers["content-security-policy"] = COMPARE_POLICY
        else:
            is_page = self._path.startswith(("/read/", "/changes/", "/cited/", "/profile/", "/api/v1/docs"))
            headers["content-security-policy"] = READER_POLICY if is_page else CLOSED_POLICY
        if "cache-control" not in headers:
            is_answer = self._method == "POST" or self._start["status"] >= 400 or TOKEN_PATHS.fullmatch(self._path)
            headers["cache-control"] = "no-store" if is_answer else "no-cache"
        # Gradio's names carry a hash of the content.
        if self._path.startswith("/assets/") and self._start["status"] == 200:
            headers["cache-control"] = "public, max-age=31536000, immutable"
        return headers.raw


def _client_of(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _declares_too_much(scope: Scope) -> bool:
    declared = Headers(scope=scope).get("content-length", "").lstrip("0")
    return declared.isdecimal() and (len(declared) > len(str(MAX_BODY_BYTES)) or int(declared) > MAX_BODY_BYTES)


def _too_large(language: Language) -> Response:
    return problem_response("body_too_large", 413, language, allowed=MAX_BODY_BYTES)


async def _read_body(receive: Receive, language: Language) -> bytes | Response | None:
    """Return the request's body, ``None`` if its sender went away, or the problem that it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body.extend(message.get("body", b""))
        if len(body) > MAX_BODY_BYTES:
            return _too_large(language)
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
