"""Query -> clauses, best first: dense and lexical within one policy, fused into one score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from index.segment import Segment
from retrieval.datatypes import FactKind
from retrieval.facts import find_facts, is_vague
from retrieval.query import Asked, Query
from retrieval.stages import stage

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """How the parts of a clause's score are weighed; chosen by ``python -m evaluation ablation``."""

    sentence: float = 0.5
    """Share of the best sentence's similarity beside the whole clause's, 0 to 1."""
    lexical: float = 1.0
    """Standard deviations of the dense scores that full lexical coverage is worth."""
    expansion: float = 0.5
    """Weight of a glossary word beside one of the question's own."""


WEIGHTS = Weights()

FACT_CANDIDATES = 12  # best clauses in which the fact asked for is looked for
# Kinds with a form of their own; data, organisations and menu paths stand in too many clauses to tell them apart.
EXACT_KINDS: frozenset[FactKind] = frozenset(("phone", "email", "url", "time_limit", "address", "court", "age", "date"))
CONTACT: frozenset[FactKind] = frozenset(("phone", "email"))
CLAUSE_FACT_BONUS = 0.6  # standard deviations of dense score; 0.3 to 1.5 are alike on dev (docs/benchmarks.md)
# Where nothing but the fact is asked for, a clause without one is no answer: it is looked for further down, and no
# similarity outweighs it.
BARE_CANDIDATES, BARE_BONUS = 40, 10.0


@dataclass(frozen=True)
class Ranking:
    """Every clause of one policy scored for one query; arrays are indexed by clause ordinal.

    ``dense`` is a cosine, ``coverage`` the matched share of the query's lexical weight (0 to 1), ``score`` their
    fusion on the cosine's scale; ``unit_scores`` holds the cosine of every unit; ``order`` lists ordinals, best first.
    ``spread`` is the standard deviation of ``dense``, the unit of what is added to a score; 1 where all are alike.
    """

    segment: Segment
    dense: FloatArray
    coverage: FloatArray
    score: FloatArray
    unit_scores: FloatArray
    order: NDArray[np.int64]
    spread: float

    @cached_property
    def unit_spread(self) -> float:
        """The standard deviation of ``unit_scores``."""
        return float(self.unit_scores.std())


def search_dense(segment: Segment, vector: FloatArray, *, sentence: float) -> tuple[FloatArray, FloatArray]:
    """Return the dense score of every clause and the cosine of every unit.

    A clause scores its own cosine, mixed with that of its best unit by ``sentence``.
    """
    unit_scores = segment.unit_scores(vector)
    firsts = segment.first_units
    best = np.maximum.reduceat(unit_scores, firsts)
    return ((1 - sentence) * unit_scores[firsts] + sentence * best).astype(np.float32), unit_scores


def search_lexical(segment: Segment, query: Query, *, expansion: float) -> FloatArray:
    """Return the share of the query's lexical weight that every clause matches, 0 to 1.

    A token weighs what its best clause in this policy scores for it in BM25; a token that the policy lacks weighs
    nothing, so an English question over Chinese text is judged by its glossary words alone.
    """
    total = np.zeros(len(segment.clauses), dtype=np.float32)
    weighed = [*((token, 1.0) for token in query.tokens), *((token, expansion) for token in query.expansions)]
    found = [(*match, weight) for token, weight in weighed if len((match := segment.lexical.matches(token))[0])]
    if not found:
        return total
    # All tokens at once: numpy takes as long for one of them.
    counts = np.array([len(clauses) for clauses, _, _ in found])
    weights = np.array([weight for _, _, weight in found], dtype=np.float32)
    scores = np.concatenate([scores for _, scores, _ in found]) * weights.repeat(counts)
    np.add.at(total, np.concatenate([clauses for clauses, _, _ in found]), scores)
    bound = np.maximum.reduceat(scores, counts.cumsum() - counts).sum(dtype=np.float64)
    return total / np.float32(bound) if bound else total


def rank(segment: Segment, query: Query, vector: FloatArray, *, weights: Weights = WEIGHTS) -> Ranking:
    """Score every clause of ``segment``; ties keep the order of the text.

    The lexical part is worth ``weights.lexical`` standard deviations of this query's dense scores: the spread of
    cosines differs by model and by language, and a fixed weight would let one drown the other.
    """
    with stage("dense"):
        dense, unit_scores = search_dense(segment, vector, sentence=weights.sentence)
    with stage("lexical"):
        coverage = search_lexical(segment, query, expansion=weights.expansion)
        deviation = float(dense.std())
        score = np.round(dense + weights.lexical * deviation * coverage, 3).astype(np.float32)
        order = np.argsort(-score, kind="stable")
    return Ranking(segment, dense, coverage, score, unit_scores, order, deviation or 1.0)


def first_kinds(wanted: Sequence[FactKind]) -> frozenset[FactKind]:
    """Return the kind of fact that is asked for first; of a phone and an e-mail address either will do."""
    return CONTACT if CONTACT.issubset(wanted[:2]) else frozenset(wanted[:1])


def prefer_facts(ranking: Ranking, asked: Asked) -> Ranking:
    """Return ``ranking`` with those of its best dozen raised that hold a fact of the exact kind asked for first.

    A hotline that is asked for stands in a clause that prints one.
    """
    if not asked.wanted or asked.wanted[0] not in EXACT_KINDS:
        return ranking
    if asked.is_bare:
        kinds, count, bonus = frozenset(asked.wanted), BARE_CANDIDATES, BARE_BONUS
    else:
        kinds, count, bonus = first_kinds(asked.wanted), FACT_CANDIDATES, CLAUSE_FACT_BONUS
    score = ranking.score.copy()
    for ordinal in ranking.order[:count]:
        text = ranking.segment.clauses[ordinal].text
        if held := [fact for fact in find_facts(text) if fact.kind in kinds]:
            vague = asked.is_bare and all(is_vague(fact.kind, text[fact.start : fact.end]) for fact in held)
            score[ordinal] += bonus * ranking.spread * (0.5 if vague else 1.0)
    score = np.round(score, 3)
    return replace(ranking, score=score, order=np.argsort(-score, kind="stable"))


def keep_clauses(ranking: Ranking, kept: NDArray[np.bool_]) -> Ranking:
    """Return ``ranking`` with those clauses alone in its order that ``kept``, one flag a clause, says."""
    return replace(ranking, order=ranking.order[kept[ranking.order]])


def merge(rankings: Sequence[Ranking], *, top_k: int) -> list[tuple[Ranking, int]]:
    """Return the ``top_k`` best clauses over several policies as (ranking, ordinal), best first, ties by clause id."""
    pairs = [(ranking, int(ordinal)) for ranking in rankings for ordinal in ranking.order[:top_k]]
    pairs.sort(key=lambda pair: (-pair[0].score[pair[1]], pair[0].segment.clauses[pair[1]].clause_id))
    return pairs[:top_k]
