"""The second stage: the question's tokens against those of the best clauses, and how likely none of them answers.

Late interaction (Khattab and Zaharia, 2020) with a comparison that is learnt (Parikh et al., 2016): every token of
the question is aligned with the tokens of the clause, a small network compares it with what it is aligned to, and the
comparisons, weighed by how much the token matters, make the clause's score. Beside it the question alone tells how
often policies are silent on what it asks. ``python -m training.reranker`` makes the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrieval.query import Asked
from retrieval.search import Ranking, prefer_facts, rank

if TYPE_CHECKING:
    from index.encoder import EncodedText
    from index.segment import Segment

Floats = NDArray[np.float32]

NETWORK = Path(__file__).parent / "weights" / "reranker.safetensors"
CANDIDATE_COUNT = 8  # clauses that are compared with the question token by token
STAGE_FEATURES = 7
# Standard deviations of dense score that a factor e of likelihood is worth: hit@1 on the held-out training policies
# 0.769 at 0, 0.780 at 0.1, 0.772 at 0.5, 0.744 by the second stage alone (docs/benchmarks.md).
ANSWER_BONUS = 0.1
LEAST = -4.0  # logarithm of the likelihood, against the likeliest's, from which on a clause is raised


@dataclass(frozen=True)
class Judgement:
    """What the second stage says of the best clauses of one ranking, as logits that compare within one question.

    ``answers`` holds one for each of ``ordinals``: that this clause answers. ``silence`` is the one that none does.
    """

    ordinals: NDArray[np.int64]
    answers: Floats
    silence: float

    @property
    def margin(self) -> float:
        """The log-odds that some of the clauses answers."""
        return float(np.logaddexp.reduce(self.answers)) - self.silence


def stage_features(ranking: Ranking, ordinals: NDArray[np.int64]) -> Floats:
    """Return what the first stage knows of the clauses, float32 of shape (clauses, 7)."""
    score, dense, spread = ranking.score, ranking.dense, ranking.spread
    ordered = score[ranking.order]
    second, fifth = ordered[min(1, len(ordered) - 1)], ordered[min(4, len(ordered) - 1)]
    bests = np.maximum.reduceat(ranking.unit_scores, ranking.segment.first_units)
    return np.column_stack(
        [
            score[ordinals],
            (score[ordinals] - score.mean()) / spread,
            dense[ordinals],
            bests[ordinals],
            (score[ordinals] - second) / spread,
            (score[ordinals] - fifth) / spread,
            ranking.coverage[ordinals],
        ]
    ).astype(np.float32)


class Reranker:
    """The trained network; its sizes are those of its tensors."""

    def __init__(self, tensors: Mapping[str, Floats]) -> None:
        """:param tensors: by the names that ``training.reranker`` gives them."""
        self._tensors = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}

    def judge(self, question: EncodedText, ranking: Ranking) -> Judgement:
        """Score the best :data:`CANDIDATE_COUNT` clauses of ``ranking``."""
        ordinals = ranking.order[:CANDIDATE_COUNT]
        tokens, lengths = ranking.segment.clause_tokens(ordinals)
        answers = self._score(question.tokens, tokens, lengths, stage_features(ranking, ordinals))
        silence = self._layers("silence", question.vector * np.float32(len(question.vector) ** 0.5))[0]
        return Judgement(ordinals, answers.round(2), round(float(silence), 2))

    def _score(self, question: Floats, tokens: Floats, lengths: NDArray[np.int64], features: Floats) -> Floats:
        """Return the logit of each clause, all in one computation: one by one they take half as long again.

        ``tokens`` are those of the clauses one after another, ``lengths`` how many each has. Arrays are of shape
        (question tokens, tokens of all clauses) and (question tokens, clauses, …).
        """
        ends = lengths.cumsum()
        starts = ends - lengths
        similarities = question @ tokens.T
        best = np.maximum.reduceat(similarities, starts, axis=1)
        attention = np.exp((similarities - best.repeat(lengths, axis=1)) * np.exp(self._tensors["sharpness"]))
        attention /= np.add.reduceat(attention, starts, axis=1).repeat(lengths, axis=1)
        mean = np.add.reduceat(similarities * attention, starts, axis=1)
        aligned = np.stack(
            [attention[:, start:end] @ tokens[start:end] for start, end in zip(starts, ends, strict=True)], axis=1
        )
        token, size = question[:, np.newaxis], np.float32(question.shape[1] ** 0.5)
        pairs = [size * token * aligned * size, size * np.abs(token - aligned), size * aligned]
        compared = self._layers(
            "compare", np.concatenate([*pairs, best[..., np.newaxis], mean[..., np.newaxis]], axis=2)
        )
        weights = _softmax(self._layers("weigh", question)[:, 0])
        weighed = np.tensordot(weights, compared, axes=1)
        gathered = [weighed, compared.max(axis=0), features, np.column_stack([weights @ best, best.min(axis=0)])]
        logits = self._layers("answer", np.concatenate(gathered, axis=1))[:, 0]
        scores: Floats = logits + self._tensors["first_stage"] * features[:, 1]
        return scores

    def _layers(self, name: str, inputs: Floats) -> Floats:
        """Return two linear layers with a rectifier between them."""
        hidden = inputs @ self._tensors[f"{name}.0.weight"].T + self._tensors[f"{name}.0.bias"]
        outputs: Floats = np.maximum(hidden, 0) @ self._tensors[f"{name}.3.weight"].T + self._tensors[f"{name}.3.bias"]
        return outputs


def rank_twice(
    segment: Segment, asked: Asked, encoded: EncodedText, reranker: Reranker | None
) -> tuple[Ranking, Judgement | None]:
    """Return the ranking of both stages, and what the second, where there is one, says of its best clauses."""
    ranking = prefer_facts(rank(segment, asked.query, encoded.vector), asked)
    if reranker is None:
        return ranking, None
    judgement = reranker.judge(encoded, ranking)
    return prefer_answers(ranking, judgement), judgement


def prefer_answers(ranking: Ranking, judgement: Judgement) -> Ranking:
    """Return ``ranking`` with the judged clauses raised by how likely they answer, none of them below what it was."""
    score = ranking.score.copy()
    above_least = np.maximum(judgement.answers - judgement.answers.max() - LEAST, 0)
    score[judgement.ordinals] += ANSWER_BONUS * ranking.spread * above_least
    score = np.round(score, 3)
    return replace(ranking, score=score, order=np.argsort(-score, kind="stable"))


def load_reranker(encoder_fingerprint: str) -> Reranker | None:
    """Return the shipped second stage, or ``None`` for another encoder than the one it was trained on."""
    from index.shipped import load_shipped

    tensors = load_shipped(NETWORK, encoder_fingerprint)
    return None if tensors is None else Reranker(tensors)


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return shares
