"""The rows of a list cell: what they are made of, and the sentences that they are read from."""

from __future__ import annotations

import re
from typing import NamedTuple

from corpus.datatypes import Clause
from index.segment import Segment

Span = tuple[int, int]

_NUMBER = re.compile(
    r"\s*(?:[（(]?(?:[一二三四五六七八九十]{1,3}|\d{1,2})[)）、．.](?!\d)|\d{1,2}(?:\.\d{1,2})+[.、]?|[A-Za-z][.)）、]"
    r"|[（(][A-Za-z][)）]|[①-⑳]|[•·●◆■※Øü-]){0,2}\s*"
)


# Characters of a sentence that are read: the longest of the 135 policies that lists anything is half as long, and a
# hostile one costs time by the square of its length.
LONGEST_SENTENCE = 2000


class FoundRow(NamedTuple):
    """A row: the ordinal of its clause, the offsets of its quote, the offsets of its values in the columns' order.

    A value that the text does not state is an empty span.
    """

    ordinal: int
    start: int
    end: int
    values: tuple[Span, ...]


class Sentence(NamedTuple):
    """A sentence of a clause, its offsets, and its text on one line, at most :data:`LONGEST_SENTENCE` characters."""

    ordinal: int
    start: int
    end: int
    text: str


def sentences_of(segment: Segment, ordinal: int) -> list[Sentence]:
    """Return the sentences of a clause, the printed number taken off the first."""
    first, last = segment.unit_range(ordinal)
    units = segment.units[first + 1 : last] if last - first > 1 else segment.units[first:last]
    spans = [(unit.start, unit.end) for unit in units]
    text = segment.policy.text
    number = _NUMBER.match(text, spans[0][0], spans[0][1])
    if number and number.end() < spans[0][1]:
        spans[0] = (number.end(), spans[0][1])
    return [
        Sentence(ordinal, start, end, re.sub(r"\s", " ", text[start : min(end, start + LONGEST_SENTENCE)]))
        for start, end in spans
    ]


def within(start: int, found: re.Match[str] | None, group: str | int = 0) -> Span:
    """Return where a group of a match in a sentence that begins at ``start`` stands; empty without it."""
    if found is None or found[group] is None:
        return start, start
    return start + found.start(group), start + found.end(group)


def trimmed(text: str, span: Span, head: str = "", tail: str = "") -> Span:
    """Return ``span`` without white space, punctuation and the given patterns at its ends."""
    start, end = span
    while True:
        part = text[start:end]
        begins = re.match(rf"(?:[\s,，、:：;；。.的]|{head})+" if head else r"[\s,，、:：;；。.的]+", part)
        if begins and begins.end() < len(part):
            start += begins.end()
            continue
        ends = re.search(rf"(?:[\s,，、:：;；。的]|{tail})+$" if tail else r"[\s,，、:：;；。的]+$", part)
        if ends and ends.start() > 0 and ends.end() > ends.start():
            end = start + ends.start()
            continue
        return start, end


def lead_text(segment: Segment, clause: Clause) -> str:
    """Return the text of the sentence that an item hangs on; empty without one."""
    return segment.lead_in_text(clause) or ""


def is_main(segment: Segment, clause: Clause) -> bool:
    """Say whether a clause stands in the first of several documents of a file, where there are several."""
    return clause.document is None or clause.document == segment.clauses[0].document


def without_repeats(segment: Segment, rows: list[FoundRow]) -> list[FoundRow]:
    seen: set[tuple[str, ...]] = set()
    kept: list[FoundRow] = []
    for row in rows:
        values = tuple(segment.policy.text[slice(*value)] for value in row.values)
        if values not in seen:
            seen.add(values)
            kept.append(row)
    return kept
