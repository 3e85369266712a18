"""What of a clause is embedded: the clause with its context, and each of its sentences where it has several."""

from __future__ import annotations

from dataclasses import dataclass

from corpus.datatypes import Clause, Policy
from corpus.sentences import split_sentences

UNITS_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Unit:
    """One embedded span of a policy: the clause with that ordinal, or one sentence of it."""

    clause: int
    start: int
    end: int


def clause_units(clauses: tuple[Clause, ...]) -> tuple[Unit, ...]:
    """Return the units of ``clauses``: for each clause itself, then its sentences if there are two or more."""
    units: list[Unit] = []
    for ordinal, clause in enumerate(clauses):
        units.append(Unit(ordinal, clause.start, clause.end))
        sentences = split_sentences(clause.text)
        if len(sentences) > 1:
            units.extend(Unit(ordinal, clause.start + start, clause.start + end) for start, end in sentences)
    return tuple(units)


def context_of(clause: Clause, lead_in: str | None) -> str:
    """Return what stands above a clause: its last heading, and the lead-in that its item hangs on."""
    heading = clause.path[-1] if clause.path else ""
    return "\n".join(part for part in (heading, lead_in) if part)


def embedding_texts(policy: Policy, clauses: tuple[Clause, ...], units: tuple[Unit, ...]) -> list[str]:
    """Return the text to encode for every unit: its clause's context, a newline, the span itself."""
    texts_by_id = {clause.clause_id: clause.text for clause in clauses}
    contexts = [context_of(clause, texts_by_id.get(clause.lead_in or "")) for clause in clauses]
    return [f"{contexts[unit.clause]}\n{policy.text[unit.start : unit.end]}".strip() for unit in units]


def lexical_texts(clauses: tuple[Clause, ...]) -> list[str]:
    """Return the text whose tokens BM25 counts for every clause: last heading, lead-in and clause."""
    texts_by_id = {clause.clause_id: clause.text for clause in clauses}
    return [f"{context_of(clause, texts_by_id.get(clause.lead_in or ''))}\n{clause.text}" for clause in clauses]
