"""Training examples: questions with the units that answer them, and pairs of sentences that mean the same."""

from __future__ import annotations

import json
import random
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from corpus.datatypes import Policy
from corpus.load import default_policies_folder, load_policies
from corpus.parser import parse_policy
from index.units import Unit, clause_units, context_of, embedding_texts
from retrieval.apps import AppResolver
from retrieval.query import Asked, Glossary, understand
from retrieval.question import detect_language, simplify

T = TypeVar("T")


@dataclass(frozen=True)
class Example:
    """A question and the units of its policy that hold its evidence; ``app`` groups batches."""

    question_id: str
    app: str
    query: str
    answerable: bool
    gold: tuple[int, ...]
    """Positions of the units that answer, among the units of its policy; empty if nothing does."""


@dataclass(frozen=True)
class TrainingPolicy:
    """A policy cut into units, with the text that is embedded for each."""

    app: str
    units: tuple[Unit, ...]
    texts: tuple[str, ...]

    def is_clause(self, position: int) -> bool:
        """Say whether the unit at ``position`` is a clause, not one of its sentences: it is the first of its clause."""
        return position == 0 or self.units[position - 1].clause != self.units[position].clause


@dataclass(frozen=True)
class Part:
    """The ``number``-th of ``count`` parts of the training policies, counted from 1: for learning curves and folds."""

    number: int
    count: int

    def of(self, items: Sequence[T]) -> list[T]:
        """Return every ``count``-th item, from the ``number``-th on.

        >>> Part(2, 3).of("abcdefg")
        ['b', 'e']
        """
        return list(items[self.number - 1 :: self.count])

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read ``I/N``.

        :raises ValueError: if ``text`` is no such pair or I is not in 1 to N.
        """
        number, count = map(int, text.split("/"))
        if not 1 <= number <= count:
            raise ValueError(f"a part is I/N with I from 1 to N, got {text}")
        return cls(number, count)


def without_app(question: str, policy: Policy) -> str:
    """Return ``question`` without the names of ``policy``'s app, longest first, unless nothing else is left."""
    text = question
    for name in sorted((policy.app, *policy.aliases), key=len, reverse=True):
        text = re.sub(re.escape(name), "", text, flags=re.IGNORECASE)
    return text.strip() or question


def held_out(apps: Sequence[str]) -> frozenset[str]:
    """Return the apps that no weights are trained on, so that thresholds can be chosen on them: every ninth by name."""
    return frozenset(sorted(apps)[::9])


