"""The page that asks many apps the same: its rows as they are found, and the table as a file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any, Literal, get_args

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from pydantic import Field

from corpus.messages import message, messages
from corpus.topics import TOPICS, Topic
from index.errors import UnavailableError
from retrieval.datatypes import FactKind, Language, Row
from web.api import STREAM, STREAM_HEADERS, server_event
from web.files import files_version, style_link
from web.language import HTML_LANG, request_language
from web.problems import AnswerFailedError, answering, make_problem, problem_response, unavailable
from web.schema import MAX_APPS, MAX_QUESTION_CHARACTERS, AppName, Question, RequestBody
from web.sheets import Line, line_of, tabulate, write_csv, write_xlsx

if TYPE_CHECKING:
    from retrieval import Assistant

ROOT = ""  # the page lives at the site's root
OPEN_CHOOSER = 12  # apps up to which the list of them stands open: a dozen lines push nothing out of sight
MAX_UNKNOWN = 8  # names in a question that get a row which says that there is no such app
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
SHOWN_COLUMNS = ("app", "status", "text", "facts", "citation", "date")
STATUSES = ("answered", "silent", "unknown_app")


class SubjectBody(RequestBody):
    """What is compared: a question, or in its place a topic."""

    question: Question = ""
    topic: Topic | None = None


class RowsBody(SubjectBody):
    """What to compare, and across which apps."""

    apps: list[AppName] = Field(min_length=1, max_length=MAX_APPS)


class ShownRow(RequestBody):
    """A row of the page's table: its app, and the version that it is about."""

    app: AppName
    policy_id: str | None = Field(max_length=64)


class ExportBody(SubjectBody):
    """The rows to write, in their order. What they say is not taken from the page: it is found again."""

    format: Literal["csv", "xlsx"]
    rows: list[ShownRow] = Field(min_length=1, max_length=MAX_APPS + MAX_UNKNOWN)


@dataclass(frozen=True)
class Comparison:
    """One subject across apps: ``lines`` are found as they are taken, ``apps`` says for which. A request sees one
    generation of the index (:mod:`web.generation`), and so do they.

    ``named`` are the apps of the index that the question names, ``unknown`` those that are not there; each of these
    has a line, too.
    """

    apps: tuple[str, ...]
    lines: Iterator[Line]
    named: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def build_comparison(assistant: Assistant) -> APIRouter:
    """Return the routes of the page, answered by ``assistant``."""
    router = APIRouter(include_in_schema=False)

    @router.get("/compare")
    def show(request: Request) -> Response:
        language = request_language(request)
        with answering():
            page = render_page(assistant, language)
        headers = {"vary": "Accept-Language", "cache-control": "no-cache"}  # the list of apps changes
        return HTMLResponse(page, headers=headers)

    @router.post("/compare/rows")
    def compare_rows(request: Request, body: RowsBody) -> Response:
        events = stream_rows(assistant, body, request_language(request))
        return StreamingResponse(events, media_type=STREAM, headers=STREAM_HEADERS)

    @router.post("/compare/export")
    def export_rows(request: Request, body: ExportBody) -> Response:
        language = request_language(request)
        time = datetime.now(UTC)
        with answering():
            comparison = compare(assistant, body, [row.app for row in body.rows], language)
            lines = {line.app: line for line in comparison.lines}
            known = [(row, lines[row.app]) for row in body.rows if row.app in lines]
            changed = [row.app for row, line in known if row.policy_id != line.policy_id]
            if changed:
                return problem_response("policies_changed", 409, language, apps="、".join(changed))
            subject = message(f"topics.{body.topic}", language) if body.topic else body.question
            table = tabulate([line for _, line in known], subject=subject, time=time, language=language)
            is_csv = body.format == "csv"
            content = write_csv(table) if is_csv else write_xlsx(table, name=message("compare.sheet", language))
        name = f"wentiao-compare-{time:%Y-%m-%dT%H-%M-%S}Z.{body.format}"
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return Response(content, media_type=MEDIA_TYPES[body.format], headers=headers)

    return router


