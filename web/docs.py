"""The page that a person reads of the API: its description as HTML, put together on the server. No script."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from corpus.messages import message
from retrieval.datatypes import Language
from web.files import style_link
from web.language import HTML_LANG

ROOT = "../../"  # the page lives two levels below the site's root
SITE = "http://127.0.0.1:7860"  # where `wentiao serve` listens unless told otherwise


def render_docs(description: dict[str, Any], language: Language) -> str:
    """Return an OpenAPI description as an HTML document."""
    title = escape(description["info"]["title"])
    base = SITE + description["servers"][0]["url"].rstrip("/")
    operations = [
        (method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    listed = "".join(
        f'<li><a href="#{escape(operation["operationId"])}"><code>{method} {escape(path)}</code></a></li>'
        for method, path, operation in operations
    )
    schemas = description["components"]["schemas"]
    return (
        f'<!doctype html><html lang="{HTML_LANG[language]}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"{style_link(ROOT, 'theme.css')}{style_link(ROOT, 'docs.css')}</head>"
        f"<body><main><h1>{title}</h1><p>{escape(description['info']['description'])}</p>"
        f'<p><a href="openapi.json">openapi.json</a></p><nav aria-label="{title}"><ul>{listed}</ul></nav>'
        + "".join(_operation(*operation, base, language) for operation in operations)
        + f"<h2>{escape(message('api.docs_schemas', language))}</h2>"
        + "".join(_schema(name, schema) for name, schema in schemas.items())
        + "</main></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any], base: str, language: Language) -> str:
    name = escape(operation["operationId"])
    done = operation["responses"]["200"]["content"]
    request = operation.get("requestBody", {}).get("content", {}).get("application/json")
    parameters = operation.get("parameters", [])
    address = base + path
    for parameter in parameters:
        address = address.replace(f"{{{parameter['name']}}}", parameter["example"])
    command = f"curl -s '{address}'"
    takes = ""
    if request:
        command += f" -H 'content-type: application/json' -d '{_json(request['example'], indent=None)}'"
        takes = f"<p>{escape(message('api.docs_takes', language))} {_type(request['schema'])}</p>"
    gives = f"<p>{escape(message('api.docs_gives', language))} {_type(done['application/json']['schema'])}</p>"
    problems = "".join(
        f"<tr><td>{status}</td><td><code>{escape(example['value']['type'])}</code></td>"
        f"<td>{escape(example['summary'])}</td></tr>"
        for status, response in operation["responses"].items()
        for example in response["content"].get("application/problem+json", {}).get("examples", {}).values()
    )
    examples = "".join(
        f'<details><summary><code>{escape(kind)}</code></summary><pre lang="zh">{escape(_json(content["example"]))}'
        "</pre></details>"
        for kind, content in done.items()
    )
    return (
        f'<section id="{name}"><h2><code>{method} {escape(path)}</code></h2><p>{escape(operation["summary"])}</p>'
        f'{takes}{gives}<pre lang="zh">{escape(command)}</pre>{examples}'
        f"<details><summary>{escape(message('api.docs_problems', language))}</summary>"
        f"<table>{problems}</table></details></section>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(field)}</code></th><td>{_type(of)}</td><td>{_about(of)}</td></tr>'
        for field, of in schema.get("properties", {}).items()
    )
    about = escape(schema.get("description", "").replace("``", ""))
    return (
        f'<section id="{escape(name)}"><h3>{escape(name)}</h3><p lang="en">{about}</p><table>{rows}</table></section>'
    )


def _about(schema: dict[str, Any]) -> str:
    """Return what a field's schema says beside its type: its limits, its default and what it is for."""
    inner: dict[str, Any] = next((choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"), {})
    limits = {**inner, **schema}
    told = [
        f"{sign} {limits[name]}"
        for name, sign in (("minimum", "≥"), ("maximum", "≤"), ("maxLength", "length ≤"), ("maxItems", "entries ≤"))
        if name in limits
    ]
    told += [f"default {json.dumps(schema['default'])}"] if "default" in schema else []
    told += [schema["description"]] if "description" in schema else []
    return f'<span lang="en">{escape(" · ".join(told))}</span>'


def _type(schema: dict[str, Any]) -> str:
    """Return the name of a schema's type, linked where the page has it."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "enum" in schema or "const" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema.get("enum", [schema.get("const")]))
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(map(_type, choices))
    if schema.get("type") == "array":
        return f"[{_type(schema.get('items', {}))}]"
    return escape(str(schema.get("type", "")))


def _json(value: Any, indent: int | None = 2) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=indent)
