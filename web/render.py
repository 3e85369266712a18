"""Answers as HTML. The one place where question and policy text becomes markup, and so the one place that escapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from urllib.parse import quote as percent_encode
from urllib.parse import urlencode

from corpus.messages import message
from corpus.sentences import split_sentences
from corpus.topics import Topic
from retrieval.datatypes import Answer, Citation, Degraded, Fact, Language, Passage, Row
from web.language import HTML_LANG

English = Callable[[str, int, int, str], str | None]
"""App, start and end of a span, the version's policy_id -> its unofficial English: ``Assistant.rendering``."""

Gloss = Callable[[Fact], str | None]
"""A fact -> its English by the glossary: ``Glosser.gloss``."""
Topics = Callable[[str], Mapping[str, tuple[Topic, ...]]]
"""App -> the practice topics of its clauses by clause id: ``Assistant.topics``."""

LIMITS = re.compile(r"除外|另有(?:规定|约定|要求)|除非|例外|^(?:但|不过|然而)")
LONG_CLAUSE = 240  # characters beyond which a card's clause may have to be scrolled on a phone (13 lines of 20)

PATH_SEPARATOR = " › "
UNFOLDED_ROWS = 3  # as many clauses as an answer about one app shows; more would bury the line of each app


def reader_url(app: str, clause_id: str, span: tuple[int, int] | None = None) -> str:
    """Return the reader's address of a clause, relative to the site's root; ``span`` is the quote to mark."""
    query = {"clause": clause_id} | ({"start": span[0], "end": span[1]} if span else {})
    return f"read/{percent_encode(app, safe='')}?{urlencode(query)}#{percent_encode(clause_id)}"


def profile_url(app: str) -> str:
    """Return the address of an app's profile, relative to the site's root."""
    return f"profile/{percent_encode(app, safe='')}"


def cited_url(citations: Iterable[Citation]) -> str:
    """Return the address of the page of all these clauses, relative to the site's root."""
    return "cited/" + ",".join(f"{one.clause_id}:{one.start}-{one.end}" for one in citations)


def mark_span(text: str, start: int, end: int) -> str:
    """Return ``text`` escaped, with ``text[start:end]`` inside ``<mark>``; a span outside the text marks nothing."""
    if not 0 <= start < end <= len(text):
        return escape(text)
    return f'{escape(text[:start])}<mark lang="zh">{escape(text[start:end])}</mark>{escape(text[end:])}'


def find_limits(citation: Citation) -> list[str]:
    """Return the sentences of the clause beside the quote that limit it: …除外, 另有规定, 但…"""
    text, offset = citation.text, citation.text_start
    return [
        text[start:end]
        for start, end in split_sentences(text)
        if (end <= citation.start - offset or start >= citation.end - offset) and LIMITS.search(text[start:end])
    ]


