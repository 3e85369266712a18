"""Clauses -> practice topics: a small classifier on the vectors that the index holds, and on the characters.

Two parts judge a sentence and their log-odds are averaged: a network of one hidden layer on the sentence's vector, and
a logistic regression on its one- and two-character strings and those of what stands above it, hashed. A sentence with
nothing above it has characters' weights of its own. A clause is on a topic if one of its sentences is; each topic has
a threshold of its own. ``python -m training.topics`` makes the weights, ``python -m evaluation topics`` scores them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from corpus.topics import TOPICS, Topic
from index.units import context_of
from retrieval.answer import facts_of
from retrieval.datatypes import Citation, Fact, FactKind

if TYPE_CHECKING:
    from index.segment import Segment

Floats = NDArray[np.float32]

CLASSIFIER = Path(__file__).parent / "weights" / "topics.safetensors"
FACT_KINDS: Mapping[Topic, Sequence[FactKind]] = {
    "sharing": ("organisation",),
    "storage": ("time_limit",),
    "special_groups": ("age",),
    "rights": ("menu_path", "time_limit", "phone", "email"),
    "contact": ("phone", "email", "url", "address"),
}
MOST_JUDGED = 200  # segments whose topics are kept
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio (Knuth, 6.4): spreads neighbouring code points


@dataclass(frozen=True)
class Judged:
    """How likely every clause of one policy version is on every topic.

    ``units`` holds the clause's sentences, one after another, as positions in ``Segment.units``, those of clause ``i``
    from ``starts[i]`` to ``starts[i + 1]``; ``likelihood`` is float32 of shape (these units, 11), 0 to 1, and
    ``labelled`` says where it passes its topic's threshold.
    """

    units: NDArray[np.int64]
    starts: NDArray[np.int64]
    likelihood: Floats
    labelled: NDArray[np.bool_]

    @cached_property
    def clauses(self) -> NDArray[np.bool_]:
        """Which clause is on which topic, of shape (clauses, 11)."""
        return np.logical_or.reduceat(self.labelled, self.starts[:-1], axis=0)

    def topics(self, ordinal: int) -> tuple[Topic, ...]:
        """Return the topics of a clause, in the order of :data:`~corpus.topics.TOPICS`."""
        return tuple(topic for topic, on in zip(TOPICS, self.clauses[ordinal], strict=True) if on)

    def is_on(self, topics: Sequence[Topic]) -> NDArray[np.bool_]:
        """Return which clauses are on any of ``topics``."""
        return np.asarray(self.clauses[:, [TOPICS.index(topic) for topic in topics]].any(axis=1))

    def best(self, topic: Topic, ordinals: Sequence[int]) -> tuple[int, int, float] | None:
        """Return the likeliest of those ``ordinals`` that are on ``topic``: ordinal, position of the unit, likelihood.

        Ties go to the earlier clause; ``None`` if none of them is on it.
        """
        place = TOPICS.index(topic)
        best: tuple[int, int, float] | None = None
        for ordinal in ordinals:
            own = slice(self.starts[ordinal], self.starts[ordinal + 1])
            likelihood = np.where(self.labelled[own, place], self.likelihood[own, place], 0)
            sentence = int(np.argmax(likelihood))
            if likelihood[sentence] > (best[2] if best else 0):
                best = ordinal, int(self.units[own][sentence]), float(likelihood[sentence])
        return best


class TopicClassifier:
    """The trained classifier; its sizes are those of its tensors. What it judged of the last segments is kept."""

    def __init__(self, tensors: Mapping[str, NDArray[np.generic]]) -> None:
        """:param tensors: by the names that ``training.topics`` gives them."""
        self._strings = {name: tensors[name].astype(np.int8) for name in ("alone", "sentence", "context")}
        self._tensors = {
            name: tensor.astype(np.float32) for name, tensor in tensors.items() if name not in self._strings
        }
        self._judged: dict[str, Judged] = {}

    def judge(self, segment: Segment) -> Judged:
        """Judge every clause of ``segment``, from the vectors that it holds."""
        judged = self._judged.pop(segment.name, None) or self._judge(segment)
        self._judged[segment.name] = judged
        if len(self._judged) > MOST_JUDGED:
            self._judged.pop(next(iter(self._judged)), None)
        return judged

    def _judge(self, segment: Segment) -> Judged:
        texts = {clause.clause_id: clause.text for clause in segment.clauses}
        positions: list[int] = []
        contexts: list[str] = []
        starts = [0]
        for ordinal, clause in enumerate(segment.clauses):
            first, last = segment.unit_range(ordinal)
            own = range(first + 1 if last - first > 1 else first, last)
            positions.extend(own)
            contexts.extend([context_of(clause, texts.get(clause.lead_in or ""))] * len(own))
            starts.append(len(positions))
        units = np.array(positions, np.int64)
        spans = [segment.units[position] for position in positions]
        sentences = [segment.policy.text[span.start : span.end] for span in spans]
        likelihood = self.likelihood(segment.vectors[units], sentences, contexts)
        return Judged(units, np.array(starts, np.int64), likelihood, self.label(likelihood))

    def label(self, likelihood: Floats) -> NDArray[np.bool_]:
        """Return where ``likelihood`` reaches its topic's threshold."""
        return np.asarray(likelihood >= self._tensors["thresholds"])

    def likelihood(self, vectors: Floats, sentences: Sequence[str], contexts: Sequence[str]) -> Floats:
        """Return how likely each sentence is on each topic, float32 of shape (sentences, 11).

        :param vectors: of the sentences as they are indexed, their contexts before them.
        :param contexts: what stands above each, empty where nothing does.
        """
        hidden = np.maximum(vectors @ self._tensors["hidden.weight"].T + self._tensors["hidden.bias"], 0)
        meaning = hidden @ self._tensors["output.weight"].T + self._tensors["output.bias"]
        bare = np.array([not context for context in contexts])[:, None]
        distinct = {context: row for row, context in enumerate(dict.fromkeys(contexts))}
        above = self._sum("context", list(distinct))[[distinct[context] for context in contexts]]
        wording = np.where(bare, self._sum("alone", sentences), self._sum("sentence", sentences) + above)
        wording += np.where(bare, self._tensors["alone.bias"], self._tensors["sentence.bias"])
        likelihood: Floats = 1 / (1 + np.exp(-(meaning + wording) / 2))
        return likelihood.round(3)  # a vector differs in the fourth digit by the batch that it was encoded in

    def _sum(self, table: str, texts: Sequence[str]) -> Floats:
        """Return the weights of each text's strings, added up and divided by the square root of their number."""
        strings, starts = hash_strings(texts, len(self._strings[table]))
        # A row of zeros at the end, for reduceat takes no empty range at the end.
        weights = np.vstack([self._strings[table][strings], np.zeros((1, len(TOPICS)), np.int8)])
        lengths = np.diff(starts)
        sums = np.add.reduceat(weights, starts[:-1], axis=0, dtype=np.int32) if texts else np.zeros((0, len(TOPICS)))
        sums = np.where(lengths[:, None] > 0, sums, 0) * self._tensors[f"{table}.scale"]
        return np.asarray(sums / np.sqrt(np.maximum(lengths, 1))[:, None], dtype=np.float32)


