"""One policy in full on a page of its own: contents, the cited clause in its place, the quote marked. No script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from corpus.datatypes import Clause, Policy
from corpus.messages import message
from corpus.topics import TOPICS, Topic
from retrieval.datatypes import Language
from web.files import style_link
from web.language import HTML_LANG
from web.render import mark_span, profile_url
from web.versions import changes_url, find_current, list_versions, version_url

if TYPE_CHECKING:
    from index.manifest import Version

ROOT = "../"  # the reader lives one level below the site's root
BY_TOPIC = "topics"  # the value of ``contents`` in the address
OPENING = 28  # characters of a clause that stand for it in the contents by topic: two lines of that column
MAX_WANTED_CHARACTERS = 80  # of a version that there is none of, when it is shown

Topics = Mapping[str, Sequence[Topic]]
"""Clause id -> the topics that the clause is on."""


def render_policy(
    policy: Policy,
    clauses: Sequence[Clause],
    *,
    language: Language,
    clause_id: str | None = None,
    span: tuple[int, int] | None = None,
    versions: Sequence[Version] = (),
    unknown_version: str | None = None,
    topics: Topics | None = None,
    by_topic: bool = False,
) -> str:
    """Return the whole policy as an HTML document.

    :param clauses: the policy's clauses in text order.
    :param clause_id: the clause to mark; one that this version lacks is said to be gone.
    :param span: offsets of the quote in ``policy.text``; what lies outside the clauses is not marked.
    :param versions: all versions of the app, oldest first; one that is not the current one says so.
    :param unknown_version: what was asked for as a version and is none, this one being shown in its place.
    :param topics: what the clauses are on, where that is known: the contents can be shown by it.
    :param by_topic: whether the contents are.
    """
    cited = next((clause for clause in clauses if clause.clause_id == clause_id), None)
    title = message("reader.title", language, app=policy.app)
    top = _imprint(policy, language) + _versions(policy, versions, language)
    top += _age(policy, versions, language) + _notice(clause_id, cited, language)
    if unknown_version is not None:
        top += _alert(message("reader.no_version", language, version=unknown_version[:MAX_WANTED_CHARACTERS]))
    text = f'<main lang="zh">{_body(policy, clauses, cited, span, language)}</main>'
    if topics is None:
        contents = _contents(_by_heading(clauses), language)
    else:
        query = {"version": policy.policy_id} | ({"clause": clause_id} if cited and clause_id else {})
        query |= {"start": str(span[0]), "end": str(span[1])} if span else {}
        entries = _by_topic(clauses, topics, language) if by_topic else _by_heading(clauses)
        contents = _contents(entries, language, _switch(query, language, by_topic=by_topic))
    return document(title, top, f'<div class="columns">{contents}{text}</div>', language)


def render_missing(app: str, language: Language) -> str:
    """Return the page for an app that is not in the corpus."""
    return document(message("reader.not_found", language, app=app), "", "", language)


def document(title: str, top: str, content: str, language: Language, *, styles: Sequence[str] = ()) -> str:
    """Return a page of ours, one level below the site's root: title, what stands under it, content.

    :param styles: names of further style files.
    """
    back = escape(message("reader.back", language))
    further = "".join(style_link(ROOT, name) for name in styles)
    return (
        f'<!doctype html><html lang="{HTML_LANG[language]}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"{style_link(ROOT, 'theme.css')}{style_link(ROOT, 'reader.css')}{further}</head>"
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
    profile = escape(message("reader.to_profile", language))
    link = f'<p><a href="{escape(ROOT + profile_url(policy.app))}">{profile}</a></p>'
    return "".join(f"<p>{escape(line)}</p>" for line in lines) + link


def _notice(clause_id: str | None, cited: Clause | None, language: Language) -> str:
    if cited:
        jump = escape(message("reader.to_clause", language, label=cited.label))
        return f'<p class="jump"><a href="#{escape(cited.clause_id)}">↓ {jump}</a></p>'
    return _alert(message("reader.gone", language)) if clause_id else ""


def _alert(text: str) -> str:
    return f'<p class="gone" role="alert">{escape(text)}</p>'


def _versions(policy: Policy, versions: Sequence[Version], language: Language) -> str:
    if len(versions) < 2:
        return ""
    summary = escape(message("reader.versions", language, count=len(versions)))
    listed = list_versions(policy.app, versions, language, root=ROOT, shown=(policy.policy_id,))
    return f'<details class="versions"><summary>{summary}</summary>{listed}</details>'


def _age(policy: Policy, versions: Sequence[Version], language: Language) -> str:
    """Say that the version is an old one, with the ways to the current one."""
    if not versions or policy.policy_id == find_current(versions).policy_id:
        return ""
    current = find_current(versions).policy_id
    ways = (
        (version_url(policy.app, current), "reader.to_current"),
        (changes_url(policy.app, policy.policy_id, current), "reader.to_changes"),
    )
    links = "".join(f' <a href="{escape(ROOT + url)}">{escape(message(key, language))}</a>' for url, key in ways)
    return f'<p class="old" role="note"><b>{escape(message("reader.old_version", language))}</b>{links}</p>'


def _contents(entries: str, language: Language, switch: str = "") -> str:
    if not entries:
        return ""
    title = escape(message("reader.contents", language))
    listed = f'{switch}<ol lang="zh">{entries}</ol>'
    return f'<nav aria-label="{title}"><details open><summary>{title}</summary>{listed}</details></nav>'


def _switch(query: Mapping[str, str], language: Language, *, by_topic: bool) -> str:
    """Return the two links that order the contents, the address's other parts kept."""
    links = []
    for key, is_chosen in (("by_heading", not by_topic), ("by_topic", by_topic)):
        order = {"contents": BY_TOPIC} if key == "by_topic" else {}
        current = ' aria-current="page"' if is_chosen else ""
        text = escape(message(f"reader.{key}", language))
        links.append(f'<a href="?{escape(urlencode({**query, **order}))}"{current}>{text}</a>')
    return f'<p class="switch">{"".join(links)}</p>'


