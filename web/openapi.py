"""The OpenAPI 3.1 description of the routes: payloads, examples that the pipeline gave, every error of each route."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.routing import BaseRoute

from corpus.messages import message
from retrieval.datatypes import LEFT_OUT_WHEN_EMPTY, Language
from web.problems import API_SUMMARY, Problem, make_problem
from web.schema import MAX_APPS, MAX_CITED, MAX_HISTORY_TURNS, MAX_NAME_CHARACTERS, MAX_QUESTION_CHARACTERS

API_VERSION = "1.0.0"
EXAMPLES = Path(__file__).parent / "examples.json"

POSTED = ("not_json", "foreign_origin", "method", "body_too_large", "question_too_long", "name_too_long", "invalid")
LATER = ("overloaded", "timed_out", "store_unreachable", "index_damaged")
PROBLEMS: dict[str, tuple[str, ...]] = {
    "ask": (*POSTED, "history_too_long", "top_k_out_of_range", "failed", *LATER),
    "search": (*POSTED, "unknown_app", "top_k_out_of_range", "topics_unknown", "failed", *LATER),
    "compare": (*POSTED, "too_many_apps", "topics_unknown", "failed", *LATER),
    "apps": ("method", "failed"),
    "read_policy": ("unknown_app", "method", "name_too_long", "failed", "index_damaged"),
    "profile": ("unknown_app", "method", "name_too_long", "invalid", "failed", *LATER),
    "read_clause": ("unknown_clause", "not_found", "method", "failed", "index_damaged"),
    "healthz": ("method",),
    "readyz": ("method", "not_ready", "ending"),
}
"""What each route can answer with beside 200."""

SAMPLES: dict[str, tuple[int, dict[str, object]]] = {
    "not_json": (400, {}),
    "foreign_origin": (403, {}),
    "unknown_app": (404, {"app": "津心伴", "near": "", "path": "/api/v1/apps"}),
    "unknown_clause": (404, {"clause_id": "0123456789abcdef.7", "path": "/api/v1/policies/{app}"}),
    "not_found": (404, {"paths": API_SUMMARY}),
    "method": (405, {"method": "PUT", "allowed": "POST"}),
    "body_too_large": (413, {"allowed": 65536}),
    "wrong_host": (421, {"host": "evil.example"}),
    "question_too_long": (422, {"given": 812, "allowed": MAX_QUESTION_CHARACTERS}),
    "history_too_long": (422, {"given": 14, "allowed": MAX_HISTORY_TURNS}),
    "top_k_out_of_range": (422, {"given": 0, "allowed": MAX_CITED}),
    "too_many_apps": (422, {"given": 240, "allowed": MAX_APPS}),
    "name_too_long": (422, {"field": "app", "given": 130, "allowed": MAX_NAME_CHARACTERS}),
    "invalid": (422, {"problems": "…", "allowed": "question, …"}),
    "failed": (500, {}),
    "topics_unknown": (501, {}),
    "not_ready": (503, {}),
    "ending": (503, {}),
    "overloaded": (503, {"seconds": 2}),
    "store_unreachable": (503, {"seconds": 10}),
    "timed_out": (503, {"seconds": 30}),
    "index_damaged": (503, {"seconds": 60}),
}
"""Status of each problem, and values for its example."""


def describe(routes: Sequence[BaseRoute], language: Language, root_path: str = "") -> dict[str, Any]:
    """Return the description of ``routes`` for a person who reads ``language``; names and types are the same in each.

    :param root_path: the sub-path that a proxy puts the site under.
    """
    description = get_openapi(
        title=message("api.title", language),
        version=API_VERSION,
        description=message("api.about", language),
        license_info={"name": "MIT"},
        servers=[{"url": root_path or "/"}],
        routes=routes,
    )
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    schemas = description["components"]["schemas"]
    schemas["Problem"] = TypeAdapter(Problem).json_schema(mode="serialization")
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own errors, which never leave this server
        schemas.pop(unused, None)
    for name, schema in schemas.items():
        if not name.endswith("Body"):  # a payload always has all of its fields; a request may leave some out
            schema["required"] = [field for field in schema["properties"] if field not in LEFT_OUT_WHEN_EMPTY]
    for methods in description["paths"].values():
        for operation in methods.values():
            _complete(operation, examples[operation["operationId"]], language)
    return description


def _complete(operation: dict[str, Any], example: dict[str, Any], language: Language) -> None:
    """Give an operation its words, its example and its problems."""
    name = operation["operationId"]
    operation["summary"] = message(f"api.do_{name}", language)
    done = {"description": operation["summary"], "content": operation["responses"]["200"]["content"]}
    done["content"]["application/json"]["example"] = example["response"]
    if name == "ask":
        done["content"]["text/event-stream"] = _stream(example["response"], language)
    if "request" in example:
        operation["requestBody"]["content"]["application/json"]["example"] = example["request"]
    for parameter in operation.get("parameters", ()):
        parameter["example"] = example["parameter"]
    operation["responses"] = {"200": done, **_problems((*PROBLEMS[name], "wrong_host"), language)}


def _problems(kinds: Sequence[str], language: Language) -> dict[str, Any]:
    """Return the problems ``kinds`` by status, an example each."""
    responses: dict[str, Any] = {}
    for kind in sorted(kinds, key=lambda kind: SAMPLES[kind][0]):
        status, values = SAMPLES[kind]
        problem = replace(make_problem(kind, status, language, **values), instance="")  # of this request, which is none
        response = responses.setdefault(
            str(status),
            {
                "description": "",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
                },
            },
        )
        if kind in LATER:
            seconds = {"type": "integer", "minimum": 1}
            response["headers"] = {"Retry-After": {"schema": seconds, "description": problem.title}}
        response["description"] = " · ".join(filter(None, (response["description"], problem.title)))
        response["content"]["application/problem+json"]["examples"][kind.replace("_", "-")] = {
            "summary": problem.title,
            "value": problem.to_dict(),
        }
    return responses


def _stream(answer: dict[str, Any], language: Language) -> dict[str, Any]:
    """Describe the answer as a stream of events, which OpenAPI 3.1 knows as text only."""
    events = [
        ("progress", {"stage": "understood", "language": answer["language"]}),
        ("progress", {"stage": "search"}),
        ("answer", answer),
        ("done", {}),
    ]
    text = "".join(f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n" for name, data in events)
    return {"schema": {"type": "string", "description": message("api.about_stream", language)}, "example": text}