def render_turn(
    question: str,
    answer: Answer,
    *,
    english: English,
    offered_apps: Sequence[str] = (),
    near_apps: Sequence[str] = (),
    named_app: str | None = None,
    suggestions: Sequence[str] = (),
    gloss: Gloss | None = None,
    topics: Topics | None = None,
    controls: bool = False,
) -> str:
    """Return one turn of the conversation: the question and its answer.

    :param english: where the unofficial English under a quote comes from, for an answer in English.
    :param offered_apps: apps to choose from where the answer leaves the app open.
    :param near_apps: covered apps whose names resemble an unknown one.
    :param named_app: an app that the question names while another one was picked.
    :param suggestions: questions that the policy of the answer's app answers.
    :param gloss: where the English of a fact comes from, for an answer in English.
    :param topics: where the topics of a cited clause come from.
    :param controls: whether the page's script handles the buttons that change the app, copy a citation or save the
        answer as a file.
    """
    language = answer.language
    near = "".join(_ask_button(question, app, app) for app in near_apps)
    offered = "".join(_ask_button(question, app, app) for app in offered_apps)
    switch = named_app and _ask_button(question, named_app, message("chat.switch", language, app=named_app))
    cited = [*answer.citations, *(row.citation for row in answer.rows if row.citation)]
    cards = (render_citation(one, language, english, topics=topics, controls=controls) for one in answer.citations)
    chip = _app_chip(question, answer) if controls else _app_name(answer)
    parts = [
        f'<p class="wt-status">{escape(message(f"chat.status_{answer.status}", language))}{chip}</p>',
        f'<p class="wt-text">{escape(answer.text)}</p>',
        _degraded(answer.degraded, language),
        _facts(answer.facts, language, gloss),
        _section("wt-cards", "", cards),
        _section("wt-rows", "", (_row(row, question, answer, english, gloss, topics, controls) for row in answer.rows)),
        _section(
            "wt-related",
            message("chat.related", language),
            (_passage(passage, language, english) for passage in answer.related),
        ),
        _contact(answer),
        _group(message("chat.near_apps", language), near),
        _group(message("chat.choose_app", language), offered),
        f'<p class="wt-choices">{switch}</p>' if switch else "",
        f'<p class="wt-note">{escape(message("chat.disclaimer", language))}</p>' if cited else "",
        _answer_tools(cited, language) if controls and (cited or answer.related or answer.rows) else "",
        _group(message("chat.suggestions", language), ask_buttons(suggestions, answer.app or "")),
    ]
    return (
        f'<article class="wt-turn" lang="{HTML_LANG[language]}">{render_question(question, language)}'
        f'<div class="wt-answer wt-{answer.status}">{"".join(parts)}</div></article>'
    )


def render_question(question: str, language: Language) -> str:
    """Return the user's own words as a bubble."""
    said = escape(message("chat.you", language))
    # A heading, so that a screen reader goes from question to question.
    attributes = 'class="wt-question" role="heading" aria-level="2"'
    return f'<p {attributes}><span class="wt-hidden">{said}: </span>{escape(question)}</p>'


def ask_buttons(questions: Iterable[str], app: str) -> str:
    """Return a button for each question, asked of ``app``."""
    return "".join(_ask_button(question, app, question) for question in questions)


def render_citation(
    citation: Citation,
    language: Language,
    english: English,
    *,
    topics: Topics | None = None,
    root: str = "",
    controls: bool = False,
) -> str:
    """Return a citation as a card: where it stands, what it hangs on, the clause with its quote marked, its English.

    :param root: the way from the page to the site's root.
    :param controls: as for :func:`render_turn`.
    """
    offset = citation.text_start
    body = mark_span(citation.text, citation.start - offset, citation.end - offset)
    url = root + reader_url(citation.app, citation.clause_id, (citation.start, citation.end))
    # A long clause scrolls: what limits the quote must not be out of sight.
    limits = find_limits(citation) if len(citation.text) > LONG_CLAUSE else []
    # A list cited as a whole begins with its lead-in already.
    lead_in = citation.lead_in if citation.lead_in and not citation.text.startswith(citation.lead_in) else None
    return (
        f'<article class="wt-card">{_address(citation.app, citation.path, citation.label)}'
        f"{_lead_in(lead_in, language)}"
        f'<blockquote class="wt-clause" lang="zh">{body}</blockquote>{_limits(limits, language)}'
        f"{_rendering(citation, language, english)}"
        f"<footer>{_topics(citation, language, topics)}<span>{escape(_version(citation.date, language))}</span>"
        f"<span>{escape(message('answer.official', language))}</span>"
        f"{_read_link(url, language)}{_copy_buttons(citation, url, language) if controls else ''}</footer></article>"
    )


def cite_as_text(citation: Citation, language: Language) -> str:
    """Return a citation to paste as plain text; its link follows."""
    return f"“{citation.quote}”\n{_source(citation, language)}\n"


def cite_as_markdown(citation: Citation, language: Language) -> str:
    """Return a citation to paste as Markdown, its text escaped; its link follows."""
    quote = "\n>\n> ".join(_escape_markdown(line) for line in citation.quote.split("\n") if line.strip())
    return f"> {quote}\n\n— {_escape_markdown(_source(citation, language))}\n"