def read_jsonl(path: Path) -> list[dict[str, object]]:
    """Return the records of a file of one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def understand_all(questions: Sequence[str], resolver: AppResolver, glossary: Glossary) -> list[Asked]:
    """Return the questions as ``ask`` understands them, without the names of their apps."""
    stripped = [simplify(resolver.resolve(question).stripped) for question in questions]
    return [
        understand(text, detect_language(question), glossary)
        for text, question in zip(stripped, questions, strict=True)
    ]


def cut_policy(policy: Policy) -> TrainingPolicy:
    """Return the units of ``policy`` as the index would hold them."""
    clauses = parse_policy(policy).clauses
    units = clause_units(clauses)
    return TrainingPolicy(policy.app, units, tuple(embedding_texts(policy, clauses, units)))


def gold_units(policy: Policy, units: Sequence[Unit], evidence: Sequence[str]) -> tuple[int, ...]:
    """Return the positions of the units that answer: those that share most of their text, or of the quote, with it.

    A clause unit is gold if it holds at least half of a quote; a sentence unit if, beside that, half of the sentence
    lies in the quote or half of the quote in the sentence.
    """
    gold: list[int] = []
    for quote in evidence:
        start = policy.text.find(quote)
        while start >= 0:
            end = start + len(quote)
            for position, unit in enumerate(units):
                shared = min(end, unit.end) - max(start, unit.start)
                if shared > 0 and (2 * shared >= len(quote) or 2 * shared >= unit.end - unit.start):
                    gold.append(position)
            start = policy.text.find(quote, end)
    return tuple(dict.fromkeys(gold))


def policies_kept_out(data: Path) -> list[str]:
    """Return the texts of the policies that nothing is trained on: shipped, asked about in dev, or held out."""
    asked = {path.stem for path in (data / "questions" / "dev").glob("*.jsonl")}
    left_out = held_out([path.stem for path in (data / "questions" / "train").glob("*.jsonl")])
    policies = load_policies([default_policies_folder(), data / "policies"])
    return [policy.text for policy in policies if policy.app in asked | left_out]


def sentence_pairs(data: Path, *, seed: int, kept_out: Sequence[str]) -> list[tuple[str, str]]:
    """Return (query, passage) pairs from CAPP-130: English for Chinese, and plain words for legal ones, shuffled.

    :param kept_out: texts of policies of which no sentence may be among the passages, however it is punctuated.
    """
    barred = "\n".join(re.sub(r"\W", "", text) for text in kept_out)
    parallel = [(row["en"], row["zh"]) for row in read_jsonl(data / "capp130" / "parallel_zh_en.jsonl")]
    rewrites = [(row["rewrite"], row["text"]) for row in read_jsonl(data / "capp130" / "rewrites.jsonl")]
    pairs = [
        (str(query), str(passage))
        for query, passage in (*parallel, *rewrites)
        if len(str(passage)) >= 12 and query != passage and re.sub(r"\W", "", str(passage)) not in barred
    ]
    random.Random(seed).shuffle(pairs)
    return pairs


def app_batches(examples: Sequence[Example], *, size: int, apps: int, seed: int) -> Iterator[list[Example]]:
    """Yield batches without end: ``size`` questions from ``apps`` policies each, every question once an epoch.

    Questions of one policy stand together because another clause of the same policy is the negative that matters.
    """
    shuffler = random.Random(seed)
    while True:
        groups: list[list[Example]] = []
        by_app: dict[str, list[Example]] = {}
        for example in examples:
            by_app.setdefault(example.app, []).append(example)
        share = size // apps
        for questions in by_app.values():
            shuffler.shuffle(questions)
            groups.extend(questions[first : first + share] for first in range(0, len(questions), share))
        shuffler.shuffle(groups)
        for first in range(0, len(groups), apps):
            yield [example for group in groups[first : first + apps] for example in group]


@dataclass(frozen=True)
class LabelledSentence:
    """A sentence with the ids of its practice topics, the policy it is from, and what stands above it there.

    ``context`` is empty where the sentence was not found in a policy or nothing stands above it; ``app`` is then that
    of the sentences around it, which the files hold in the order of the policies.
    """

    text: str
    topics: tuple[int, ...]
    app: str
    context: str


def read_labelled(path: Path, policies: Sequence[Policy]) -> list[LabelledSentence]:
    """Return the sentences of a file of CAPP-130's topics, looked up in ``policies`` however they are punctuated."""
    rows = read_jsonl(path)
    places = {policy.app: _Places(policy) for policy in policies}
    letters = [re.sub(r"[\W_]", "", str(row["text"])) for row in rows]
    homes = [[app for app, own in places.items() if own.holds(text)] for text in letters]
    sure: dict[str, list[int]] = {}
    for position, apps in enumerate(homes):
        if len(apps) == 1:
            sure.setdefault(apps[0], []).append(position)
    found: list[LabelledSentence] = []
    for position, (row, text, apps) in enumerate(zip(rows, letters, homes, strict=True)):
        candidates = [app for app in apps if app in sure] or apps or list(sure)
        app = min(candidates, key=lambda app: _distance(sure.get(app, []), position), default="")
        context = places[app].context(text) if app in apps else ""
        topics = row["topics"]
        assert isinstance(topics, list)
        found.append(LabelledSentence(str(row["text"]), tuple(topics), app, context))
    return found


def _distance(positions: Sequence[int], position: int) -> float:
    """Return how far the nearest of ``positions``, which are in order, is from ``position``."""
    after = bisect_left(positions, position)
    return min((abs(near - position) for near in positions[max(after - 1, 0) : after + 1]), default=float("inf"))


class _Places:
    """A policy's letters and digits, and where in it they stand; sentences are looked up in the order of the text."""

    def __init__(self, policy: Policy) -> None:
        self._offsets = [match.start() for match in re.finditer(r"[^\W_]", policy.text)]
        self._letters = "".join(policy.text[offset] for offset in self._offsets)
        self._clauses = parse_policy(policy).clauses
        self._texts = {clause.clause_id: clause.text for clause in self._clauses}
        self._last = 0

    def holds(self, letters: str) -> bool:
        return bool(letters) and letters in self._letters

    def context(self, letters: str) -> str:
        """Return what stands above the sentence of these ``letters``: one that follows the last looked up, if any."""
        at = self._letters.find(letters, self._last)
        self._last = at = at if at >= 0 else self._letters.find(letters)
        starts = [clause.start for clause in self._clauses]
        begin, end = self._offsets[at], self._offsets[at + len(letters) - 1]
        clause = self._clauses[max(bisect_right(starts, begin) - 1, 0)]
        if clause.end <= begin:  # it begins in a heading
            clause = self._clauses[max(bisect_right(starts, end) - 1, 0)]
        return context_of(clause, self._texts.get(clause.lead_in or ""))