def compare(assistant: Assistant, subject: SubjectBody, apps: Sequence[str], language: Language) -> Comparison:
    """Put the question, or else the topic, to ``apps``.

    :param language: of the page; a row of a question is in the question's own.
    """
    known = set(assistant.apps())

    def lines_of(rows: Iterator[Row]) -> Iterator[Line]:
        # Of no other app than those asked about: it may be damaged, and thousands take long to open.
        return (line_of(row, assistant.policy(row.app) if row.app in known else None) for row in rows)

    if subject.topic:
        return Comparison(
            tuple(dict.fromkeys(apps)), lines_of(assistant.compare_topic_each(subject.topic, apps, language=language))
        )
    named = assistant.apps_named(subject.question)
    unknown = tuple(name for name in named if name not in known)[:MAX_UNKNOWN]
    asked = tuple(dict.fromkeys((*apps, *unknown)))
    lines = lines_of(assistant.compare_each(subject.question, asked))
    return Comparison(asked, lines, tuple(name for name in named if name in known), unknown)


async def stream_rows(assistant: Assistant, body: RowsBody, language: Language) -> AsyncIterator[str]:
    """Give a comparison as server-sent events: ``start``, a ``row`` for each app and ``done``.

    ``declined`` alone comes where the question is not one for policies; ``error`` ends what breaks, at any place. When
    the reader goes away, the search stops after the row that it is at.
    """

    def begin() -> Comparison | None:
        with answering():
            is_answerable = body.topic is not None or assistant.is_on_topic(body.question)
            return compare(assistant, body, body.apps, language) if is_answerable else None

    def take(lines: Iterator[Line]) -> dict[str, Any] | None:
        with answering():
            line = next(lines, None)
        return line.to_dict() if line else None

    try:
        comparison = await to_thread.run_sync(begin)
        if comparison is None:
            yield server_event("declined", {"detail": message("answer.off_topic", language)})
            return
        about = {"named": comparison.named, "unknown": comparison.unknown}
        yield server_event("start", {"total": len(comparison.apps), **about})
        while (line := await to_thread.run_sync(take, comparison.lines)) is not None:
            yield server_event("row", line)
    except AnswerFailedError:
        yield server_event("error", make_problem("failed", 500, language).to_dict())
        return
    except UnavailableError as exc:
        yield server_event("error", unavailable(exc, language).to_dict())
        return
    yield server_event("done", {})