def _source(citation: Citation, language: Language) -> str:
    address = (citation.app, citation.label, PATH_SEPARATOR.join(citation.path))
    notes = (_version(citation.date, language), message("answer.official", language))
    return " · ".join(part for part in (*address, *notes) if part)


def _escape_markdown(text: str) -> str:
    escaped = re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", text.strip())
    return re.sub(r"^(\d+)([.)])(?=\s)|^([-+#=]+)", lambda at: f"{at[1] or ''}\\{at[2] or at[3]}", escaped)


def _copy_buttons(citation: Citation, url: str, language: Language) -> str:
    forms = (("copy_text", cite_as_text), ("copy_markdown", cite_as_markdown))
    buttons = "".join(
        f'<button type="button" class="wt-tool" data-copy="{escape(cite(citation, language))}" '
        f'data-link="{escape(url)}">{escape(message(f"chat.{name}", language))}</button>'
        for name, cite in forms
    )
    return f'<span class="wt-copies">{buttons}</span>'


def _answer_tools(cited: Sequence[Citation], language: Language) -> str:
    link = escape(message("chat.all_cited", language))
    together = f'<a href="{escape(cited_url(cited))}" target="_blank" rel="noopener">{link}</a>' if cited else ""
    save = escape(message("chat.evidence", language))
    return f'<p class="wt-tools"><button type="button" class="wt-tool" data-evidence>{save}</button>{together}</p>'


def _limits(sentences: Sequence[str], language: Language) -> str:
    tag = escape(message("chat.limit", language))
    return "".join(
        f'<p class="wt-limit"><span class="wt-tag">{tag}</span> <span lang="zh">{escape(sentence)}</span></p>'
        for sentence in sentences
    )


def _rendering(said: Citation | Passage, language: Language, english: English) -> str:
    text = english(said.app, said.start, said.end, said.policy_id) if language == "en" else None
    if not text:
        return ""
    tag = escape(message("answer.rendering", language))
    return f'<p class="wt-english" lang="en"><span class="wt-tag">{tag}</span> {escape(text)}</p>'


def _version(date: str | None, language: Language) -> str:
    return message("chat.dated", language, date=date) if date else message("chat.undated", language)


def _address(app: str, path: Sequence[str], label: str) -> str:
    headings = PATH_SEPARATOR.join(path)
    place = f"<span>{escape(headings)}</span>" if headings else ""
    printed = f"<code>{escape(label)}</code>" if label else ""
    return f'<header lang="zh"><b>{escape(app)}</b>{printed}{place}</header>'


def _lead_in(text: str | None, language: Language) -> str:
    if not text:
        return ""
    hangs_on = escape(message("chat.lead_in", language))
    return f'<p class="wt-lead-in"><span class="wt-tag">{hangs_on}</span> <span lang="zh">{escape(text)}</span></p>'


def _read_link(url: str, language: Language) -> str:
    return (
        f'<a href="{escape(url)}" target="_blank" rel="noopener">{escape(message("chat.read_in_place", language))}</a>'
    )


def _passage(passage: Passage, language: Language, english: English) -> str:
    return (
        f'<article class="wt-card">{_address(passage.app, passage.path, passage.label)}'
        f"{_lead_in(passage.lead_in, language)}"
        f'<blockquote class="wt-clause" lang="zh">{escape(passage.text)}</blockquote>'
        f"{_rendering(passage, language, english)}"
        f"<footer>{_read_link(reader_url(passage.app, passage.clause_id), language)}</footer></article>"
    )


def _topics(citation: Citation, language: Language, topics: Topics | None) -> str:
    """Return what the cited clause is about; nothing for an old version, or a model that knows no topics."""
    found = topics(citation.app).get(citation.clause_id, ()) if topics else ()
    names = message("chat.and", language).join(message(f"topics.{topic}", language) for topic in found)
    return f"<span>{escape(message('chat.topics', language, topics=names))}</span>" if found else ""


