"""The question and situation sets, and what makes a passage right for a question."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retrieval.datatypes import Turn

MIN_OVERLAP = 0.5  # a passage that holds less than half of the quoted evidence does not hold the evidence
READING_BUDGET = 400  # characters: about what a person reads before giving up; fixed by the issue, not tuned

Span = tuple[int, int]


@dataclass(frozen=True)
class Question:
    """One question of a set; any one quote of ``evidence`` found is right, ``facts`` are short verbatim answers."""

    id: str
    app: str
    lang: str
    style: str
    question: str
    answerable: bool
    evidence: tuple[str, ...]
    facts: tuple[str, ...]
    mentions_app: bool


@dataclass(frozen=True)
class Situation:
    """One situation and the reply that DESIGN.md asks for; ``expected_app`` holds several apps for ``compared``."""

    id: str
    kind: str
    lang: str
    question: str
    corpus: Literal["five", "all"]
    expected_status: str
    app: str | None = None
    history: tuple[Turn | str, ...] = ()
    expected_app: tuple[str, ...] = ()
    expected_text: str | None = None


def load_questions(folder: Path, *, limit: int | None = None, seed: int = 0) -> list[Question]:
    """Read every ``*.jsonl`` of ``folder``, in file and line order; with ``limit``, a seeded sample of that many.

    :raises FileNotFoundError: if the folder holds no question file.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise FileNotFoundError(f"no *.jsonl question files in {folder}")
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    questions = [Question(**{**row, "evidence": tuple(row["evidence"]), "facts": tuple(row["facts"])}) for row in rows]
    if limit is not None and limit < len(questions):
        return random.Random(seed).sample(questions, limit)
    return questions


def load_situations(file: Path) -> list[Situation]:
    """Read the situations of one JSON-lines file in line order."""
    situations = []
    for line in file.read_text(encoding="utf-8").split("\n"):
        if line.strip():
            row = json.loads(line)
            history = tuple(turn if isinstance(turn, str) else Turn(**turn) for turn in row.pop("history", ()))
            expected = row.pop("expected_app", ())
            apps = (expected,) if isinstance(expected, str) else tuple(expected)
            situations.append(Situation(**row, history=history, expected_app=apps))
    return situations


def find_gold_spans(text: str, evidence: Sequence[str]) -> list[Span]:
    """Return where the quotes of ``evidence`` stand in ``text``, every occurrence of each.

    :raises ValueError: if a quote does not occur in ``text``: then question and policy are of different versions.
    """
    spans = []
    for quote in evidence:
        start = text.find(quote)
        if not quote or start < 0:
            raise ValueError(f"evidence {quote!r} does not occur in the policy: were the questions written on another?")
        while start >= 0:
            spans.append((start, start + len(quote)))
            start = text.find(quote, start + 1)
    return spans


def is_gold(passage: Span, gold: Sequence[Span]) -> bool:
    """Say whether a passage holds at least ``MIN_OVERLAP`` of the characters of one gold span.

    >>> is_gold((0, 50), [(40, 60)]), is_gold((0, 49), [(40, 60)])
    (True, False)
    """
    return any(_overlap(passage, span) >= MIN_OVERLAP * (span[1] - span[0]) for span in gold)


def right_within(passages: Sequence[Span], gold: Sequence[Span], *, budget: int = READING_BUDGET) -> bool:
    """Say whether reading ``passages`` in rank order has shown the whole of one gold span after ``budget`` characters.

    Every character of a passage counts, white space and what was already read included; the passage at which the
    budget ends is read up to there. A gold span is shown when each of its characters has been read, if need be in
    several passages.

    >>> right_within([(0, 300), (500, 600)], [(520, 600)]), right_within([(0, 300), (500, 601)], [(520, 601)])
    (True, False)
    """
    read: set[int] = set()
    for start, end in passages:
        end = min(end, start + budget)
        read.update(range(start, end))
        budget -= end - start
    return any(read.issuperset(range(*span)) for span in gold)


def _overlap(one: Span, other: Span) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))