def hash_strings(texts: Sequence[str], buckets: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the buckets of the one- and two-character strings of ``texts``, and where each text's begin.

    Those of text ``i`` stand from ``starts[i]`` to ``starts[i + 1]``, in no order, a string as often as it occurs.

    :param buckets: a power of two, 2 at least.
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    joined = "".join(texts).lower() if texts else ""
    if len(joined) != lengths.sum():  # İ becomes two characters
        lengths = np.array([len(text.lower()) for text in texts], np.int64)
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    shift = np.uint64(64 - (buckets.bit_length() - 1))
    ones = (points * _MULTIPLIER) >> shift
    twos = ((points[:-1] * np.uint64(0x1F0003) + points[1:] + np.uint64(1)) * _MULTIPLIER) >> shift
    owner = np.repeat(np.arange(len(texts)), lengths)
    inside = owner[:-1] == owner[1:]
    # The string that begins at a character, after the character itself; a text's last begins none.
    both = np.empty(len(points) + int(inside.sum()), np.int64)
    places = np.arange(len(points)) + np.concatenate([[0], np.cumsum(inside)])[: len(points)]
    both[places] = ones
    both[places[:-1][inside] + 1] = twos[inside]
    return both, np.concatenate([[0], np.cumsum(np.maximum(2 * lengths - 1, 0))])


def load_topic_classifier(encoder_fingerprint: str) -> TopicClassifier | None:
    """Return the shipped classifier, or ``None`` for another encoder than the one whose vectors it was trained on."""
    from index.shipped import load_shipped

    tensors = load_shipped(CLASSIFIER, encoder_fingerprint)
    return None if tensors is None else TopicClassifier(tensors)


def cite_topic(segment: Segment, judged: Judged, topic: Topic) -> Citation | None:
    """Return the citation of the clause that is most probably on ``topic``, quoting its likeliest sentence.

    A lead-in, which only announces, is cited where nothing else is on the topic; a heading never. ``None`` if no clause
    but headings is on it.
    """
    ordinals: dict[str, list[int]] = {}
    for ordinal, clause in enumerate(segment.clauses):
        ordinals.setdefault(clause.kind, []).append(ordinal)
    stating = sorted(ordinals.get("paragraph", []) + ordinals.get("item", []))
    best = judged.best(topic, stating) or judged.best(topic, ordinals.get("lead_in", []))
    if best is None:
        return None
    ordinal, position, likelihood = best
    clause, unit = segment.clauses[ordinal], segment.units[position]
    lead_in = segment.lead_in_text(clause)
    return Citation.of(segment.policy, clause, unit.start, unit.end, lead_in=lead_in, score=round(likelihood, 3))


def topic_facts(citation: Citation, topic: Topic) -> tuple[Fact, ...]:
    """Return the facts of a citation's quote that a reader of ``topic`` looks for."""
    return facts_of(citation, FACT_KINDS.get(topic, ()))


def check_topics(topics: Sequence[str]) -> tuple[Topic, ...]:
    """Return ``topics`` as topics.

    :raises ValueError: if one is unknown.
    """
    known: dict[str, Topic] = {topic: topic for topic in TOPICS}
    for topic in topics:
        if topic not in known:
            raise ValueError(f"no topic {topic!r}; topics are: {', '.join(TOPICS)}")
    return tuple(known[topic] for topic in topics)