def _row(
    row: Row,
    question: str,
    answer: Answer,
    english: English,
    gloss: Gloss | None,
    topics: Topics | None,
    controls: bool,
) -> str:
    language = answer.language
    choose = ""
    if row.status != "unknown_app":
        button = _ask_button(question, row.app, message("chat.choose", language, app=row.app))
        choose = f'<p class="wt-choices">{button}</p>'
    clause = ""
    if row.citation:
        unfolded = " open" if len(answer.rows) <= UNFOLDED_ROWS else ""
        summary = escape(message("chat.show_clause", language))
        card = render_citation(row.citation, language, english, topics=topics, controls=controls)
        clause = f"<details{unfolded}><summary>{summary}</summary>{card}</details>"
    return (
        f'<section class="wt-row wt-{row.status}"><h3 lang="zh">{escape(row.app)}</h3>'
        f'<p class="wt-text">{escape(row.text)}</p>{_facts(row.facts, language, gloss)}{clause}'
        f"{choose}</section>"
    )


def _facts(facts: Iterable[Fact], language: Language, gloss: Gloss | None) -> str:
    copy = message("chat.copy", language)
    chips = "".join(
        f'<li><button type="button" class="wt-fact" data-copy="{escape(fact.text)}" title="{escape(copy)}">'
        f'<span class="wt-tag">{escape(message(f"chat.fact_{fact.kind}", language))}</span> '
        f'<span lang="zh">{escape(fact.text)}</span>{_glossed(fact, language, gloss)}</button></li>'
        for fact in facts
    )
    return f'<ul class="wt-facts">{chips}</ul>' if chips else ""


def _glossed(fact: Fact, language: Language, gloss: Gloss | None) -> str:
    english = gloss(fact) if gloss and language == "en" else None
    return f' <span class="wt-gloss" lang="en">— {escape(english)}</span>' if english else ""


def _degraded(parts: Iterable[Degraded], language: Language) -> str:
    """Return a line for each part that failed while the answer was found."""
    return "".join(f'<p class="wt-limit">{escape(message(f"degraded.{part}", language))}</p>' for part in parts)


def _app_name(answer: Answer) -> str:
    return f' <span class="wt-app" lang="zh">{escape(answer.app)}</span>' if answer.app else ""


def _app_chip(question: str, answer: Answer) -> str:
    """Return the app that was understood, with buttons that ask without it or of another one."""
    if not answer.app:
        return ""
    language = answer.language
    remove = escape(message("chat.app_remove", language, app=answer.app))
    return (
        f'<span class="wt-chip" role="group" aria-label="{escape(message("chat.app_understood", language))}">'
        f"{_app_name(answer)}"
        f'<button type="button" data-ask="{escape(question)}" data-app="" data-all-apps title="{remove}" '
        f'aria-label="{remove}">×</button>'
        f'<button type="button" data-change="{escape(question)}" aria-expanded="false">'
        f"{escape(message('chat.app_change', language))}</button></span>"
    )


def _contact(answer: Answer) -> str:
    if not answer.contact or answer.contact in answer.text:
        return ""
    label = escape(message("chat.contact", answer.language))
    return (
        f'<p class="wt-contact"><span class="wt-tag">{label}</span> <span lang="zh">{escape(answer.contact)}</span></p>'
    )


def _section(name: str, title: str, articles: Iterable[str]) -> str:
    body = "".join(articles)
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<section class="{name}">{heading}{body}</section>' if body else ""


def _group(title: str, buttons: str) -> str:
    return f'<p class="wt-choices"><span>{escape(title)}</span>{buttons}</p>' if buttons else ""


def _ask_button(question: str, app: str, label: str) -> str:
    return (
        f'<button type="button" class="wt-choice" data-ask="{escape(question)}" data-app="{escape(app)}">'
        f"{escape(label)}</button>"
    )
