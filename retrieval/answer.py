"""Ranked clauses -> what the user reads: the quote, the facts, the citation and the few lines of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from corpus.messages import message
from corpus.renderings import render_span
from corpus.sentences import split_sentences
from index.segment import Segment
from retrieval.datatypes import Citation, Fact, FactKind, Language, Passage
from retrieval.facts import find_facts, select_facts
from retrieval.gloss import Glosser
from retrieval.query import Asked
from retrieval.question import asks_for_list, asks_yes_no, denies_all, stance
from retrieval.search import Ranking, first_kinds

TEXT_LENGTH = 160  # characters of a quote repeated in the answer's text: a few lines on a phone
ENGLISH_TEXT_LENGTH = 400  # the same of its English, which takes two and a half times the characters
# Characters of a list that is quoted from lead-in to last item; of a longer one the best clause is quoted alone.
LONGEST_LIST = 600
LONGEST_LIST_ASKED_FOR = 2000
# Both in standard deviations of the policy's unit scores; chosen by quote F1 on dev (docs/benchmarks.md).
FACT_BONUS = 1.0  # what holding a fact of the wanted kind is worth in a sentence
NEIGHBOUR_MARGIN = 0.6  # how far below the best a sentence beside it may score and still be quoted with it
_LIMITS = ("但", "除非", "不过", "然而", "法律法规另有规定", "除外")


def passage_of(ranking: Ranking, ordinal: int, rank: int) -> Passage:
    """Return clause ``ordinal`` of ``ranking`` as a passage of that rank."""
    segment = ranking.segment
    clause = segment.clauses[ordinal]
    return Passage(
        app=segment.policy.app,
        policy_id=clause.policy_id,
        clause_id=clause.clause_id,
        path=clause.address,
        label=clause.label,
        lead_in=segment.lead_in_text(clause),
        text=clause.text,
        start=clause.start,
        end=clause.end,
        score=_shown_score(ranking, ordinal),
        rank=rank,
    )


def choose_quote(ranking: Ranking, ordinal: int, asked: Asked) -> tuple[int, int]:
    """Return the span in the policy of what answers in clause ``ordinal``.

    That is the sentence with the best score, its vector's cosine and a bonus for a fact of the kind that is asked for,
    and a sentence beside it that scores nearly as well, or denies of all data what is asked.
    """
    segment = ranking.segment
    first, last = segment.unit_range(ordinal)
    if last - first == 1:
        return segment.units[first].start, segment.units[first].end
    sentences = segment.units[first + 1 : last]
    texts = [segment.policy.text[unit.start : unit.end] for unit in sentences]
    scores = ranking.unit_scores[first + 1 : last].astype(np.float64)
    if wanted := first_kinds(asked.wanted):
        for position, text in enumerate(texts):
            holds = any(fact.kind in wanted for fact in find_facts(text))
            scores[position] += FACT_BONUS * ranking.unit_spread * holds
    best = int(np.argmax(np.round(scores, 4)))
    least = scores[best] - NEIGHBOUR_MARGIN * ranking.unit_spread
    is_open = asks_yes_no(asked.question, language=asked.language) and stance(texts[best], asked.question) is None
    beside = [place for place in (best - 1, best + 1) if 0 <= place < len(texts)]
    quoted = [
        best,
        *(one for one in beside if scores[one] > least or (is_open and denies_all(texts[one], asked.question))),
    ]
    return sentences[min(quoted)].start, sentences[max(quoted)].end


def list_span(segment: Segment, ordinal: int) -> tuple[int, int, int] | None:
    """Return the lead-in's ordinal and the span from it to its last item, for a lead-in or a clause that hangs on one.

    ``None`` where the clause belongs to no list.
    """
    clause = segment.clauses[ordinal]
    head = ordinal if clause.kind == "lead_in" or clause.lead_in is None else segment.ordinals[clause.lead_in]
    head_id = segment.clauses[head].clause_id
    members = _members(segment, head_id)
    if not members:
        return None
    end = max(segment.clauses[member].end for member in members)
    return head, segment.clauses[head].start, end


def _members(segment: Segment, head_id: str) -> list[int]:
    """Return the ordinals of a list's items and of the items of lists inside it."""
    members: list[int] = []
    for ordinal, clause in enumerate(segment.clauses):
        if clause.lead_in == head_id:
            members.append(ordinal)
            if clause.kind == "lead_in":
                members.extend(_members(segment, clause.clause_id))
    return members


