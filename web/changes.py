"""What changed between two versions of a policy: a page of its own without script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from corpus.datatypes import Clause, Policy
from corpus.messages import message
from corpus.versions import Change, HeadingChange, Span, count_changes, diff_headings, diff_outlines
from index.errors import IndexMismatchError
from retrieval.datatypes import Language
from web.language import HTML_LANG, request_language
from web.problems import answering
from web.reader import ROOT, document, render_missing
from web.render import reader_url
from web.versions import HEADINGS, changes_url, clause_place, list_versions, name_version

if TYPE_CHECKING:
    from index.manifest import Version
    from retrieval import Assistant

Pair = tuple[tuple[Policy, Sequence[Clause]], tuple[Policy, Sequence[Clause]]]
"""The old and the new version, each with its clauses."""

CONTEXT = 40  # characters kept on either side of a mark: a sentence
OPENING = 20  # characters kept where a clause begins or ends
MAX_WANTED_CHARACTERS = 80  # of a version that there is none of, when it is shown


def build_changes(assistant: Assistant) -> APIRouter:
    """Return the route of the page, its versions taken from ``assistant``."""
    router = APIRouter()

    @router.get("/changes/{app:path}")
    def changes(request: Request, app: str, to: str | None = None, kind: str | None = None) -> HTMLResponse:
        language = request_language(request)
        headers = {"vary": "Accept-Language"}
        try:
            name = assistant.policy(app).app
        except ValueError:
            return HTMLResponse(render_missing(app, language), status_code=404, headers=headers)
        with answering():
            versions = assistant.versions(name)
            try:
                pair = _read_pair(assistant, name, versions, request.query_params.get("from"), to)
            except UnknownVersionError as exc:
                page = render_changes(name, versions, None, language, unknown=str(exc))
                return HTMLResponse(page, status_code=404, headers=headers)
            page = render_changes(name, versions, pair, language, kind=kind)
        return HTMLResponse(page, headers=headers)

    return router


class UnknownVersionError(LookupError):
    """What was asked for as a version of an app and is none."""


def _read_pair(
    assistant: Assistant, app: str, versions: Sequence[Version], old: str | None, new: str | None
) -> Pair | None:
    """Read the two versions to compare; ``None`` where there is but one and no other was asked for.

    Without ``new`` it is the last one, without ``old`` the one before ``new``.

    :raises UnknownVersionError: if one that was asked for is not there.
    """
    newer = _read_version(assistant, app, new or versions[-1].policy_id)
    if not old:
        place = [one.policy_id for one in versions].index(newer[0].policy_id)
        if place == 0:
            return None
        old = versions[place - 1].policy_id
    return _read_version(assistant, app, old), newer


def _read_version(assistant: Assistant, app: str, version: str) -> tuple[Policy, Sequence[Clause]]:
    try:
        policy = assistant.policy(app, version)
        return policy, assistant.clauses(app, policy.policy_id)
    except (ValueError, IndexMismatchError) as exc:  # no such version, or its text was damaged or pruned since
        raise UnknownVersionError(version) from exc


# -- The page ---------------------------------------------------------------------------------------------------------


def render_changes(
    app: str,
    versions: Sequence[Version],
    pair: Pair | None,
    language: Language,
    *,
    kind: str | None = None,
    unknown: str | None = None,
) -> str:
    """Return the page as an HTML document.

    :param versions: all versions of the app, oldest first.
    :param pair: the old and the new version with their clauses; ``None`` where there are no two to compare.
    :param kind: a kind of change, or ``headings``, to show alone.
    :param unknown: what was asked for as a version and is none.
    """
    title = message("changes.title", language, app=app)
    shown: tuple[str, ...] = ()
    if pair is None:
        if unknown is None:
            top = f'<p class="note">{escape(message("changes.only_version", language))}</p>'
        else:
            text = message("changes.no_version", language, version=unknown[:MAX_WANTED_CHARACTERS])
            top = f'<p class="gone" role="alert">{escape(text)}</p>'
        body = ""
    else:
        (old, _), (new, _) = pair
        shown = (old.policy_id, new.policy_id)
        named = {one.policy_id: name_version(one, language) for one in versions}
        from_to = message("changes.from_to", language, old=named[old.policy_id], new=named[new.policy_id])
        permanent = escape(ROOT + changes_url(app, *shown))
        top = (
            f'<p class="from-to">{escape(from_to)}</p><p>{escape(message("changes.how", language))}</p>'
            f'<p><a href="{permanent}">{escape(message("changes.permanent", language))}</a></p>'
        )
        body = _differences(app, pair, language, kind)
    listed = list_versions(app, versions, language, root=ROOT, shown=shown)
    section = f'<section class="versions"><h2>{escape(message("changes.versions", language))}</h2>{listed}</section>'
    return document(title, top, f'<main class="changes">{body}{section}</main>', language, styles=("changes.css",))


def _differences(
    app: str,
    pair: Pair,
    language: Language,
    kind: str | None,
) -> str:
    (old, _), (new, _) = pair
    if old.policy_id == new.policy_id:
        return f'<p class="note">{escape(message("changes.same_version", language))}</p>'
    changes, headings = diff_outlines(*pair), diff_headings(*pair)
    counts = {**count_changes(changes), HEADINGS: len(headings)}
    if not any(counts.values()):
        return f'<p class="note">{escape(message("changes.none", language))}</p>'
    kind = kind if kind in counts else None
    items = [_heading(one, language) for one in headings if kind in (None, HEADINGS)]
    items += [_change(app, one, language) for one in changes if kind in (None, one.kind)]
    title = escape(message("changes.list", language))
    listed = f'<ol class="list" aria-label="{title}">{"".join(items)}</ol>' if items else ""
    none = "" if items else f'<p class="note">{escape(message("changes.none_of_kind", language))}</p>'
    return _filter(app, (old.policy_id, new.policy_id), counts, kind, language) + listed + none


def _filter(app: str, shown: tuple[str, str], counts: dict[str, int], chosen: str | None, language: Language) -> str:
    """Return the counts of every kind, each a link that shows this kind alone."""
    entries = []
    for kind, count in (("all", sum(counts.values())), *counts.items()):
        text = escape(message("changes.count", language, kind=message(f"changes.{kind}", language), count=count))
        is_chosen = kind == (chosen or "all")
        address = escape(ROOT + changes_url(app, *shown, kind=None if kind == "all" else kind))
        current = ' aria-current="page"' if is_chosen else ""
        entries.append(
            f'<li><a href="{address}"{current}>{text}</a></li>' if count else f"<li><span>{text}</span></li>"
        )
    label = escape(message("changes.filter", language))
    return f'<nav class="kinds" aria-label="{label}"><ul>{"".join(entries)}</ul></nav>'


def _heading(change: HeadingChange, language: Language) -> str:
    name = "heading_added" if change.old is None else "heading_removed" if change.new is None else "heading_reworded"
    whole_old = _marked(change.old, ((0, len(change.old)),), "del", language) if change.old else ""
    whole_new = _marked(change.new, ((0, len(change.new)),), "ins", language) if change.new else ""
    body = "".join(f'<p class="heading" lang="zh">{part}</p>' for part in (whole_old, whole_new) if part)
    return f'<li class="change {name}"><h2>{escape(message(f"changes.{name}", language))}</h2>{body}</li>'


def _change(app: str, change: Change, language: Language) -> str:
    old_side: list[Clause] = [change.old] if change.old else []
    new_side: list[Clause] = [change.new] if change.new else []
    (old_side if change.kind == "merged" else new_side).extend(change.rest)
    # Words that are the same in both versions are shown once: the other place is named, with the way to it.
    once = {"moved": "new", "split": "new", "merged": "old"}.get(change.kind)
    old_marks = ((0, len(change.old.text)),) if change.old and change.kind == "removed" else change.old_marks
    new_marks = ((0, len(change.new.text)),) if change.new and change.kind == "added" else change.new_marks
    old = _side(app, old_side, "old", old_marks, language, has_text=once != "new")
    new = _side(app, new_side, "new", new_marks, language, has_text=once != "old")
    kind = escape(message(f"changes.{change.kind}", language))
    layout = "one" if once or not (old and new) else "two"
    return f'<li class="change {change.kind}"><h2>{kind}</h2><div class="sides {layout}">{old}{new}</div></li>'


def _side(
    app: str, clauses: Sequence[Clause], side: str, marks: Sequence[Span], language: Language, *, has_text: bool
) -> str:
    """Return one version's part of a change: where each clause stands, its text, and the way to it."""
    tag = "del" if side == "old" else "ins"
    parts = []
    for clause in clauses:
        text = _marked(clause.text, marks, tag, language) if clause is clauses[0] else escape(clause.text)
        quote = f'<blockquote lang="zh">{text}</blockquote>' if has_text else ""
        link = escape(message(f"changes.read_{side}", language))
        address = escape(ROOT + reader_url(app, clause.clause_id))
        place = f'<span lang="zh">{escape(clause_place(clause))}</span>'
        parts.append(
            f'<div class="place"><p><b>{escape(message(f"changes.{side}", language))}</b> {place}</p>'
            f'{quote}<p><a href="{address}">{link}</a></p></div>'
        )
    return f'<div class="side">{"".join(parts)}</div>' if parts else ""


