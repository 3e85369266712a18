"""All clauses that an answer cites on one page, each with its quote marked. Its address names clauses, no question."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from html import escape
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from corpus.datatypes import Clause
from corpus.messages import message
from corpus.sentences import split_sentences
from index.errors import IndexMismatchError
from retrieval.datatypes import Citation, Language
from web.language import request_language
from web.reader import ROOT, document
from web.render import render_citation

if TYPE_CHECKING:
    from retrieval import Assistant

MAX_PLACES = 200  # clauses on one page, as many as a comparison has apps
PLACE = re.compile(r"([0-9a-f]{16}\.[0-9]{1,9}):([0-9]{1,9})-([0-9]{1,9})")


def build_cited(assistant: Assistant) -> APIRouter:
    """Return the route of the page, its clauses taken from ``assistant``."""
    router = APIRouter()

    @router.get("/cited/{places}")
    def cited(request: Request, places: str) -> HTMLResponse:
        language = request_language(request)
        found = [cite_place(assistant, place) for place in list(dict.fromkeys(places.split(",")))[:MAX_PLACES]]
        citations = [citation for citation in found if citation]
        page = render_cited(assistant, citations, language, lost=len(found) - len(citations))
        headers = {"vary": "Accept-Language"}
        return HTMLResponse(page, status_code=200 if citations else 404, headers=headers)

    return router


def cite_place(assistant: Assistant, place: str) -> Citation | None:
    """Return what stands at ``CLAUSE_ID:START-END``, the quote's offsets; ``None`` where no version here has that.

    A quote that runs on beyond its clause is a list cited as a whole and shown to its end. One that begins or ends
    within a sentence, which may turn what the policy says around, is left empty: the clause is shown, nothing marked.
    """
    named = PLACE.fullmatch(place)
    if not named:
        return None
    clause_id, start, end = named[1], int(named[2]), int(named[3])
    version = assistant.version_of(clause_id.partition(".")[0])
    if version is None:
        return None
    try:
        policy = assistant.policy(version.app, version.policy_id)
        clauses = {clause.clause_id: clause for clause in assistant.clauses(version.app, version.policy_id)}
    except IndexMismatchError:  # its text was damaged or pruned since
        return None
    clause = clauses.get(clause_id)
    if clause is None or not clause.start <= start < end <= len(policy.text):
        return None
    if not _is_whole(clause, start, end, clauses.values()):
        start = end = clause.start
    lead_in = clauses[clause.lead_in].text if clause.lead_in else None
    return Citation.of(policy, clause, start, end, lead_in=lead_in)


def _is_whole(clause: Clause, start: int, end: int, clauses: Collection[Clause]) -> bool:
    """Say whether a span begins and ends as a sentence of ``clause`` does, or runs from it to the end of another."""
    if end > clause.end:
        return start == clause.start and any(end == other.end for other in clauses)
    bounds = [(0, len(clause.text)), *split_sentences(clause.text)]
    return start - clause.start in {first for first, _ in bounds} and end - clause.start in {last for _, last in bounds}


def render_cited(assistant: Assistant, citations: Iterable[Citation], language: Language, *, lost: int) -> str:
    """Return the page; ``lost`` is how many of the places that were asked for no version here has."""
    gone = escape(message("reader.cited_gone", language, count=lost))
    notice = f'<p class="gone" role="alert">{gone}</p>' if lost else ""
    cards = "".join(
        render_citation(one, language, assistant.rendering, topics=assistant.topics, root=ROOT) for one in citations
    )
    note = f"<p>{escape(message('chat.disclaimer', language))}</p>" if cards else ""
    title = message("reader.cited_title", language)
    return document(title, note + notice, f'<main class="cited">{cards}</main>', language)
