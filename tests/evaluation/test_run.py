from __future__ import annotations

from dataclasses import replace

import pytest

from evaluation.questions import Question, Situation
from evaluation.run import count_sentences, judge_situation, resolve_question, score_question, time_stages

from .fake_assistant import LINES, FakeAssistant

QUESTION = Question("甲-1", "甲", "zh", "formal", "甲怎么注销", True, (LINES[0],), ("我的-设置-注销",), True)
SITUATION = Situation("s-1", "k", "zh", "甲怎么注销", "five", "answered", expected_app=("甲",))


def test_a_right_answer_scores_in_every_measure() -> None:
    outcome = score_question(FakeAssistant(), QUESTION)
    assert (outcome.rank, outcome.first_stage_rank, outcome.gold_citation_rank) == (1, 3, 1)
    assert outcome.right_within_budget
    assert outcome.best_is_gold
    assert outcome.quote_f1 == 1.0
    assert outcome.fact_in_quotes
    assert outcome.facts_right == (True,)
    assert not outcome.wrong_app


def test_a_gold_clause_cited_third_is_third_and_the_first_quote_is_scored() -> None:
    outcome = score_question(FakeAssistant((1, 2, 0)), QUESTION)
    assert (outcome.rank, outcome.gold_citation_rank) == (3, 3)
    assert not outcome.best_is_gold
    assert outcome.quote_f1 < 0.5
    assert outcome.clause_sentences == 3


def test_the_best_clause_of_a_decline_is_the_nearest_one() -> None:
    outcome = score_question(FakeAssistant(), replace(QUESTION, question="天", evidence=(LINES[2],)))
    assert (outcome.status, outcome.gold_citation_rank, outcome.quote) == ("silent", None, None)
    assert outcome.best_is_gold


def test_an_unanswerable_question_has_nothing_right() -> None:
    question = replace(QUESTION, answerable=False, evidence=(), facts=())
    outcome = score_question(FakeAssistant(), question)
    assert outcome.answered
    assert (outcome.rank, outcome.gold_citation_rank, outcome.facts_right) == (None, None, (False,))


def test_the_app_is_resolved_from_the_name_alone() -> None:
    assert resolve_question(FakeAssistant(), QUESTION).resolved
    unresolved = resolve_question(FakeAssistant(), replace(QUESTION, question="怎么注销"))
    assert (unresolved.resolved, unresolved.status, unresolved.wrong_citation) == (False, "which_app", False)
    mistaken = resolve_question(FakeAssistant(), replace(QUESTION, question="乙怎么注销"))
    assert (mistaken.resolved, mistaken.wrong_citation) == (False, True)


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({}, True),
        ({"expected_text": "我的-设置-注销"}, True),
        ({"expected_text": "我的 - 设置"}, True),
        ({"expected_text": "首页-设置"}, False),
        ({"expected_app": ("乙",)}, False),
        ({"expected_status": "silent"}, False),
        ({"question": "甲和乙", "expected_status": "compared", "expected_app": ("乙", "甲")}, True),
        ({"question": "甲和乙", "expected_status": "compared", "expected_app": ("甲",)}, False),
        ({"question": "怎么注销", "expected_status": "which_app", "expected_app": ()}, True),
        ({"question": "怎么注销", "app": "甲"}, True),
    ],
)
def test_a_situation_is_right_when_all_that_it_expects_came(change: dict[str, object], right: bool) -> None:
    assert judge_situation(FakeAssistant(), replace(SITUATION, **change)).right is right  # type: ignore[arg-type]


def test_the_stages_take_turns_over_the_questions() -> None:
    ticks = iter(range(100))
    assistant = FakeAssistant()
    taken = time_stages(assistant, [QUESTION] * 9, encode=len, clock=lambda: next(ticks) / 1000)
    assert {stage: [round(ms, 6) for ms in times] for stage, times in taken.items()} == {
        "search, first stage": [1.0, 1.0],
        "search": [1.0, 1.0],
        "ask": [1.0],
        "encoder": [1.0],
    }
    assert assistant.calls[-5:] == ["first stage", "search", "ask", "first stage", "search"]


def test_sentences_are_counted_by_what_closes_them() -> None:
    assert [count_sentences(text) for text in ("一。二!三?", "一,二", "", "一。\n")] == [3, 1, 0, 1]
