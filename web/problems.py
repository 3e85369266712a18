"""Errors of the API as problem+json (RFC 9457), in words for people: what came, what is allowed, what to do."""

from __future__ import annotations

import json
import logging
import math
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from anyio import CancelScope, to_thread
from starlette.responses import Response

from corpus.messages import message
from index.errors import IndexMismatchError, OverloadedError, StoreUnreachableError, TimedOutError, UnavailableError
from retrieval.datatypes import Language, Payload
from web.logs import request_id
from web.schema import TurnBody

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from retrieval import Assistant

logger = logging.getLogger(__name__)

API_SUMMARY = (
    "POST /api/v1/ask, POST /api/v1/search, POST /api/v1/compare, GET /api/v1/apps, GET /api/v1/policies/{app}, "
    "GET /api/v1/profile?app={app}, GET /api/v1/clauses/{clause_id}, GET /api/v1/docs"
)

# What keeps a question from being looked at. The pages say each in words of their own, under the same names.
REFUSAL_KINDS = ("overloaded", "rate_limited", "store_unreachable", "timed_out", "index_damaged")

TITLES = {"not_json": "invalid"}

# What pydantic calls a misfit -> the catalogue's word for it; every other one is `reason_other`.
REASONS = {
    "missing": "missing",
    "extra_forbidden": "extra",
    "string_type": "string",
    "int_type": "integer",
    "int_from_float": "integer",
    "bool_type": "boolean",
    "list_type": "list",
    "model_type": "turn",
    "model_attributes_type": "turn",
    "too_short": "empty",
    "literal_error": "choice",
}
HISTORY = "history"  # the field whose items are turns
LONGEST_RETRY = 60  # seconds that anybody is told to wait; by then it is another load
MAX_PLACE_CHARACTERS = 80  # a field that does not exist may have a name of any length


@dataclass(frozen=True)
class Problem(Payload):
    """An error: ``type`` never changes and is what a program goes by; ``title`` and ``detail`` are for people.

    ``instance`` names the request, by the id that the operator's log has it under; it is left out where there is none.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""


class AnswerFailedError(RuntimeError):
    """Something broke while a question was answered. It carries no text: the cause may quote the question."""


class IndexDamagedError(UnavailableError):
    """A file that an answer needs is damaged; other apps' are not. It carries no text: the message names a path."""

    def __init__(self) -> None:
        super().__init__("a file of the index is damaged", retry_after=LONGEST_RETRY)


_Result = TypeVar("_Result")
_noted: ContextVar[list[str] | None] = ContextVar("problems", default=None)


@contextmanager
def noting_problems() -> Iterator[list[str]]:
    """Collect the kinds of the problems that are made in this context, and in threads that are given a copy of it."""
    kinds: list[str] = []
    token = _noted.set(kinds)
    try:
        yield kinds
    finally:
        _noted.reset(token)


def note_problem(kind: str) -> None:
    """Tell whoever collects problems that there was one of this kind."""
    if (noted := _noted.get()) is not None:
        noted.append(kind)


@contextmanager
def answering() -> Iterator[None]:
    """Turn whatever breaks inside into :class:`AnswerFailedError`, and log where it broke but not what it said.

    An :class:`~index.errors.UnavailableError` is passed on: nothing broke here. Damage to the index becomes one.
    """
    try:
        yield
    except UnavailableError as exc:
        if isinstance(exc, (StoreUnreachableError, TimedOutError)):
            logger.error("a request was not answered: %s", exc)  # it quotes the store, not the question
        raise
    except IndexMismatchError as exc:
        raise damaged_index(exc) from None
    except Exception as exc:  # noqa: BLE001 - all is raised again, without the message
        log_failure(exc)
        raise AnswerFailedError(type(exc).__name__) from None


async def answered(assistant: Assistant, ask: Callable[[], _Result]) -> _Result:
    """Return what ``ask`` returns, which asks ``assistant`` in a thread, within its time and :func:`answering`.

    Whoever goes away is waited for: an answer that is being made counts among those of this process until it ends.
    """
    with answering():
        if assistant.limit is None:
            return await to_thread.run_sync(ask)
        with CancelScope(shield=True):
            answer = await assistant.limit.wait(ask)
        return answer


def damaged_index(exc: IndexMismatchError) -> IndexDamagedError:
    """Log which file is damaged and what repairs it, and return what the caller is told."""
    logger.error("a request was not answered: %s", exc)  # it quotes a file, not the question
    return IndexDamagedError()


def log_failure(exc: Exception) -> None:
    """Log where ``exc`` broke but not what it says: its message may quote a question, and those stay out of logs."""
    place = "".join(traceback.format_tb(exc.__traceback__))
    logger.error("A request was not answered: %s\n%s", type(exc).__name__, place)


def make_problem(kind: str, status: int, language: Language, **values: object) -> Problem:
    """Return the problem ``kind`` of the catalogue's section ``api``, its fields filled in."""
    note_problem(kind)
    request = request_id.get()
    return Problem(
        type=f"urn:wentiao:problem:{kind.replace('_', '-')}",
        title=message(f"api.{TITLES.get(kind, kind)}_title", language),
        status=status,
        detail=message(f"api.{kind}", language, **values),
        instance=f"urn:wentiao:request:{request}" if request else "",
    )


