"""The runs: every question and situation put to an assistant through its public interface, and what came of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from corpus.datatypes import Policy
from evaluation.metrics import character_f1
from evaluation.questions import Question, Situation, find_gold_spans, is_gold, right_within
from retrieval.datatypes import Answer, Passage, Turn

SEARCH_DEPTH = 10  # the deepest rank that is reported
STAGES_WARM_UP = 3  # questions asked before the clock counts: the first ones load the model and the index


class Assistant(Protocol):
    """The part of ``retrieval.Assistant`` that is scored."""

    def ask(
        self, question: str, app: str | None = None, history: Sequence[Turn | str] = (), top_k: int = 3
    ) -> Answer: ...

    def search(
        self, query: str, app: str | None = None, top_k: int = 10, rerank: bool = True
    ) -> tuple[Passage, ...]: ...

    def policy(self, app: str) -> Policy: ...


@dataclass(frozen=True)
class Outcome:
    """What one question brought, asked with its app given; ranks count from 1, ``None`` where nothing right came."""

    question: Question
    rank: int | None
    first_stage_rank: int | None
    right_within_budget: bool
    status: str
    confidence: float
    best_is_gold: bool
    gold_citation_rank: int | None
    quote: str | None
    quote_f1: float
    gold_quote: str
    clause_sentences: int
    fact_in_quotes: bool
    facts_right: tuple[bool, ...]
    wrong_app: bool

    @property
    def answered(self) -> bool:
        """Whether the reply was an answer and no decline."""
        return self.status == "answered"


@dataclass(frozen=True)
class Resolution:
    """What a question that names its app brought where only the name could tell the app."""

    question: Question
    status: str
    app: str | None
    wrong_citation: bool

    @property
    def resolved(self) -> bool:
        """Whether the reply is about the app that the question names."""
        return self.app == self.question.app


@dataclass(frozen=True)
class Verdict:
    """How one situation came out; ``citations_ok`` fails where a decline cites or an answer cites another app."""

    situation: Situation
    status: str
    apps: tuple[str, ...]
    status_ok: bool
    app_ok: bool
    text_ok: bool
    citations_ok: bool

    @property
    def right(self) -> bool:
        """Whether everything that the situation asks for came."""
        return self.status_ok and self.app_ok and self.text_ok and self.citations_ok


def score_question(assistant: Assistant, question: Question) -> Outcome:
    """Search and ask ``question`` in its own app and compare with its evidence."""
    text = assistant.policy(question.app).text
    gold = find_gold_spans(text, question.evidence)
    passages = assistant.search(question.question, app=question.app, top_k=SEARCH_DEPTH)
    first_stage = assistant.search(question.question, app=question.app, top_k=SEARCH_DEPTH, rerank=False)
    answer = assistant.ask(question.question, app=question.app)
    citations = answer.citations
    first = citations[0] if citations else None
    gold_quote = max(question.evidence, key=lambda e: character_f1(first.quote, e) if first else -len(e), default="")
    best = [(c.text_start, c.text_end) for c in citations[:1]] or [(p.start, p.end) for p in answer.related[:1]]
    quotes = [_squeeze(citation.quote) for citation in citations]
    return Outcome(
        question=question,
        rank=_first_rank(is_gold((p.start, p.end), gold) for p in passages),
        first_stage_rank=_first_rank(is_gold((p.start, p.end), gold) for p in first_stage),
        right_within_budget=right_within([(p.start, p.end) for p in passages], gold),
        status=answer.status,
        confidence=answer.confidence,
        best_is_gold=any(is_gold(span, gold) for span in best),
        gold_citation_rank=_first_rank(is_gold((c.text_start, c.text_end), gold) for c in citations),
        quote=first.quote if first else None,
        quote_f1=character_f1(first.quote, gold_quote) if first else 0.0,
        gold_quote=gold_quote,
        clause_sentences=count_sentences(first.text) if first else 0,
        fact_in_quotes=any(_squeeze(fact) in quote for fact in question.facts for quote in quotes),
        facts_right=tuple(_is_fact_right(f.text, (f.start, f.end), question, gold) for f in answer.facts),
        wrong_app=any(citation.app != question.app for citation in citations),
    )


def resolve_question(assistant: Assistant, question: Question) -> Resolution:
    """Ask ``question`` without saying which app it is about."""
    answer = assistant.ask(question.question)
    cited = [*answer.citations, *(row.citation for row in answer.rows if row.citation)]
    return Resolution(question, answer.status, answer.app, any(citation.app != question.app for citation in cited))


def judge_situation(assistant: Assistant, situation: Situation) -> Verdict:
    """Put ``situation`` to the assistant and compare the reply with what is expected of it.

    A ``compared`` reply must have a row for exactly the expected apps, where those are given. The expected text may
    stand in any fact or quote, white space aside.
    """
    answer = assistant.ask(situation.question, app=situation.app, history=situation.history)
    compared = situation.expected_status == "compared"
    apps = tuple(row.app for row in answer.rows) if compared else tuple(filter(None, [answer.app]))
    wanted = _squeeze(situation.expected_text or "")
    found = [_squeeze(s) for s in [*(f.text for f in answer.facts), *(c.quote for c in answer.citations)]]
    return Verdict(
        situation=situation,
        status=answer.status,
        apps=apps,
        status_ok=answer.status == situation.expected_status,
        app_ok=not situation.expected_app or set(apps) == set(situation.expected_app),
        text_ok=not wanted or any(wanted in text for text in found),
        citations_ok=all(answer.status == "answered" and c.app == answer.app for c in answer.citations),
    )


def time_stages(
    assistant: Assistant,
    questions: Sequence[Question],
    *,
    encode: Callable[[str], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the milliseconds of each call by stage, in the order asked.

    The stages take turns over the questions, so that no stage finds a question in a cache that another one filled.

    :param encode: the encoder's own pass over a query, timed as the stage ``encoder``.
    """
    stages: dict[str, Callable[[Question], object]] = {
        "search, first stage": lambda q: assistant.search(q.question, app=q.app, rerank=False),
        "search": lambda q: assistant.search(q.question, app=q.app),
        "ask": lambda q: assistant.ask(q.question, app=q.app),
    }
    if encode is not None:
        run_encoder = encode
        stages["encoder"] = lambda q: run_encoder(q.question)
    for run in stages.values():
        for question in questions[:STAGES_WARM_UP]:
            run(question)
    taken: dict[str, list[float]] = {name: [] for name in stages}
    names = list(stages)
    for turn, question in enumerate(questions[STAGES_WARM_UP:]):
        name = names[turn % len(names)]
        began = clock()
        stages[name](question)
        taken[name].append((clock() - began) * 1000)
    return taken


def count_sentences(text: str) -> int:
    """Return how many sentences ``text`` has: runs of characters closed by 。！？!? or by the end."""
    return sum(1 for part in re.split(r"[。！？!?]+", text) if part.strip())


def _is_fact_right(text: str, span: tuple[int, int], question: Question, gold: Sequence[tuple[int, int]]) -> bool:
    if any(start <= span[0] and span[1] <= end for start, end in gold):
        return True
    ours = _squeeze(text)
    return any(ours in theirs or theirs in ours for theirs in map(_squeeze, question.facts))


def _first_rank(claims: Iterable[bool]) -> int | None:
    return next((rank for rank, claim in enumerate(claims, 1) if claim), None)


def _squeeze(text: str) -> str:
    return "".join(text.split())
