"""What DESIGN.md calls "Always true" of an answer, checked in one place."""

from __future__ import annotations

import json
from collections.abc import Sequence

from retrieval import Answer, Assistant, Citation, Fact, Passage, Row

ROWS_WITHOUT_APP = 8
MAX_CITATIONS = 3


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
    clauses = {clause.clause_id: clause for clause in assistant.clauses(citation.app)}
    clause = clauses[citation.clause_id]
    assert (citation.path, citation.label) == (clause.path, clause.label)
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
        [clause] = [clause for clause in assistant.clauses(passage.app) if clause.clause_id == passage.clause_id]
        assert (passage.text, passage.path, passage.label) == (clause.text, clause.path, clause.label)
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
