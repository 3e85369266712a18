"""Errors of the API as problem+json (RFC 9457), in words for people: what came, what is allowed, what to do."""

from __future__ import annotations

import json
import logging
import traceback

from starlette.responses import Response

from corpus.messages import message
from retrieval.datatypes import Language

logger = logging.getLogger(__name__)

API_SUMMARY = (
    "POST /api/v1/ask, POST /api/v1/search, POST /api/v1/compare, GET /api/v1/apps, GET /api/v1/policies/{app}"
)

TITLES = {"not_json": "invalid"}


class AnswerFailedError(RuntimeError):
    """Something broke while a question was answered. It carries no text: the cause may quote the question."""


def log_failure(exc: Exception) -> None:
    """Log where ``exc`` broke but not what it says: its message may quote a question, and those stay out of logs."""
    place = "".join(traceback.format_tb(exc.__traceback__))
    logger.error("A request was not answered: %s\n%s", type(exc).__name__, place)


def problem_response(kind: str, status: int, language: Language, **values: object) -> Response:
    """Return the problem ``kind`` of the catalogue's section ``api``, its fields filled in."""
    problem = {
        "type": f"urn:wentiao:problem:{kind.replace('_', '-')}",
        "title": message(f"api.{TITLES.get(kind, kind)}_title", language),
        "status": status,
        "detail": message(f"api.{kind}", language, **values),
    }
    body = json.dumps(problem, ensure_ascii=False).encode(errors="replace")  # what came may be half a character
    return Response(body, status_code=status, media_type="application/problem+json")