def cite(ranking: Ranking, ordinal: int, asked: Asked) -> Citation:
    """Return the citation of clause ``ordinal``: its sentence, or its whole list where the list is what answers."""
    segment = ranking.segment
    clause = segment.clauses[ordinal]
    asked_for = asks_for_list(asked.question)
    whole = list_span(segment, ordinal) if clause.kind == "lead_in" or asked_for else None
    longest = LONGEST_LIST_ASKED_FOR if asked_for else LONGEST_LIST
    if whole is not None and whole[2] - whole[1] <= longest:
        head, start, end = whole
        clause = segment.clauses[head]
    else:
        start, end = choose_quote(ranking, ordinal, asked)
    lead_in, score = segment.lead_in_text(clause), _shown_score(ranking, ordinal)
    return Citation.of(segment.policy, clause, start, end, lead_in=lead_in, score=score)


def distinct(citations: Sequence[Citation]) -> tuple[Citation, ...]:
    """Return ``citations`` without those whose quote lies inside an earlier one's."""
    kept: list[Citation] = []
    for citation in citations:
        if not any(one.start <= citation.start and citation.end <= one.end for one in kept):
            kept.append(citation)
    return tuple(kept)


def facts_of(citation: Citation, wanted: Sequence[FactKind]) -> tuple[Fact, ...]:
    """Return the facts of a citation's quote that the question asks for."""
    found = select_facts(find_facts(citation.quote, offset=citation.start), wanted)
    text, begin = citation.text, citation.text_start
    return tuple(
        Fact(fact.kind, text[fact.start - begin : fact.end - begin], fact.start, fact.end, citation.policy_id)
        for fact in found
    )


def limit_of(citation: Citation) -> tuple[int, int] | None:
    """Return where the sentence right after the quote stands, in the same clause, if it limits what the quote says."""
    rest = citation.text[citation.end - citation.text_start :]
    for start, end in split_sentences(rest)[:1]:
        if rest[start:end].startswith(_LIMITS):
            return citation.end + start, citation.end + end
    return None


def answer_line(segment: Segment, citation: Citation, facts: Sequence[Fact], asked: Asked, glosser: Glosser) -> str:
    """Return the lines that answer: the facts asked for, what the policy states, what limits it."""
    language = asked.language
    lines = [fact_line(fact, language, glosser) for fact in facts if fact.kind in asked.wanted][:2]
    said = stance(citation.quote, asked.question) if asks_yes_no(asked.question, language=language) else None
    intro = message(f"answer.{said or 'states'}", language)
    lines.append(intro + _say(segment, (citation.start, citation.end), language))
    if limit := limit_of(citation):
        lines.append(message("answer.exception", language) + _say(segment, limit, language))
    return "\n".join(lines)


def stated_line(segment: Segment, span: tuple[int, int], language: Language) -> str:
    """Return the line that the policy states what stands at ``span``."""
    return message("answer.states", language) + _say(segment, span, language)


def _say(segment: Segment, span: tuple[int, int], language: Language) -> str:
    """Return a span of the policy in quotation marks, for an English reader in English where that is written."""
    english = render_span(segment.clauses, *span) if language == "en" else None
    if english:
        return message("answer.unofficial", language, text=shorten(english, ENGLISH_TEXT_LENGTH))
    return message("answer.quoted", language, text=shorten(segment.policy.text[slice(*span)]))


def fact_line(fact: Fact, language: Language, glosser: Glosser) -> str:
    """Return one fact as a line; an English reader gets its gloss beside the verbatim text."""
    if language != "en":
        return message(f"answer.fact_{fact.kind}", language, fact=fact.text)
    gloss = glosser.gloss(fact)
    if fact.kind == "menu_path":
        return message("answer.fact_menu_path", language, fact=fact.text, gloss=gloss or fact.text)
    return message(f"answer.fact_{fact.kind}", language, fact=f"{gloss} ({fact.text})" if gloss else fact.text)


def shorten(text: str, length: int = TEXT_LENGTH) -> str:
    """Return ``text`` on one line, cut with an ellipsis after ``length`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _shown_score(ranking: Ranking, ordinal: int) -> float:
    """Return a clause's score as users see it, 0 to 1: a cosine and what words, facts and tokens add to it, cut off."""
    return round(min(max(float(ranking.score[ordinal]), 0.0), 1.0), 4)
