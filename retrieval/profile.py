"""The profile of an app: what its policy says on the matters that everybody asks about, every cell a quote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from retrieval.cells import SOUGHT, SoughtCell, Sounding, find_sentence
from retrieval.collection import collection_rows
from retrieval.datatypes import CELL_COLUMNS, CELL_KEYS, Cell, CellKey, Citation, Fact, ListKey, Profile, ProfileRow
from retrieval.facts import find_facts
from retrieval.permissions import permission_rows
from retrieval.rows import FoundRow
from retrieval.sdks import sdk_rows
from retrieval.sharing import sharing_rows

if TYPE_CHECKING:
    from index.segment import Segment
    from retrieval.topics import Judged

_READERS: Mapping[ListKey, Callable[[Segment], list[FoundRow]]] = {
    "collection": collection_rows,
    "permissions": permission_rows,
    "sharing": sharing_rows,
    "sdks": sdk_rows,
}


def all_phrasings() -> tuple[str, ...]:
    """Return the questions that a profile puts to a policy, those of each cell together."""
    return tuple(phrasing for sought in SOUGHT for phrasing in sought.phrasings)


def make_profile(segment: Segment, soundings: Sequence[Sounding], judged: Judged | None = None) -> Profile:
    """Read the profile of a policy from its outline, its rankings and the topics of its clauses.

    :param soundings: one for each of :func:`all_phrasings`, in that order.
    :param judged: ``None`` where the model has no topics.
    """
    cells: dict[CellKey, Cell] = {}
    sounded = iter(soundings)
    for sought in SOUGHT:
        cells[sought.key] = _sentence_cell(segment, sought, [next(sounded) for _ in sought.phrasings], judged)
    for key, read in _READERS.items():
        cells[key] = Cell(key, columns=CELL_COLUMNS[key], rows=_rows(segment, read(segment)))
    policy = segment.policy
    return Profile(policy.app, policy.policy_id, policy.sha256, policy.date, tuple(cells[key] for key in CELL_KEYS))


def _sentence_cell(segment: Segment, sought: SoughtCell, soundings: Sequence[Sounding], judged: Judged | None) -> Cell:
    found = find_sentence(segment, sought, soundings, judged)
    if found is None:
        return Cell(sought.key)
    citation = cite_span(segment, *found)
    facts = tuple(
        Fact(fact.kind, segment.policy.text[fact.start : fact.end], fact.start, fact.end, citation.policy_id)
        for fact in find_facts(citation.quote, offset=citation.start)
        if fact.kind in sought.wanted
    )
    return Cell(sought.key, citation, facts)


def _rows(segment: Segment, found: Sequence[FoundRow]) -> tuple[ProfileRow, ...]:
    text = segment.policy.text
    return tuple(
        ProfileRow(
            tuple(text[slice(*value)] for value in row.values),
            cite_span(segment, row.ordinal, row.start, row.end),
        )
        for row in found
    )


def cite_span(segment: Segment, ordinal: int, start: int, end: int) -> Citation:
    """Return a citation of clause ``ordinal`` that quotes ``start`` to ``end``, which may run over clauses after it."""
    clause = segment.clauses[ordinal]
    return Citation.of(segment.policy, clause, start, end, lead_in=segment.lead_in_text(clause))
