"""Unofficial English of clauses, written once and kept as data, for readers of no Chinese; never quoted as the policy.

``corpus/renderings/*.jsonl`` holds one clause a line: ``key``, the hash of the clause's text, and ``en``, one string
for each of its sentences, in the file of the first policy that prints it. A reworded clause has another key, so
English never stands under words it does not render.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

from corpus.datatypes import Clause
from corpus.sentences import split_sentences


def rendering_key(text: str) -> str:
    """Return the key of a clause's text: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def load_renderings() -> Mapping[str, tuple[str, ...]]:
    """Return the English sentences of every rendered clause, by :func:`rendering_key`."""
    rows: dict[str, tuple[str, ...]] = {}
    for file in sorted((files("corpus") / "renderings").iterdir(), key=lambda file: file.name):
        for line in filter(None, file.read_text(encoding="utf-8").split("\n")):
            row = json.loads(line)
            rows[row["key"]] = tuple(row["en"])
    return rows


def render_span(clauses: Iterable[Clause], start: int, end: int) -> str | None:
    """Return the English of the sentences that ``start`` to ``end`` of a policy touches, a line a clause.

    ``None`` where a clause of the span has no rendering, or one that no longer fits its sentences.
    """
    lines: list[str] = []
    for clause in clauses:
        if clause.end <= start or end <= clause.start:
            continue
        spans = split_sentences(clause.text)
        english = load_renderings().get(rendering_key(clause.text), ())
        if len(english) != len(spans):
            return None
        touched = [
            text
            for (first, last), text in zip(spans, english, strict=True)
            if clause.start + first < end and start < clause.start + last
        ]
        lines.append(" ".join(touched))
    return "\n".join(lines) or None
