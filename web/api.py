"""The HTTP routes: adapters of a few lines around `Assistant`. Every answer's body is its `to_dict()`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from index.errors import IndexMismatchError, UnavailableError
from retrieval.datatypes import Answer, Language, Passage, Profile, Row
from retrieval.question import detect_language, well_formed
from web.docs import render_docs
from web.language import HTML_LANG, request_language
from web.openapi import describe
from web.problems import (
    API_SUMMARY,
    AnswerFailedError,
    answered,
    answering,
    damaged_index,
    make_problem,
    misfit,
    problem_response,
    respond,
    unavailable,
    unavailable_response,
    unfit_request,
    unknown_app,
)
from web.reader import BY_TOPIC, render_missing, render_policy
from web.readiness import Readiness
from web.schema import (
    MAX_NAME_CHARACTERS,
    Alive,
    AskBody,
    CompareBody,
    LocatedClause,
    Policy,
    Ready,
    SearchBody,
    clause_payload,
    policy_payload,
)

if TYPE_CHECKING:
    from fastapi.routing import APIRoute
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from corpus import datatypes
    from retrieval import Assistant

OFFSET = re.compile(r"[0-9]{1,9}")
STREAM = "text/event-stream"
# A proxy that collects a stream before it passes it on would make progress arrive with the answer.
STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

AppInQuery = Annotated[str, Query(max_length=MAX_NAME_CHARACTERS, description="An app's name or an alias.")]
AppInPath = Annotated[str, Path(max_length=MAX_NAME_CHARACTERS, description="An app's name or an alias.")]


class UnknownAppError(LookupError):
    """An ``app`` that is not in the corpus, with the covered names that resemble it."""

    def __init__(self, app: str, near_apps: tuple[str, ...]) -> None:
        super().__init__(app)
        self.app = app
        self.near_apps = near_apps


def build_router(assistant: Assistant, readiness: Readiness) -> APIRouter:
    """Return the routes of the API and of the reader, answered by ``assistant``."""
    router = APIRouter(generate_unique_id_function=lambda route: route.name)

    def require(app: str) -> datatypes.Policy:
        try:
            return assistant.policy(app)
        except ValueError as exc:
            raise UnknownAppError(app, assistant.near_apps(app)) from exc

    @router.post("/api/v1/ask", response_model=Answer)
    async def ask(request: Request, body: AskBody) -> Response:
        def payload() -> dict[str, Any]:
            return assistant.ask(body.question, app=body.app, history=body.turns(), top_k=body.top_k).to_dict()

        answer = partial(answered, assistant, payload)
        if STREAM in request.headers.get("accept", ""):
            events = stream_answer(answer, detect_language(body.question), failure_language=request_language(request))
            return StreamingResponse(events, media_type=STREAM, headers=STREAM_HEADERS)
        return JSONResponse(await answer())

    @router.post("/api/v1/search", response_model=list[Passage])
    def search(request: Request, body: SearchBody) -> Response:
        if body.topics and not assistant.knows_topics:
            return problem_response("topics_unknown", 501, request_language(request))
        if body.app is not None:
            require(body.app)
        with answering():
            passages = assistant.search(
                body.query, app=body.app, top_k=body.top_k, rerank=body.rerank, topics=body.topics
            )
            return JSONResponse([passage.to_dict() for passage in passages])

    @router.post("/api/v1/compare", response_model=list[Row])
    def compare(request: Request, body: CompareBody) -> Response:
        language = request_language(request)
        if not body.model_fields_set & {"question", "topic"}:
            return respond(misfit([{"type": "missing", "loc": ("question",)}], CompareBody.model_fields, language))
        if body.topic and not assistant.knows_topics:
            return problem_response("topics_unknown", 501, language)
        with answering():
            if body.topic:
                rows = assistant.compare_topic(body.topic, body.apps, language=language)
            else:
                rows = assistant.compare(body.question, apps=body.apps)
            return JSONResponse([row.to_dict() for row in rows])

    @router.get("/api/v1/apps", response_model=list[str])
    def apps() -> Response:
        with answering():
            return JSONResponse(list(assistant.apps()))

    @router.get("/api/v1/policies/{app:path}", response_model=Policy)
    def read_policy(app: AppInPath) -> Response:
        require(app)
        with answering():
            return JSONResponse(policy_payload(assistant, app))

    @router.get("/api/v1/profile", response_model=Profile)
    def profile(app: AppInQuery) -> Response:
        require(app)
        with answering():
            return JSONResponse(assistant.profile(app).to_dict())

    @router.get("/api/v1/clauses/{clause_id}", response_model=LocatedClause)
    def read_clause(request: Request, clause_id: str) -> Response:
        with answering():
            clause = clause_payload(assistant, clause_id)
        if clause is None:
            path = "/api/v1/policies/{app}"
            return problem_response(
                "unknown_clause", 404, request_language(request), clause_id=clause_id[:80], path=path
            )
        return JSONResponse(clause)

    @router.get("/healthz", response_model=Alive)
    def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @router.get("/readyz", response_model=Ready)
    async def readyz(request: Request) -> Response:
        apps = await readiness.check()
        if apps is None:
            kind = "ending" if readiness.draining else "not_ready"
            return problem_response(kind, 503, request_language(request))
        return JSONResponse({"status": "ready", "apps": apps})

    @router.get("/api/v1/openapi.json", include_in_schema=False)
    def openapi(request: Request) -> Response:
        language = request_language(request)
        headers = {"vary": "Accept-Language", "content-language": HTML_LANG[language]}
        return JSONResponse(describe(router.routes, language, request.scope.get("root_path", "")), headers=headers)

    @router.get("/api/v1/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        language = request_language(request)
        page = render_docs(describe(router.routes, language, request.scope.get("root_path", "")), language)
        return HTMLResponse(page, headers={"vary": "Accept-Language"})

    @router.get("/read/{app:path}", include_in_schema=False)
    def read(
        request: Request,
        app: str,
        version: str | None = None,
        clause: str | None = None,
        start: str | None = None,
        end: str | None = None,
        contents: str | None = None,
    ) -> Response:
        language = request_language(request)
        try:
            name = require(app).app
        except UnknownAppError:
            return HTMLResponse(render_missing(app, language), status_code=404)
        is_span = OFFSET.fullmatch(start or "") and OFFSET.fullmatch(end or "")
        span = (int(start or 0), int(end or 0)) if is_span else None
        with answering():
            versions = assistant.versions(name)
            # A citation's address names its clause, and the clause its version: it holds after an update.
            cited = next((one.policy_id for one in versions if (clause or "").startswith(f"{one.policy_id}.")), None)
            unknown = None
            try:
                policy = assistant.policy(name, cited or version or None)
            except (ValueError, IndexMismatchError):  # no such version, or its text was damaged or pruned since
                policy, unknown = assistant.policy(name), version or cited
            labelled = assistant.topics(name)
            listed = assistant.clauses(name, policy.policy_id)
        page = render_policy(
            policy,
            listed,
            language=language,
            clause_id=clause,
            span=span,
            versions=versions,
            unknown_version=unknown,
            topics=labelled if any(one.clause_id in labelled for one in listed) else None,
            by_topic=contents == BY_TOPIC,
        )
        return HTMLResponse(page, status_code=404 if unknown else 200, headers={"vary": "Accept-Language"})

    return router


async def stream_answer(
    answer: Callable[[], Awaitable[dict[str, Any]]], language: Language, *, failure_language: Language
) -> AsyncIterator[str]:
    """Give an answer as server-sent events: ``progress`` twice, then ``answer`` and ``done``, or else ``error``.

    :param answer: makes it, as a dictionary (see :func:`web.problems.answered`).
    :param language: what the question is understood to be written in.
    :param failure_language: the language of a problem; the caller's, as everywhere in the API.
    """
    yield server_event("progress", {"stage": "understood", "language": language})
    yield server_event("progress", {"stage": "search"})
    try:
        made = await answer()
    except AnswerFailedError:
        yield server_event("error", make_problem("failed", 500, failure_language).to_dict())
        return
    except UnavailableError as exc:
        yield server_event("error", unavailable(exc, failure_language).to_dict())
        return
    yield server_event("answer", made)
    yield server_event("done", {})


def server_event(name: str, data: dict[str, Any]) -> str:
    """Return one event of a stream (HTML Standard, "Server-sent events")."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def fields_of(route: APIRoute) -> dict[str, FieldInfo]:
    """Return what a request to ``route`` may hold: the fields of its body, or else the names in its address."""
    if route.body_field is not None:
        body: type[BaseModel] = route.body_field.field_info.annotation  # type: ignore[assignment]
        return body.model_fields
    named = (*route.dependant.path_params, *route.dependant.query_params)
    return {one.alias: one.field_info for one in named}


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of our routes a problem+json in the caller's language."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> Response:
        return unfit_request(exc.errors(), fields_of(request.scope["route"]), request_language(request))

    @app.exception_handler(UnknownAppError)
    async def no_such_app(request: Request, exc: UnknownAppError) -> Response:
        return respond(unknown_app(well_formed(exc.app), exc.near_apps, request_language(request)))

    @app.exception_handler(AnswerFailedError)
    async def failed(request: Request, exc: AnswerFailedError) -> Response:
        return problem_response("failed", 500, request_language(request))

    @app.exception_handler(UnavailableError)
    async def not_now(request: Request, exc: UnavailableError) -> Response:
        return unavailable_response(exc, request_language(request))

    @app.exception_handler(IndexMismatchError)
    async def damaged(request: Request, exc: IndexMismatchError) -> Response:
        return unavailable_response(damaged_index(exc), request_language(request))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, exc: HTTPException) -> Response:
        language = request_language(request)
        if exc.status_code == 400:  # FastAPI's word for a body that is no UTF-8, or nested or numbered beyond reading
            return problem_response("not_json", 400, language)
        if exc.status_code != 405:
            return problem_response("not_found", exc.status_code, language, paths=API_SUMMARY)
        allowed = (exc.headers or {}).get("Allow", "")
        response = problem_response("method", 405, language, method=request.method, allowed=allowed)
        response.headers["allow"] = allowed
        return response
