"""Ask every clause of every policy back, as a question about its app: ``python -m evaluation clauses``.

Each must be answered or declined, never with an error, and what is quoted must stand in the policy. Whether it finds
itself is a sign of health and no more: clauses repeat one another, and a heading asks nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Protocol

from corpus.datatypes import Clause
from evaluation.score import CACHE, SEEDS, SHARED, open_index
from index.batching import BatchingEncoder
from index.encoder import load_encoder
from retrieval import Answer, Citation
from web.schema import MAX_QUESTION_CHARACTERS

AT_ONCE = 16  # questions; the encoder takes them together
TOLD_EVERY = 1000  # clauses


class Assistant(Protocol):
    """The part of ``retrieval.Assistant`` that is asked."""

    def apps(self) -> tuple[str, ...]: ...

    def clauses(self, app: str) -> tuple[Clause, ...]: ...

    def ask(self, question: str, app: str | None = None) -> Answer: ...

    def verify(self, citation: Citation) -> bool: ...


def ask_back(assistant: Assistant, app: str, clause: Clause) -> Iterator[str]:
    """Ask one clause back; yield what is to be counted of it."""
    try:
        answer = assistant.ask(clause.text[:MAX_QUESTION_CHARACTERS], app=app)
        quoted = [*answer.citations, *(row.citation for row in answer.rows if row.citation)]
        are_right = all(one.app == app and assistant.verify(one) for one in quoted)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        yield f"error {type(error).__name__}: {clause.clause_id}"
        return
    yield answer.status
    if not are_right:
        yield f"wrong citation: {clause.clause_id}"
    if any(one.clause_id == clause.clause_id for one in answer.citations):
        yield "cites itself"


def ask_all_back(assistant: Assistant, clauses: Sequence[tuple[str, Clause]]) -> Counter[str]:
    """Ask ``clauses``, each with its app, back; return how often there was what."""
    told: Counter[str] = Counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = pool.map(lambda one: tuple(ask_back(assistant, *one)), clauses)
        for number, found in enumerate(asked, start=1):
            told.update(found)
            if number % TOLD_EVERY == 0:
                sys.stderr.write(f"{number} of {len(clauses)}\n")
    return told


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code: 1 where there was an error or a citation that does not stand."""
    parser = argparse.ArgumentParser(prog="python -m evaluation clauses", description=__doc__)
    parser.add_argument("--policies", type=Path, action="append", help="folders (default: the shipped and shared ones)")
    parser.add_argument("--limit", type=int, help="ask only so many, spread evenly")
    options = parser.parse_args(arguments)
    folders = options.policies or [SEEDS, SHARED / "policies"]
    with closing(BatchingEncoder(load_encoder())) as encoder:
        assistant = open_index(CACHE / ("clauses" if options.policies else "all"), folders, encoder)
        clauses = [(app, clause) for app in assistant.apps() for clause in assistant.clauses(app)]
        step = -(-len(clauses) // options.limit) if options.limit else 1
        asked = clauses[::step]
        told = ask_all_back(assistant, asked)
    sys.stdout.write(f"{len(asked)} of {len(clauses)} clauses of {len(assistant.apps())} apps asked back\n")
    sys.stdout.writelines(f"  {count:6d}  {what}\n" for what, count in told.most_common())
    return int(any(what.startswith(("error", "wrong")) for what in told))
