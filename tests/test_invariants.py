"""The checker that stands behind every test: it is there, and each kind of breach is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from retrieval import Answer, Assistant

from . import invariants

QUESTION = "津心办怎么注销账号？"
BREACHES: dict[str, Callable[[Answer], Answer]] = {
    "a quote that is not at its offsets": lambda answer: _cited(answer, quote="我们绝不收集任何信息。"),
    "a quote before its clause": lambda answer: _cited(answer, start=0, end=answer.citations[0].start),
    "another app's name": lambda answer: _cited(answer, app="昶联"),
    "an unknown clause": lambda answer: _cited(answer, clause_id="x"),
    "another version": lambda answer: _cited(answer, sha256="0" * 64),
    "citations of what is silent": lambda answer: replace(answer, status="silent"),
    "an answer without citations": lambda answer: replace(answer, citations=(), facts=()),
    "a confidence above one": lambda answer: replace(answer, confidence=1.5),
    "no words": lambda answer: replace(answer, text=" "),
    "half a character": lambda answer: replace(answer, text="\ud800"),
}


def _cited(answer: Answer, **changes: Any) -> Answer:
    return replace(answer, citations=(replace(answer.citations[0], **changes), *answer.citations[1:]))


def test_every_method_that_answers_is_checked_in_every_test() -> None:
    for name in ("ask", "search", "compare_each", "compare_topic", "compare_topic_each", "profile"):
        assert "checking" in getattr(Assistant, name).__wrapped__.__code__.co_name, name


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_raised_and_kept(breach: str, assistant: Assistant) -> None:
    whole = assistant.ask(QUESTION)
    assert whole.status == "answered"
    failures: list[BaseException] = []

    def broken(self: Assistant, question: str) -> Answer:
        return BREACHES[breach](whole)

    with pytest.raises((AssertionError, KeyError, UnicodeEncodeError)):
        invariants.checked(broken, invariants.check_answer, failures)(assistant, QUESTION)
    assert len(failures) == 1


def test_a_row_that_cites_another_app_is_a_breach(assistant: Assistant) -> None:
    rows = {row.app: row for row in assistant.compare("怎么注销账号？") if row.citation}
    one, other = list(rows.values())[:2]
    with pytest.raises(AssertionError):
        invariants.check_rows(assistant, [replace(one, citation=other.citation)])
    with pytest.raises(AssertionError):
        invariants.check_rows(assistant, [one, one])


def test_a_value_that_the_quote_does_not_hold_is_a_breach(assistant: Assistant) -> None:
    profile = assistant.profile("津心办")
    cell = next(cell for cell in profile.cells if cell.rows)
    row = replace(cell.rows[0], values=("不在引文里的话", *cell.rows[0].values[1:]))
    broken = replace(cell, rows=(row,))
    cells = tuple(broken if one is cell else one for one in profile.cells)
    with pytest.raises(AssertionError):
        invariants.check_profile(assistant, replace(profile, cells=cells))