def _marked(text: str, marks: Sequence[Span], tag: str, language: Language) -> str:
    """Return ``text`` escaped, each marked span inside ``tag`` after a word for those who cannot see it.

    What stands far from every mark is left out, and how much; without a mark nothing is.
    """
    said = escape(message("changes.went" if tag == "del" else "changes.came", language))
    spoken = f'<span class="spoken" lang="{HTML_LANG[language]}">{said}</span>'
    parts = []
    position = 0
    for start, end in marks:
        parts.append(_cut(text[position:start], language, before=CONTEXT if position else 0, after=CONTEXT))
        parts.append(f"<{tag}>{spoken}{escape(text[start:end])}</{tag}>")
        position = end
    rest = text[position:]
    return "".join(parts) + (_cut(rest, language, before=CONTEXT, after=0) if marks else escape(rest))


def _cut(text: str, language: Language, *, before: int, after: int) -> str:
    """Return ``text`` escaped, with its first and last characters only where that leaves out much."""
    before, after = before or OPENING, after or OPENING
    count = len(text) - before - after
    if count < 2 * CONTEXT:
        return escape(text)
    left_out = escape(message("changes.cut", language, count=count))
    told = f'<span class="cut" lang="{HTML_LANG[language]}">{left_out}</span>'
    return f"{escape(text[:before])}{told}{escape(text[-after:])}"
