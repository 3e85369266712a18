"""The outer wall: which paths exist, which pages may ask, what every response says about itself."""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.language import negotiate_language
from web.problems import API_SUMMARY, problem_response

# A question of 500 characters with ten turns of history is under 25 KB of UTF-8; twice that leaves room for escapes.
MAX_BODY_BYTES = 64 * 1024

# Gradio answers far more than its page asks for (uploads, files of the server, run history, monitoring, API pages).
# These are the requests that the page makes; tests/web/test_page.py fails when Gradio starts to need another.
PAGE_PATHS = re.compile(r"/|/assets/[\w.-]+|/theme\.css|/favicon\.ico|/page/[\w.-]+|/read/[^/]+")
CALL_PATHS = re.compile(r"/gradio_api/run/predict")
API_PATHS = re.compile(r"/healthz|/api/v1/(?:ask|search|compare|apps|policies/[^/]+)")
UNREAD_METHODS = frozenset({"GET", "HEAD"})

INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
COMMON_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}
CLOSED_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
READER_POLICY = f"{CLOSED_POLICY}; style-src 'self'; img-src 'self'"
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
    return urlsplit(origin).netloc not in (headers.get("host"), headers.get("x-forwarded-host"))


class SecurityMiddleware:
    """ASGI middleware: an allow-list of paths, a limit on bodies, no foreign writes, headers on every response.

    Compression stands outside of it: the page's scripts are hashed here and must still be readable.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page opens no web socket
            await send({"type": "websocket.close", "code": 1008})
            return
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        headers = Headers(scope=scope)
        guarded_send = _with_headers(send, path)
        refusal = self._refuse(path, scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, guarded_send)
            return
        if scope["method"] not in UNREAD_METHODS:
            body = await _read_body(receive)
            if body is None:
                language = negotiate_language(headers.get("accept-language"))
                too_large = problem_response("body_too_large", 413, language, allowed=MAX_BODY_BYTES)
                await too_large(scope, receive, guarded_send)
                return
            receive = _replay(body, receive)
        await self.app(scope, receive, guarded_send)

    def _refuse(self, path: str, method: str, headers: Headers) -> Response | None:
        language = negotiate_language(headers.get("accept-language"))
        is_page, is_call, is_api = (
            pattern.fullmatch(path) is not None for pattern in (PAGE_PATHS, CALL_PATHS, API_PATHS)
        )
        if not (is_page or is_call or is_api):
            return problem_response("not_found", 404, language, paths=API_SUMMARY)
        allowed = ("GET", "HEAD") if is_page else ("POST",) if is_call else ("GET", "HEAD", "POST")
        if method not in allowed:
            response = problem_response("method", 405, language, method=method, allowed=", ".join(allowed))
            response.headers["allow"] = ", ".join(allowed)
            return response
        if method == "POST" and is_foreign(headers):
            return problem_response("foreign_origin", 403, language)
        return None


def _with_headers(send: Send, path: str) -> Send:
    start: Message | None = None

    async def guarded(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        if start is not None:
            headers = MutableHeaders(raw=list(start["headers"]))
            # Gradio echoes any Origin with credentials; nobody else's page may read an answer here.
            for name in [name for name in headers if name.startswith("access-control-")]:
                del headers[name]
            headers.update(COMMON_HEADERS)
            if path == "/":
                headers["content-security-policy"] = chat_policy(message.get("body", b""))
            else:
                headers["content-security-policy"] = READER_POLICY if path.startswith("/read/") else CLOSED_POLICY
            if path.startswith("/assets/") and start["status"] == 200:  # Gradio's names carry a hash of the content
                headers["cache-control"] = "public, max-age=31536000, immutable"
            await send({**start, "headers": headers.raw})
            start = None
        await send(message)

    return guarded


async def _read_body(receive: Receive) -> bytes | None:
    """Return the request's body, or ``None`` once it exceeds ``MAX_BODY_BYTES``."""
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