def _by_heading(clauses: Sequence[Clause]) -> str:
    entries = []
    above: tuple[str, ...] = ()
    for clause in clauses:
        for depth in range(1, len(clause.address) + 1):
            if clause.address[:depth] != above[:depth]:
                entries.append(_entry(clause, clause.address[depth - 1], depth))
        above = clause.address
    return "".join(entries)


def _by_topic(clauses: Sequence[Clause], topics: Topics, language: Language) -> str:
    """Return the topics in their order, under each the clauses that are on it, last those that are on none."""
    groups: list[tuple[str, list[Clause]]] = [
        (message(f"topics.{topic}", language), [one for one in clauses if topic in topics.get(one.clause_id, ())])
        for topic in TOPICS
    ]
    entries = [
        _topic(message("reader.topic_count", language, topic=name, count=len(on)), on, language) for name, on in groups
    ]
    rest = [one for one in clauses if not topics.get(one.clause_id)]
    return "".join(entries) + _topic(message("reader.no_topic", language, count=len(rest)), rest, language)


def _topic(title: str, clauses: Sequence[Clause], language: Language) -> str:
    if not clauses:
        return ""
    listed = "".join(_entry(clause, _opening(clause), 2) for clause in clauses)
    summary = f'<summary lang="{HTML_LANG[language]}">{escape(title)}</summary>'
    return f"<li><details>{summary}<ol>{listed}</ol></details></li>"


def _opening(clause: Clause) -> str:
    text = " ".join(clause.text.split())
    return f"{text[:OPENING]}…" if len(text) > OPENING else text


def _entry(clause: Clause, text: str, depth: int) -> str:
    return f'<li class="depth-{min(depth, 4)}"><a href="#{escape(clause.clause_id)}">{escape(text)}</a></li>'


def _body(
    policy: Policy, clauses: Sequence[Clause], cited: Clause | None, span: tuple[int, int] | None, language: Language
) -> str:
    parts = []
    position = 0
    for clause in clauses:
        parts.append(_between(policy.text[position : clause.start], clause.address))
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
