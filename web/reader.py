"""One policy in full on a page of its own: contents, the cited clause in its place, the quote marked. No script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from corpus.datatypes import Clause, Policy
from corpus.messages import message
from retrieval.datatypes import Language
from web.files import style_link
from web.language import HTML_LANG
from web.render import mark_span

ROOT = "../"  # the reader lives one level below the site's root


def render_policy(
    policy: Policy,
    clauses: Sequence[Clause],
    *,
    language: Language,
    clause_id: str | None = None,
    span: tuple[int, int] | None = None,
) -> str:
    """Return the whole policy as an HTML document.

    :param clauses: the policy's clauses in text order.
    :param clause_id: the clause to mark; one that this version lacks is said to be gone.
    :param span: offsets of the quote in ``policy.text``; what lies outside the clauses is not marked.
    """
    cited = next((clause for clause in clauses if clause.clause_id == clause_id), None)
    title = message("reader.title", language, app=policy.app)
    top = _imprint(policy, language) + _notice(clause_id, cited, language)
    text = f'<main lang="zh">{_body(policy, clauses, cited, span, language)}</main>'
    return document(title, top, f'<div class="columns">{_contents(clauses, language)}{text}</div>', language)


def render_missing(app: str, language: Language) -> str:
    """Return the page for an app that is not in the corpus."""
    return document(message("reader.not_found", language, app=app), "", "", language)


def document(title: str, top: str, content: str, language: Language) -> str:
    """Return a page of ours, one level below the site's root: title, what stands under it, content."""
    back = escape(message("reader.back", language))
    return (
        f'<!doctype html><html lang="{HTML_LANG[language]}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"{style_link(ROOT, 'theme.css')}{style_link(ROOT, 'reader.css')}</head>"
        f'<body><header class="top"><a href="{ROOT}">← {back}</a><h1>{escape(title)}</h1>{top}</header>'
        f"{content}</body></html>"
    )


def _imprint(policy: Policy, language: Language) -> str:
    lines = [
        message("chat.dated", language, date=policy.date) if policy.date else message("chat.undated", language),
        message("answer.official", language),
    ]
    if policy.operator:
        lines.append(message("reader.operator", language, operator=policy.operator))
    lines.append(message("reader.fingerprint", language, sha256=policy.sha256))
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _notice(clause_id: str | None, cited: Clause | None, language: Language) -> str:
    if cited:
        jump = escape(message("reader.to_clause", language, label=cited.label))
        return f'<p class="jump"><a href="#{escape(cited.clause_id)}">↓ {jump}</a></p>'
    return f'<p class="gone" role="alert">{escape(message("reader.gone", language))}</p>' if clause_id else ""


def _contents(clauses: Sequence[Clause], language: Language) -> str:
    entries = []
    above: tuple[str, ...] = ()
    for clause in clauses:
        for depth in range(1, len(clause.path) + 1):
            if clause.path[:depth] != above[:depth]:
                heading = escape(clause.path[depth - 1])
                entries.append(
                    f'<li class="depth-{min(depth, 4)}"><a href="#{escape(clause.clause_id)}">{heading}</a></li>'
                )
        above = clause.path
    if not entries:
        return ""
    title = escape(message("reader.contents", language))
    listed = f'<ol lang="zh">{"".join(entries)}</ol>'
    return f'<nav aria-label="{title}"><details open><summary>{title}</summary>{listed}</details></nav>'


def _body(
    policy: Policy, clauses: Sequence[Clause], cited: Clause | None, span: tuple[int, int] | None, language: Language
) -> str:
    parts = []
    position = 0
    for clause in clauses:
        parts.append(_between(policy.text[position : clause.start], clause.path))
        parts.append(_clause(clause, span, language, is_cited=clause is cited))
        position = clause.end
    parts.append(_between(policy.text[position:], ()))
    return "".join(parts)


def _clause(clause: Clause, span: tuple[int, int] | None, language: Language, *, is_cited: bool) -> str:
    # A quote may run over several clauses: a list asked for as a whole. Each marks its own share.
    start, end = (max(span[0], clause.start), min(span[1], clause.end)) if span else (0, 0)
    text = mark_span(clause.text, start - clause.start, end - clause.start)
    badge = (
        f'<small lang="{HTML_LANG[language]}">{escape(message("reader.cited", language))}</small>' if is_cited else ""
    )
    chosen = ' aria-current="true"' if is_cited else ""
    return f'<p id="{escape(clause.clause_id)}" class="clause {clause.kind}"{chosen}>{badge}{text}</p>'


def _between(text: str, path: tuple[str, ...]) -> str:
    """Show what stands between two clauses: headings of the clause below, contents lists, separators, footers."""
    lines = []
    for line in filter(None, (line.strip() for line in text.split("\n"))):
        depth = next((depth for depth, heading in enumerate(path, start=1) if heading in line), None)
        # The page's own title is the h1.
        lines.append(
            f"<h{min(depth + 1, 6)}>{escape(line)}</h{min(depth + 1, 6)}>"
            if depth
            else f'<p class="aside">{escape(line)}</p>'
        )
    return "".join(lines)
