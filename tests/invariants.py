"""What DESIGN.md calls "Always true" of an answer, checked in one place.

``tests/conftest.py`` wraps `Assistant` in `checked`, so that this holds of every answer that is made in the process of
a test: through Python, the routes, MCP or the command.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any

from corpus.datatypes import Clause
from index.errors import IndexMismatchError
from retrieval import Answer, Assistant, Citation, Fact, Passage, Row
from retrieval.assistant import _of_one_generation
from retrieval.datatypes import CELL_COLUMNS, CELL_KEYS, Profile

ROWS_WITHOUT_APP = 8
MAX_CITATIONS = 3
REMEMBERED = 300  # outlines whose clauses were checked and are held by id: more than the apps of any index of the tests


class Outlines:
    """Clauses by their ids, checked once an outline."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[tuple[Clause, ...], dict[str, Clause]]] = OrderedDict()

    def of(self, assistant: Assistant, app: str) -> Mapping[str, Clause]:
        clauses = assistant.clauses(app)
        known = self._known.get(id(clauses))
        if known is None or known[0] is not clauses:
            check_clauses(assistant.policy(app).text, clauses)
            known = clauses, {clause.clause_id: clause for clause in clauses}
            self._known[id(clauses)] = known
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return known[1]


_outlines = Outlines()


def checked(
    method: Callable[..., Any], check: Callable[[Assistant, Any], None], failures: list[BaseException]
) -> Callable[..., Any]:
    """Return ``method`` of `Assistant` such that what it returns is checked, in the generation that it was made of.

    A breach is raised where it happens and kept in ``failures``: a route would make an answer of it.
    """
    inner = getattr(method, "__wrapped__", method)

    @wraps(inner)
    def checking(self: Assistant, /, *arguments: Any, **options: Any) -> Any:
        result = inner(self, *arguments, **options)
        try:
            check(self, result)
        except IndexMismatchError:  # pruned since; the method is asked again of the newest generation
            raise
        except Exception as exc:
            failures.append(exc)
            raise
        return result

    return _of_one_generation(checking)


def checked_each(method: Callable[..., Any], failures: list[BaseException]) -> Callable[..., Any]:
    """Return ``compare_each`` such that each row is checked when it is given, in the generation of the call."""
    inner = method.__wrapped__  # type: ignore[attr-defined]

    @wraps(inner)
    def checking(self: Assistant, /, *arguments: Any, **options: Any) -> Iterator[Row]:
        view = self._view
        seen: list[Row] = []

        def check(row: Row) -> Row:
            seen.append(row)
            try:
                with self._held(view):
                    check_rows(self, [row])
                assert len({one.app for one in seen}) == len(seen)
            except Exception as exc:
                failures.append(exc)
                raise
            return row

        return map(check, inner(self, *arguments, **options))

    return _of_one_generation(checking)


def check_answer(assistant: Assistant, answer: Answer) -> None:
    """Fail where ``answer`` breaks a promise that holds for every question on every index."""
    check_payload(answer.to_dict())
    assert 0 <= answer.confidence <= 1
    assert answer.text.strip()
    assert bool(answer.citations) == (answer.status == "answered")
    assert not answer.facts or answer.status == "answered"
    assert not answer.rows or answer.status in ("which_app", "compared")
    assert not answer.related or answer.status == "silent"
    assert len(answer.citations) <= MAX_CITATIONS
    if answer.status in ("answered", "silent"):
        assert answer.app in assistant.apps()
    elif answer.status != "off_topic":
        assert answer.app is None
    assert {citation.app for citation in answer.citations} <= {answer.app}
    for citation in answer.citations:
        check_citation(assistant, citation)
    for fact in answer.facts:
        check_fact(assistant, fact, answer.citations)
    assert {passage.app for passage in answer.related} <= {answer.app}
    check_passages(assistant, answer.related)
    check_rows(assistant, answer.rows)
    if answer.status == "which_app":
        assert 0 < len(answer.rows) <= ROWS_WITHOUT_APP
    if answer.status == "silent" and answer.app is not None:
        assert answer.contact == assistant.policy(answer.app).contact
    else:
        assert answer.contact is None


def check_payload(payload: object) -> None:
    """Fail where ``payload`` does not survive JSON in UTF-8."""
    assert json.loads(json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()) == payload