def render_page(assistant: Assistant, language: Language) -> str:
    """Return the page, with every app chosen up to as many as are compared at once."""

    def say(name: str, **values: object) -> str:
        return escape(message(f"compare.{name}", language, **values))

    apps = assistant.apps()
    # With another model than the one that they were trained for, clauses have no topics.
    unoffered = "" if apps and assistant.knows_topics else " hidden"
    topics = "".join(
        f'<option value="{topic}">{escape(message(f"topics.{topic}", language))}</option>' for topic in TOPICS
    )
    statuses = "".join(f'<option value="{status}">{say(f"status_{status}")}</option>' for status in STATUSES)
    columns = "".join(
        f'<th role="columnheader" scope="col" aria-sort="none"><button type="button" data-sort="{name}">'
        f"{say(f'column_{name}')}</button></th>"
        for name in SHOWN_COLUMNS
    )
    return (
        f'<!doctype html><html lang="{HTML_LANG[language]}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{say('title')}</title>"
        f"{style_link(ROOT, 'theme.css')}{style_link(ROOT, 'compare.css')}"
        f'<script id="data" type="application/json">{_data(language)}</script>'
        f'<script src="page/compare.js?v={files_version()}" defer></script></head>'
        f'<body><header class="top"><a href="./">← {escape(message("reader.back", language))}</a>'
        f"<h1>{say('title')}</h1><p>{say('intro')}</p><noscript><p>{say('no_script')}</p></noscript></header>"
        f'<main><form id="ask" novalidate autocomplete="off"><fieldset><legend>{say("what")}</legend>'
        f'<label><input type="radio" name="kind" value="question" checked> {say("by_question")}</label>'
        f'<label{unoffered}><input type="radio" name="kind" value="topic"> {say("by_topic")}</label></fieldset>'
        f'<div id="by-question"><label for="question">{say("question_label")}</label>'
        f'<textarea id="question" rows="2" enterkeyhint="go" aria-describedby="hint problem"></textarea>'
        f'<p id="hint" class="soft">{say("question_hint", allowed=MAX_QUESTION_CHARACTERS)}</p></div>'
        f'<div id="by-topic" hidden><label for="topic">{say("topic_label")}</label>'
        f'<select id="topic">{topics}</select></div>'
        f"{_chooser(assistant, apps, language)}"
        f'<p id="problem" class="alarm" role="alert" hidden></p>'
        f'<p><button id="go" class="main" type="submit">{say("go")}</button></p></form>'
        f'<section id="result" aria-labelledby="subject" hidden><h2 id="subject" tabindex="-1"></h2>'
        f'<div id="running"><progress id="progress" value="0" aria-label="{say("progress")}"></progress>'
        f'<span id="count"></span><button id="stop" type="button">{say("stop")}</button></div>'
        f'<p id="state" role="status"></p><p id="failure" class="alarm" role="alert" hidden></p>'
        f'<p id="again" hidden><button type="button"></button></p><div id="notices"></div>'
        f'<figure id="chart" hidden><figcaption></figcaption><ul></ul>'
        f'<p class="soft">{say("judged")}</p></figure>'
        f'<div id="tools"><label>{say("filter_status")} <select id="status"><option value="">{say("filter_all")}'
        f"</option>{statuses}</select></label>"
        f'<label>{say("filter_text")} <input id="text" type="search"></label>'
        f'<button type="button" data-export="csv">{say("export_csv")}</button>'
        f'<button type="button" data-export="xlsx">{say("export_xlsx")}</button></div>'
        f'<p id="exported" role="status"></p><p id="shown" class="soft"></p>'
        f'<table role="table" aria-labelledby="subject"><thead role="rowgroup"><tr role="row">{columns}</tr></thead>'
        f'<tbody id="rows" role="rowgroup"></tbody></table>'
        f'<p class="soft">{escape(message("chat.disclaimer", language))}</p></section></main>'
        f'<footer class="soft"><p>{say("privacy")}</p></footer></body></html>'
    )


def _chooser(assistant: Assistant, apps: Sequence[str], language: Language) -> str:
    """Return the list of apps to choose from; an alias finds an app, too."""

    def say(name: str, **values: object) -> str:
        return escape(message(f"compare.{name}", language, **values))

    aliases = assistant.aliases()
    entries = "".join(
        f'<li><label><input type="checkbox" value="{escape(app)}" '
        f'data-find="{escape(" ".join((app, *aliases.get(app, ()))).lower())}"'
        f"{' checked' if place < MAX_APPS else ''}> {escape(app)}</label></li>"
        for place, app in enumerate(apps)
    )
    unfolded = " open" if len(apps) <= OPEN_CHOOSER else ""
    return (
        f'<details id="chooser"{unfolded}><summary>{say("apps_label")} <span id="chosen" class="soft"></span></summary>'
        f'<div class="find"><label>{say("find")} <input id="find" type="search"></label>'
        f'<button id="choose" type="button">{say("choose_listed")}</button>'
        f'<button id="drop" type="button">{say("drop_listed")}</button>'
        f'<span id="found" class="soft" role="status"></span></div>'
        f'<ul id="apps" lang="zh" aria-label="{say("apps_label")}">{entries}</ul></details>'
        f'<ul id="chips" aria-label="{say("apps_label")}"></ul>'
    )


def _data(language: Language) -> str:
    """Return what the page's script says, as JSON that cannot end the script element around it."""
    kinds = get_args(FactKind)
    words = messages("compare", language) | {
        "too_long": message("api.question_too_long", language, given="{given}", allowed="{allowed}"),
        "broken": message("api.failed", language),
        "official": message("answer.official", language),
        "undated": message("answer.date_unknown", language),
    }
    data = {
        "words": {name: text for name, text in words.items() if not name.startswith("column_")},
        "columns": {name: words[f"column_{name}"] for name in SHOWN_COLUMNS},
        "facts": {kind: message(f"chat.fact_{kind}", language) for kind in kinds},
        "statuses": STATUSES,
        "language": HTML_LANG[language],
        "maxQuestion": MAX_QUESTION_CHARACTERS,
        "maxApps": MAX_APPS,
    }
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
