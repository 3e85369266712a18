"""The widget's routes: the script for other people's pages, the frame that it opens, the frame's questions, a demo."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import Field

from corpus.lexicons import load_glossary
from corpus.messages import message, messages
from retrieval.datatypes import MAX_ROWS
from retrieval.gloss import Glosser
from web.files import files_version
from web.language import HTML_LANG, LANGUAGES, request_language
from web.problems import REFUSAL_KINDS, problem_response
from web.render import Gloss, render_turn
from web.schema import MAX_APPS, AppName, AskBody
from web.sites import (
    SCOPE_SECONDS,
    AppOutsideScopeError,
    ScopeError,
    Site,
    Sites,
    ask_within,
    narrow_scope,
    read_scope,
    resolve_apps,
    sign_scope,
)
from web.suggestions import near_apps

if TYPE_CHECKING:
    from retrieval import Assistant

FOLDER = Path(__file__).parent / "widget"
FILES = {"frame.css": "text/css", "frame.js": "text/javascript", "demo.css": "text/css", "demo.js": "text/javascript"}
LAUNCHER_WORDS = ("title", "close", "unavailable")
# What the chat says already is said here in the same words.
CHAT_WORDS = (
    *("picker_label", "all_apps", "question_label", "placeholder", "send", "new_chat", "log_label"),
    *("pending", "failure", "offline", "retry", "copied", "privacy"),
    *REFUSAL_KINDS,
)
DEMO_SOURCE = '"http://127.0.0.1:7860/widget.js" data-site="demo"'
KEPT_AN_HOUR = {"cache-control": "public, max-age=3600"}
FRAME_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'self'; "
    "form-action 'none'; frame-ancestors {ancestors}"
)
DEMO_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class FrameAskBody(AskBody):
    """A question from the frame: ``scope`` is what the server signed, ``apps`` what the host's page limits it to."""

    scope: str = Field(max_length=512)  # a name of 64 characters, a time and a signature take 160
    apps: list[AppName] = Field(default=[], max_length=MAX_APPS)


def mount_frame(app: FastAPI, assistant: Assistant, sites: Sites) -> None:
    """Add the widget's routes to ``app``.

    :raises ValueError: if a site names an app that is not in the index.
    """
    app.include_router(build_router(assistant, resolve_apps(sites, assistant)))

    @app.exception_handler(ScopeError)
    async def not_in_force(request: Request, exc: ScopeError) -> Response:
        return problem_response("scope_invalid", 403, request_language(request))

    @app.exception_handler(AppOutsideScopeError)
    async def outside(request: Request, exc: AppOutsideScopeError) -> Response:
        language = request_language(request)
        return problem_response("app_outside_scope", 403, language, app=exc.app, apps="、".join(exc.apps))


def build_router(assistant: Assistant, sites: Sites) -> APIRouter:
    """Return the widget's routes; ``sites`` has its apps by the names of the index."""
    router = APIRouter()
    gloss = Glosser(load_glossary()).gloss
    contents = {name: (FOLDER / name).read_bytes() for name in FILES}
    launcher = _fill((FOLDER / "widget.js").read_text("utf-8"), "{/* words */}", _launcher_words())
    template = (FOLDER / "frame.html").read_text("utf-8").replace("{version}", files_version())
    # The file as it lies there loads the widget from another origin (docs/widget.md); here it is our own.
    demo = (FOLDER / "demo.html").read_text("utf-8").replace(DEMO_SOURCE, '"../widget.js"')

    def file(name: str) -> Response:
        return Response(contents[name], media_type=FILES[name], headers=KEPT_AN_HOUR)

    for name in FILES:
        router.add_api_route(f"/widget/{name}", partial(file, name), methods=["GET"], include_in_schema=False)

    @router.get("/widget.js", include_in_schema=False)
    def widget() -> Response:
        return Response(launcher, media_type="text/javascript", headers=KEPT_AN_HOUR)

    @router.get("/widget/demo", include_in_schema=False)
    def show_demo() -> Response:
        return HTMLResponse(demo, headers={"content-security-policy": DEMO_POLICY})

    @router.get("/widget/frame", include_in_schema=False)
    def frame(request: Request, site: str = "") -> Response:
        if site and site not in sites.by_name:
            return problem_response("unknown_site", 404, request_language(request), site=site)
        known = sites.by_name[site] if site else Site(("'self'",))
        data = {
            "scope": sign_scope(site, sites.secret, expires=int(time.time()) + SCOPE_SECONDS),
            "site": site,
            "apps": known.apps or assistant.apps(),
            "origins": [] if not site else known.origins,
            "words": _frame_words(),
        }
        policy = FRAME_POLICY.format(ancestors=" ".join(known.origins))
        page = _fill(template, "{data}", data)
        headers = {
            "content-security-policy": policy,
            "cache-control": "no-store",
            "cross-origin-embedder-policy": "require-corp",  # or a host page that is isolated cannot embed it
        }
        return HTMLResponse(page, headers=headers)

    @router.post("/widget/ask", include_in_schema=False)
    def widget_ask(body: FrameAskBody) -> Response:
        allowed = read_scope(body.scope, sites, now=time.time())
        return JSONResponse(_answer(assistant, gloss, body, allowed))

    return router


def _answer(assistant: Assistant, gloss: Gloss, body: FrameAskBody, allowed: tuple[str, ...] | None) -> dict[str, Any]:
    """Return the answer as the API sends it, and as the HTML that the frame shows.

    What breaks in here reaches the outer wall, which answers for it without a word of the question.
    """
    apps = narrow_scope(assistant, allowed, body.apps)
    answer = ask_within(assistant, body.question, apps=apps, app=body.app, history=body.turns())
    allowed_apps = assistant.apps() if apps is None else apps
    named = assistant.apps_named(body.question) if answer.app else ()
    if kept_out := [name for name in named if name in assistant.apps() and name not in allowed_apps]:
        told = message("widget.named_outside", answer.language, named="、".join(kept_out), app=answer.app)
        answer = replace(answer, text=f"{told}\n{answer.text}")
    offered = allowed_apps if answer.status == "unknown_app" else ()
    near = near_apps(assistant, body.question, body.app, body.turns()) if offered else []
    near = [name for name in near if name in offered]
    html = render_turn(
        body.question,
        answer,
        english=assistant.rendering,
        offered_apps=[name for name in offered if name not in near][:MAX_ROWS],
        near_apps=near,
        named_app=next((name for name in named if name in allowed_apps and name != answer.app), None),
        gloss=gloss,
        topics=assistant.topics,
    )
    return {"html": html, "answer": answer.to_dict()}


def _frame_words() -> dict[str, dict[str, str]]:
    return {
        language: messages("widget", language)
        | {name: message(f"chat.{name}", language) for name in CHAT_WORDS}
        | {"lang": HTML_LANG[language]}
        for language in LANGUAGES
    }


def _launcher_words() -> dict[str, dict[str, str]]:
    return {language: {name: message(f"widget.{name}", language) for name in LAUNCHER_WORDS} for language in LANGUAGES}


def _fill(template: str, place: str, data: object) -> str:
    """Return ``template`` with ``data`` in its place, as JSON that cannot end the script element around it."""
    return template.replace(place, json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))