def check_citation(assistant: Assistant, citation: Citation) -> None:
    """Fail where a citation is not the policy's own words at its own offsets."""
    policy = assistant.policy(citation.app)
    assert (citation.policy_id, citation.sha256, citation.date) == (policy.policy_id, policy.sha256, policy.date)
    assert policy.text[citation.text_start : citation.text_end] == citation.text
    assert policy.text[citation.start : citation.end] == citation.quote
    assert citation.text_start <= citation.start < citation.end <= citation.text_end
    assert assistant.verify(citation)
    clauses = _outlines.of(assistant, citation.app)
    clause = clauses[citation.clause_id]
    assert (citation.path, citation.label) == (clause.address, clause.label)
    assert citation.text.startswith(clause.text)
    assert citation.lead_in == (clauses[clause.lead_in].text if clause.lead_in else None)


def check_fact(assistant: Assistant, fact: Fact, citations: Sequence[Citation]) -> None:
    """Fail where a fact is not verbatim in one of the quotes."""
    assert any(
        fact.policy_id == citation.policy_id
        and citation.start <= fact.start < fact.end <= citation.end
        and assistant.policy(citation.app).text[fact.start : fact.end] == fact.text
        for citation in citations
    )


def check_passages(assistant: Assistant, passages: Sequence[Passage]) -> None:
    """Fail where passages are not clauses of their policies, best first, ranked from 1."""
    assert [passage.rank for passage in passages] == list(range(1, len(passages) + 1))
    scores = [passage.score for passage in passages]
    assert scores == sorted(scores, reverse=True)
    assert len({passage.clause_id for passage in passages}) == len(passages)
    for passage in passages:
        policy = assistant.policy(passage.app)
        assert passage.policy_id == policy.policy_id
        assert policy.text[passage.start : passage.end] == passage.text
        clauses = _outlines.of(assistant, passage.app)
        clause = clauses[passage.clause_id]
        assert passage.lead_in == (clauses[clause.lead_in].text if clause.lead_in else None)
        assert (passage.text, passage.path, passage.label) == (clause.text, clause.address, clause.label)
        check_payload(passage.to_dict())


def check_rows(assistant: Assistant, rows: Sequence[Row]) -> None:
    """Fail where there are two rows of an app, or a row cites another app or cites without answering."""
    assert len({row.app for row in rows}) == len(rows)
    for row in rows:
        assert row.status in ("answered", "silent", "unknown_app")
        assert (row.status == "unknown_app") == (row.app not in assistant.apps())
        assert (row.citation is not None) == (row.status == "answered")
        if row.citation is not None:
            assert row.citation.app == row.app
            check_citation(assistant, row.citation)
        for fact in row.facts:
            assert row.citation is not None
            check_fact(assistant, fact, [row.citation])
        check_payload(row.to_dict())


def check_clauses(text: str, clauses: Sequence[Clause]) -> None:
    """Fail where clauses are not the text at their offsets, in its order, apart from each other."""
    end = 0
    for clause in clauses:
        assert text[clause.start : clause.end] == clause.text
        assert end <= clause.start < clause.end
        end = clause.end
    assert len({clause.clause_id for clause in clauses}) == len(clauses)


def check_profile(assistant: Assistant, profile: Profile) -> None:
    """Fail where a cell is not the policy's own words, or a value of a list does not stand in its quote."""
    policy = assistant.policy(profile.app)
    assert (profile.policy_id, profile.sha256, profile.date) == (policy.policy_id, policy.sha256, policy.date)
    assert tuple(cell.key for cell in profile.cells) == CELL_KEYS
    check_payload(profile.to_dict())
    for cell in profile.cells:
        assert cell.columns == CELL_COLUMNS.get(cell.key, ())  # type: ignore[call-overload]
        assert not (cell.citation and cell.rows)
        for citation in [cell.citation] if cell.citation else []:
            assert citation.app == profile.app
            check_citation(assistant, citation)
            for fact in cell.facts:
                check_fact(assistant, fact, [citation])
        assert cell.citation or not cell.facts
        for row in cell.rows:
            assert row.citation.app == profile.app
            check_citation(assistant, row.citation)
            assert len(row.values) == len(cell.columns)
            assert all(value in row.citation.quote for value in row.values)
