"""Gradio's index page made ours: its language, no tags that point to other hosts, our style and script."""

from __future__ import annotations

import re
from html import escape

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from corpus.messages import message
from retrieval.datatypes import Language
from web.language import HTML_LANG, negotiate_language

# Gradio's share cards, its web manifest and the script that lets a foreign page size the frame.
UNWANTED = re.compile(
    r'<meta\s+(?:property="og:|name="twitter:)[^>]*>'
    r'|<link rel="manifest"[^>]*>'
    r"|<script>\s*\(\(\) => \{(?:(?!</script>).)*iframeResizer(?:(?!</script>).)*</script>"
    r"|<script data-gradio-mode>(?:(?!</script>).)*</script>",
    re.DOTALL,
)


def rewrite_page(page: str, language: Language, *, version: str) -> str:
    """Return Gradio's index page with our language, title, style and script, and without what calls other hosts."""
    head = (
        f"<title>{escape(message('chat.title', language))}</title>"
        f'<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
        f'<link rel="stylesheet" href="page/theme.css?v={version}">'
        f'<link rel="stylesheet" href="page/chat.css?v={version}">'
        f'<script>window.__gradio_mode__ = "app";</script><script src="page/chat.js?v={version}"></script>'
    )
    # Gradio's own catalogue sets `lang` anew in the browser; what our style and script go by is `data-lang`.
    code = HTML_LANG[language]
    page = UNWANTED.sub("", page).replace('lang="en"', f'lang="{code}" data-lang="{code}"', 1)
    opening = f'<p id="wt-loading" role="status">{escape(message("chat.loading", language))}</p>'
    return page.replace("</head>", f"{head}</head>", 1).replace("<gradio-app", f"{opening}<gradio-app", 1)


class PageRewriter:
    """ASGI middleware that passes ``GET /`` through :func:`rewrite_page`; every other request goes by untouched."""

    def __init__(self, app: ASGIApp, *, version: str) -> None:
        self.app = app
        self.version = version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root_path = scope.get("root_path", "")
        if scope["type"] != "http" or scope["path"].removeprefix(root_path) not in ("", "/"):
            await self.app(scope, receive, send)
            return
        language = negotiate_language(Headers(scope=scope).get("accept-language"))
        # Gradio compresses on its own; the text is wanted here, and compressed further out.
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        start: Message = {}
        body = bytearray()

        async def rewrite(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            page = bytes(body)
            response = MutableHeaders(raw=list(start["headers"]))
            if response.get("content-type", "").startswith("text/html") and page:
                page = rewrite_page(page.decode(), language, version=self.version).encode()
                response["content-length"] = str(len(page))
                response["content-language"] = HTML_LANG[language]
                response["vary"] = "Accept-Language, Accept-Encoding"
            await send({**start, "headers": response.raw})
            await send({"type": "http.response.body", "body": page})

        await self.app({**scope, "headers": headers}, receive, rewrite)
