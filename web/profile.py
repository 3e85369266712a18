"""The profile of an app on a page of its own: every matter with its quote, its facts and the way to its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote as percent_encode
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from corpus.messages import message
from retrieval.datatypes import CELL_KEYS, PROFILE_PARTS, Cell, Citation, Fact, Language, Profile, ProfileRow
from web.language import request_language
from web.problems import answering
from web.reader import ROOT, document, render_missing
from web.render import English, reader_url

if TYPE_CHECKING:
    from retrieval import Assistant

JSON_FORM = "json"


def build_profile(assistant: Assistant) -> APIRouter:
    """Return the route of the page, its profiles taken from ``assistant``."""
    router = APIRouter()

    @router.get("/profile/{app:path}")
    def profile(request: Request, app: str, form: str = "") -> Response:
        language = request_language(request)
        headers = {"vary": "Accept-Language"}
        try:
            name = assistant.policy(app).app
        except ValueError:
            return HTMLResponse(render_missing(app, language), status_code=404, headers=headers)
        with answering():
            if form == JSON_FORM:  # as the API gives it, which may need a token
                return JSONResponse(assistant.profile(name).to_dict())
            page = render_profile(assistant.profile(name), language, assistant.rendering)
        return HTMLResponse(page, headers=headers)

    return router


def render_profile(profile: Profile, language: Language, english: English) -> str:
    """Return the whole page.

    :param english: where the unofficial English of a quote comes from, for a reader of English.
    """
    say = _in(language)
    parts = "".join(
        f'<section class="part" aria-labelledby="part-{name}"><h2 id="part-{name}">{say(f"part_{name}")}</h2>'
        + "".join(_cell(profile, profile.cell(key), language, english) for key in keys)
        + "</section>"
        for name, keys in PROFILE_PARTS.items()
    )
    content = f'<div class="columns">{_contents(profile, language)}<main class="profile">{parts}</main></div>'
    title = message("profile.title", language, app=profile.app)
    return document(title, _top(profile, language), content, language, styles=("profile.css",))


def _in(language: Language) -> Callable[[str], str]:
    """Return what gives a message of the profile in ``language``, escaped."""
    return lambda name: escape(message(f"profile.{name}", language))


def _top(profile: Profile, language: Language) -> str:
    dated = message("chat.dated", language, date=profile.date) if profile.date else message("chat.undated", language)
    stated = sum(cell.is_stated for cell in profile.cells)
    lines = (
        dated,
        message("answer.official", language),
        message("profile.counted", language, total=len(profile.cells), stated=stated),
        message("profile.intro", language),
        *(message(f"degraded.{part}", language) for part in profile.degraded),
    )
    read = f"{ROOT}read/{percent_encode(profile.app, safe='')}"
    data = f"?{urlencode({'form': JSON_FORM})}"
    say = _in(language)
    links = (
        f'<p class="ways"><a href="{escape(read)}">{say("read")}</a> '
        f'<a href="{escape(data)}" download="{escape(profile.app)}.json">{say("json")}</a></p>'
    )
    return "".join(f"<p>{escape(line)}</p>" for line in lines) + links


def _contents(profile: Profile, language: Language) -> str:
    say = _in(language)
    entries = "".join(
        f'<li><a href="#{key}">{say(key)}{_noted(_amount(profile.cell(key), language))}</a></li>' for key in CELL_KEYS
    )
    title = say("contents")
    return (
        f'<nav aria-label="{title}"><details open><summary>{title}</summary>'
        f'<ol class="matters">{entries}</ol></details></nav>'
    )


def _noted(amount: str) -> str:
    return f' <small class="amount">{amount}</small>' if amount else ""


def _amount(cell: Cell, language: Language) -> str:
    if not cell.is_stated:
        return escape(message("profile.not_stated", language))
    if not cell.columns:
        return ""
    name = "profile.one_row" if len(cell.rows) == 1 else "profile.rows"
    return escape(message(name, language, count=len(cell.rows)))


def _cell(profile: Profile, cell: Cell, language: Language, english: English) -> str:
    say = _in(language)
    if not cell.is_stated:
        body = f'<p class="silent">{say("not_stated")}</p>'
    elif cell.citation:
        body = (
            f"{_quote(cell.citation, language, english)}{_facts(cell.facts, language)}"
            f'<p class="place">{_place(cell.citation, language)}</p>'
        )
    else:
        body = _table(cell, language, english)
    count = _noted(_amount(cell, language)) if cell.is_stated else ""
    return f'<article class="matter" id="{cell.key}"><h3>{say(cell.key)}{count}</h3>{body}</article>'


def _quote(citation: Citation, language: Language, english: English) -> str:
    text = english(citation.app, citation.start, citation.end, citation.policy_id) if language == "en" else None
    tag = escape(message("answer.rendering", language))
    rendering = f'<p class="rendering"><span class="tag">{tag}</span> {escape(text)}</p>' if text else ""
    return f'<blockquote lang="zh">{escape(citation.quote)}</blockquote>{rendering}'


def _facts(facts: Sequence[Fact], language: Language) -> str:
    named = [(escape(message(f"chat.fact_{fact.kind}", language)), escape(fact.text)) for fact in facts]
    items = "".join(f'<div><dt>{kind}</dt><dd lang="zh">{text}</dd></div>' for kind, text in dict.fromkeys(named))
    return f'<dl class="facts">{items}</dl>' if items else ""


def _place(citation: Citation, language: Language) -> str:
    """Return the way to a quote's place in the policy, named by its printed address."""
    url = ROOT + reader_url(citation.app, citation.clause_id, (citation.start, citation.end))
    where = citation.label or (citation.path[-1] if citation.path else "")
    label = f' <span lang="zh">{escape(where)}</span>' if where else ""
    return f'<a href="{escape(url)}">{_in(language)("in_place")}{label}</a>'


def _table(cell: Cell, language: Language, english: English) -> str:
    # The roles are written out because a phone shows each row as a block, and a block is no row.
    say = _in(language)
    names = [say(f"column_{column}") for column in cell.columns]
    heads = "".join(f'<th role="columnheader" scope="col">{name}</th>' for name in (*names, say("source")))
    rows = "".join(_row(row, names, language, english) for row in cell.rows)
    return (
        f'<table role="table" class="columns-{len(names)}" aria-label="{say(cell.key)}">'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>{rows}</table>'
    )


def _row(row: ProfileRow, names: Sequence[str], language: Language, english: English) -> str:
    say = _in(language)
    cells = "".join(
        f'<td role="cell"><b aria-hidden="true">{name}</b>'
        + (f'<span lang="zh">{escape(value)}</span>' if value else f'<span class="none">{say("no_value")}</span>')
        + "</td>"
        for name, value in zip(names, row.values, strict=True)
    )
    place = f'<td role="cell" class="source">{_place(row.citation, language)}</td>'
    quote = f"<details><summary>{say('quote')}</summary>{_quote(row.citation, language, english)}</details>"
    return (
        f'<tbody role="rowgroup"><tr role="row">{cells}{place}</tr>'
        f'<tr role="row"><td role="cell" colspan="{len(names) + 1}" class="quote">{quote}</td></tr></tbody>'
    )