def problem_response(kind: str, status: int, language: Language, **values: object) -> Response:
    """Return :func:`make_problem` as a response."""
    return respond(make_problem(kind, status, language, **values))


def unavailable(error: UnavailableError, language: Language) -> Problem:
    """Return the problem of what cannot be done now and may be soon."""
    kind = unavailable_kind(error)
    return make_problem(kind, 503, language, seconds=whole_seconds(error.retry_after))


def unavailable_kind(error: UnavailableError) -> str:
    """Return which problem it is: too many ask, something hangs, a file is damaged, or the vector store is away."""
    kinds = ((OverloadedError, "overloaded"), (TimedOutError, "timed_out"), (IndexDamagedError, "index_damaged"))
    return next((kind for error_type, kind in kinds if isinstance(error, error_type)), "store_unreachable")


def unavailable_response(error: UnavailableError, language: Language) -> Response:
    """Return :func:`unavailable` as a response that says in its header when to come again."""
    response = respond(unavailable(error, language))
    response.headers["retry-after"] = str(whole_seconds(error.retry_after))
    return response


def whole_seconds(seconds: float) -> int:
    """Return ``seconds`` as a header may say them.

    >>> whole_seconds(0.0), whole_seconds(1.2), whole_seconds(9999.0)
    (1, 2, 60)
    """
    return min(max(math.ceil(seconds), 1), LONGEST_RETRY)


def respond(problem: Problem) -> Response:
    """Return ``problem`` as a response."""
    body = json.dumps(problem.to_dict(), ensure_ascii=False).encode(errors="replace")  # what came may be half a letter
    return Response(body, status_code=problem.status, media_type="application/problem+json")


def unknown_app(app: str, near_apps: Sequence[str], language: Language) -> Problem:
    """Return the problem of an app that is not in the corpus, with the covered names that resemble it."""
    near = message("api.near_apps", language, apps="、".join(near_apps)) if near_apps else ""
    return make_problem("unknown_app", 404, language, app=app, near=near, path="/api/v1/apps")


def unfit_request(errors: Sequence[Mapping[str, Any]], fields: Mapping[str, FieldInfo], language: Language) -> Response:
    """Return the response to a request that FastAPI could not read.

    :param errors: pydantic's, the place of each counted from the request: ``("body", "question")``.
    :param fields: those that are allowed.
    """
    errors = [{**error, "loc": error["loc"][1:]} for error in errors]
    if any(error["type"] == "json_invalid" or not error["loc"] for error in errors):
        return problem_response("not_json", 400, language)
    return respond(misfit(errors, fields, language))


def misfit(errors: Sequence[Mapping[str, Any]], fields: Mapping[str, FieldInfo], language: Language) -> Problem:
    """Return the problem of fields that do not fit: the first limit that is exceeded, else every field's reason.

    :param errors: pydantic's, the place of each counted from the body.
    :param fields: those that are allowed, as pydantic's ``model_fields``.
    """
    for error in errors:
        if limit := _limit(error, fields, language):
            return limit
    reasons = {_place(error): _reason(error, language) for error in errors}
    separator = "; " if language == "en" else "；"
    told = separator.join(f"{place}: {why}" for place, why in reasons.items())
    if all(_is_of_turn(error) for error in errors):
        allowed = ", ".join(f"{HISTORY}[].{name}" for name in TurnBody.model_fields)
    else:
        allowed = ", ".join(fields)
    return make_problem("invalid", 422, language, problems=told, allowed=allowed)


def _limit(error: Mapping[str, Any], fields: Mapping[str, FieldInfo], language: Language) -> Problem | None:
    """Return the problem of an exceeded limit, or ``None`` if ``error`` is of another kind."""
    place, field = _place(error), next(iter(error["loc"]), "")
    limits = error.get("ctx", {})
    match error["type"]:
        case "string_too_long":
            kind = "question_too_long" if error["loc"][-1] in ("question", "query", "text") else "name_too_long"
            given, allowed = len(error["input"]), limits["max_length"]
            return make_problem(kind, 422, language, field=place, given=given, allowed=allowed)
        case "too_long":
            kind = "history_too_long" if field == HISTORY else "too_many_apps"
            allowed = limits["max_length"]
            return make_problem(kind, 422, language, given=limits["actual_length"], allowed=allowed)
        case "greater_than_equal" | "less_than_equal":
            allowed = next(limit.le for limit in fields[field].metadata if hasattr(limit, "le"))
            return make_problem("top_k_out_of_range", 422, language, given=error["input"], allowed=allowed)
    return None


def _reason(error: Mapping[str, Any], language: Language) -> str:
    """Return why a value does not fit; of a choice, what can be chosen."""
    choices = ", ".join(re.findall(r"'(\w+)'", error.get("ctx", {}).get("expected", "")))
    return message(f"api.reason_{REASONS.get(error['type'], 'other')}", language, allowed=choices)


def _place(error: Mapping[str, Any]) -> str:
    place = error["loc"]
    if place[0] == HISTORY and place[2:3]:  # pydantic names the kind of a turn after its number
        place = (*place[:2], *place[3:])
    return ".".join(map(str, place))[:MAX_PLACE_CHARACTERS]


def _is_of_turn(error: Mapping[str, Any]) -> bool:
    """Say whether what does not fit is a turn that is no text, or a field of one."""
    return bool(error["loc"][0] == HISTORY and error["loc"][2:3] == ("turn",))
