"""The HTTP routes: adapters of a few lines around `Assistant`. Every answer's body is its `to_dict()`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.exceptions import HTTPException

from corpus.messages import message
from retrieval.datatypes import Language, Turn
from retrieval.question import well_formed
from web.language import negotiate_language
from web.problems import API_SUMMARY, AnswerFailedError, log_failure, problem_response
from web.reader import render_missing, render_policy

if TYPE_CHECKING:
    from corpus.datatypes import Policy
    from retrieval import Assistant

# The longest of the 4,969 training questions has 167 characters; the encoder reads 512 tokens, which 500 Chinese
# characters fill. Beyond that the tail would be dropped in silence.
MAX_QUESTION_CHARACTERS = 500
MAX_HISTORY_TURNS = 10  # a follow-up is searched with the question before it; ten cover any reference further back
MAX_TOP_K = 50
MAX_CITED = 10  # the assistant itself cites three at most, so that a larger wish is no mistake
MAX_APPS = 200
MAX_NAME_CHARACTERS = 100
OFFSET = re.compile(r"[0-9]{1,9}")


Value = TypeVar("Value")


def _well_formed(value: object) -> object:
    return well_formed(value) if isinstance(value, str) else value


Question = Annotated[str, Field(max_length=MAX_QUESTION_CHARACTERS), BeforeValidator(_well_formed)]
AppName = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS), BeforeValidator(_well_formed)]


class RequestBody(BaseModel):
    """A request's fields; one that is not listed is a mistake worth telling."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TurnBody(RequestBody):
    """An earlier question and the app that its answer was about."""

    question: Question
    app: AppName | None = None


class AskBody(RequestBody):
    """The body of ``POST /api/v1/ask``."""

    question: Question
    app: AppName | None = None
    history: list[TurnBody | Question] = Field(default=[], max_length=MAX_HISTORY_TURNS)
    top_k: int = Field(default=3, ge=1, le=MAX_CITED)


class SearchBody(RequestBody):
    """The body of ``POST /api/v1/search``."""

    query: Question
    app: AppName | None = None
    top_k: int = Field(default=10, ge=1, le=MAX_TOP_K)
    rerank: bool = True


class CompareBody(RequestBody):
    """The body of ``POST /api/v1/compare``."""

    question: Question
    apps: list[AppName] | None = Field(default=None, min_length=1, max_length=MAX_APPS)


BODIES: dict[str, type[RequestBody]] = {"ask": AskBody, "search": SearchBody, "compare": CompareBody}


class UnknownAppError(LookupError):
    """An ``app`` that is not in the corpus, with the covered names that resemble it."""

    def __init__(self, app: str, near_apps: tuple[str, ...]) -> None:
        super().__init__(app)
        self.app = app
        self.near_apps = near_apps


@contextmanager
def answering() -> Iterator[None]:
    """Turn whatever breaks inside into :class:`AnswerFailedError`, and log where it broke but not what it said."""
    try:
        yield
    except Exception as exc:  # noqa: BLE001 - all is raised again, without the message
        log_failure(exc)
        raise AnswerFailedError(type(exc).__name__) from None


def build_router(assistant: Assistant) -> APIRouter:
    """Return the routes of the API and of the reader, answered by ``assistant``."""
    router = APIRouter()

    def require(app: str) -> Policy:
        try:
            return assistant.policy(app)
        except ValueError as exc:
            raise UnknownAppError(app, assistant.near_apps(app)) from exc

    @router.post("/api/v1/ask")
    def ask(body: AskBody) -> Response:
        history = [turn if isinstance(turn, str) else Turn(turn.question, turn.app) for turn in body.history]
        with answering():
            return JSONResponse(assistant.ask(body.question, app=body.app, history=history, top_k=body.top_k).to_dict())

    @router.post("/api/v1/search")
    def search(body: SearchBody) -> Response:
        if body.app is not None:
            require(body.app)
        with answering():
            passages = assistant.search(body.query, app=body.app, top_k=body.top_k, rerank=body.rerank)
            return JSONResponse([passage.to_dict() for passage in passages])

    @router.post("/api/v1/compare")
    def compare(body: CompareBody) -> Response:
        with answering():
            return JSONResponse([row.to_dict() for row in assistant.compare(body.question, apps=body.apps)])

    @router.get("/api/v1/apps")
    def apps() -> Response:
        return JSONResponse(list(assistant.apps()))

    @router.get("/api/v1/policies/{app:path}")
    def read_policy(app: str) -> Response:
        policy = require(app)
        with answering():
            clauses = assistant.clauses(app)
            return JSONResponse(
                asdict(policy) | {"date": policy.date, "clauses": [asdict(clause) for clause in clauses]}
            )

    @router.get("/healthz")
    def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @router.get("/read/{app:path}")
    def read(
        request: Request, app: str, clause: str | None = None, start: str | None = None, end: str | None = None
    ) -> Response:
        language = _language(request)
        try:
            policy = require(app)
        except UnknownAppError:
            return HTMLResponse(render_missing(app, language), status_code=404)
        is_span = OFFSET.fullmatch(start or "") and OFFSET.fullmatch(end or "")
        span = (int(start or 0), int(end or 0)) if is_span else None
        with answering():
            clauses = assistant.clauses(app)
        page = render_policy(policy, clauses, language=language, clause_id=clause, span=span)
        return HTMLResponse(page, headers={"vary": "Accept-Language"})

    return router


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of our routes a problem+json in the caller's language."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> Response:
        return _invalid(request, exc)

    @app.exception_handler(UnknownAppError)
    async def unknown_app(request: Request, exc: UnknownAppError) -> Response:
        language = _language(request)
        near = message("api.near_apps", language, apps="、".join(exc.near_apps)) if exc.near_apps else ""
        return problem_response("unknown_app", 404, language, app=exc.app, near=near, path="/api/v1/apps")

    @app.exception_handler(AnswerFailedError)
    async def failed(request: Request, exc: AnswerFailedError) -> Response:
        return problem_response("failed", 500, _language(request))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, exc: HTTPException) -> Response:
        language = _language(request)
        if exc.status_code == 400:  # FastAPI's word for a body that is no UTF-8, or nested or numbered beyond reading
            return problem_response("not_json", 400, language)
        if exc.status_code != 405:
            return problem_response("not_found", exc.status_code, language, paths=API_SUMMARY)
        allowed = (exc.headers or {}).get("Allow", "")
        response = problem_response("method", 405, language, method=request.method, allowed=allowed)
        response.headers["allow"] = allowed
        return response


def _language(request: Request) -> Language:
    return negotiate_language(request.headers.get("accept-language"))


def _invalid(request: Request, exc: RequestValidationError) -> Response:
    language = _language(request)
    for error in exc.errors():
        if error["loc"] == ("body",) or error["type"] == "json_invalid":
            return problem_response("not_json", 400, language)
        if error["type"] == "string_too_long" and error["ctx"]["max_length"] == MAX_QUESTION_CHARACTERS:
            given = len(error["input"])
            return problem_response("question_too_long", 422, language, given=given, allowed=MAX_QUESTION_CHARACTERS)
    fields = (".".join(str(part) for part in error["loc"][1:]) for error in exc.errors())
    problems = "; ".join(f"{field}: {error['msg']}" for field, error in zip(fields, exc.errors(), strict=True))
    allowed = ", ".join(BODIES[request.scope["route"].name].model_fields)
    return problem_response("invalid", 422, language, problems=problems, allowed=allowed)
