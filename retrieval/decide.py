"""Whether the best clause answers, and whether the question is one for a policy: two calibrated probabilities."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.datatypes import FactKind
from retrieval.facts import find_facts
from retrieval.query import Asked
from retrieval.rerank import Judgement
from retrieval.search import Ranking

# How likely a clause answers a question for nothing but a phone number or its like: one that prints it, and the best
# where none does. Of 45 such questions of train and dev the policy answers all 28 of the first kind and none of the
# 17 of the second: python -m evaluation ablation --parts.
PRINTED, NOT_PRINTED = 0.9, 0.1
# Kinds whose form leaves no doubt; an address that is not recognised may stand there all the same.
CERTAIN_KINDS: frozenset[FactKind] = frozenset(("phone", "email", "court"))

FEATURES = (
    "score",  # fused score of the best clause
    "unit",  # cosine of its best unit
    "deviation",  # how many standard deviations its dense score stands above the policy's mean
    "gap",  # its score less the second's
    "gap5",  # its score less the fifth's
    "coverage",  # share of the query's lexical weight that it matches
    "missing",  # share of the query's tokens that stand nowhere in the policy
    "length",  # logarithm of the number of tokens
    "english",  # 1 if the question is in English
    "wanted",  # 1 if a certain kind of fact is asked for and the best clause holds one
    "unmet",  # 1 if a certain kind of fact is asked for and the best clause holds none
    "margin",  # log-odds, by the second stage, that some clause answers; 0 without it
)


def answer_features(ranking: Ranking, asked: Asked, judgement: Judgement | None) -> NDArray[np.float64]:
    """Return what :data:`FEATURES` names, float64 of shape (12,)."""
    best = int(ranking.order[0])
    ordered = ranking.score[ranking.order]
    first, last = ranking.segment.unit_range(best)
    spread = ranking.spread
    tokens = asked.query.tokens
    missing = sum(not ranking.segment.lexical.knows(token) for token in tokens)
    clause = ranking.segment.clauses[best]
    met = bool(asked.wanted) and any(fact.kind in asked.wanted for fact in find_facts(clause.text))
    return np.array(
        [
            ordered[0],
            ranking.unit_scores[first:last].max(),
            (ranking.dense[best] - ranking.dense.mean()) / spread,
            ordered[0] - ordered[min(1, len(ordered) - 1)],
            ordered[0] - ordered[min(4, len(ordered) - 1)],
            ranking.coverage[best],
            missing / max(1, len(tokens)),
            math.log1p(len(tokens)),
            float(asked.language == "en"),
            float(met),
            float(bool(asked.wanted) and not met),
            judgement.margin if judgement else 0.0,
        ],
        dtype=np.float64,
    )


def judge_bare(ranking: Ranking, asked: Asked) -> tuple[float, bool] | None:
    """Return what :meth:`Decision.judge_answer` returns where the fact that is asked for settles it, else ``None``."""
    if not asked.is_bare:
        return None
    best = ranking.segment.clauses[int(ranking.order[0])]
    if any(fact.kind in asked.wanted for fact in find_facts(best.text)):
        return PRINTED, True
    return (NOT_PRINTED, False) if CERTAIN_KINDS.issuperset(asked.wanted) else None


@dataclass(frozen=True)
class Logistic:
    """A logistic regression: the probability is 1 / (1 + exp(-(x @ weights + bias)))."""

    weights: NDArray[np.float64]
    bias: float

    def probability(self, features: NDArray[np.floating[Any]]) -> float:
        """Return the probability for one feature vector, 0 to 1."""
        return 1.0 / (1.0 + math.exp(-min(max(float(features @ self.weights) + self.bias, -30.0), 30.0)))


@dataclass(frozen=True)
class Decision:
    """The two decisions and their thresholds, for one encoder.

    ``answers`` takes :func:`answer_features`; ``on_topic`` takes the query's vector and the number of glossary
    concepts in the question. ``alone`` and ``alone_threshold`` stand in for ``answers`` and its threshold where there
    is a second stage and it failed: by a margin of 0 every question would be answered, and with the same confidence.
    """

    answers: Logistic
    answers_threshold: float
    on_topic: Logistic
    on_topic_threshold: float
    calibrated: bool = True
    alone: Logistic | None = None
    alone_threshold: float = 0.5

    def judge_answer(self, features: NDArray[np.float64], *, second_stage_failed: bool = False) -> tuple[float, bool]:
        """Return how likely the best clause answers, to three decimals, and whether that is likely enough."""
        fitted, threshold = self.answers, self.answers_threshold
        if second_stage_failed and self.alone is not None:
            fitted, threshold = self.alone, self.alone_threshold
        likelihood = round(fitted.probability(features), 3)
        return likelihood, likelihood >= threshold

    def is_on_topic(self, vector: NDArray[np.float32], concept_count: int) -> bool:
        """Say whether a question with that query vector and so many glossary concepts is one for a policy."""
        features = np.append(vector.astype(np.float64), min(concept_count, 3))
        return self.on_topic.probability(features) >= self.on_topic_threshold

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Decision:
        """Read one entry of ``decisions.json``."""
        alone = record.get("answers_alone")
        return cls(
            _by_name(record["answers"]),
            record["answers"]["threshold"],
            Logistic(np.array(record["on_topic"]["weights"]), record["on_topic"]["bias"]),
            record["on_topic"]["threshold"],
            alone=_by_name(alone) if alone else None,
            alone_threshold=alone["threshold"] if alone else cls.alone_threshold,
        )


def _by_name(record: Mapping[str, Any]) -> Logistic:
    return Logistic(np.array([record["weights"].get(name, 0.0) for name in FEATURES]), record["bias"])


def uncalibrated(dimension: int) -> Decision:
    """Return the decision for an encoder that nobody calibrated: by lexical coverage and how far the best stands out.

    Better than answering everything, and no more: ``python -m evaluation calibrate`` makes the real one.
    """
    weights = dict.fromkeys(FEATURES, 0.0) | {"deviation": 1.0, "coverage": 3.0, "missing": -2.0, "unmet": -1.0}
    return Decision(
        Logistic(np.array([weights[name] for name in FEATURES]), -3.5),
        0.5,
        Logistic(np.append(np.zeros(dimension), 2.0), 0.0),
        0.6,
        calibrated=False,
    )


def load_decision(encoder_fingerprint: str, dimension: int) -> Decision:
    """Return the shipped decision for that encoder, or the uncalibrated one."""
    record = json.loads((files("retrieval") / "decisions.json").read_text(encoding="utf-8"))
    if encoder_fingerprint in record:
        return Decision.from_dict(record[encoder_fingerprint])
    return uncalibrated(dimension)
