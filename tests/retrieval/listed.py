"""What the tests of the list readers share: a policy's segment, and the rows that were found in it as text."""

from __future__ import annotations

from corpus.datatypes import Policy
from retrieval.rows import FoundRow


def segment_of(shelve, text: str):
    [segment] = shelve([Policy("示例", text)]).generation.segments
    return segment


def values(segment, rows: list[FoundRow]) -> list[tuple[str, ...]]:
    """Return the values as text; each lies inside the quote of its row."""
    assert all(row.start <= start <= end <= row.end for row in rows for start, end in row.values)
    return [tuple(segment.policy.text[start:end] for start, end in row.values) for row in rows]
