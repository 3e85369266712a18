from __future__ import annotations

from dataclasses import replace

import pytest

from evaluation.questions import Question, Situation
from evaluation.report import (
    find_worst,
    render,
    report_questions,
    report_resolutions,
    report_situations,
    report_times,
)
from evaluation.run import Outcome, Resolution, Verdict

QUESTION = Question("甲-1", "甲", "zh", "formal", "怎么注销", True, ("注销在设置里。",), ("设置",), True)
OUTCOME = Outcome(
    question=QUESTION,
    rank=1,
    first_stage_rank=2,
    right_within_budget=True,
    status="answered",
    confidence=0.9,
    best_is_gold=True,
    gold_citation_rank=1,
    quote="注销在设置里。",
    quote_f1=1.0,
    gold_quote="注销在设置里。",
    clause_sentences=1,
    fact_in_quotes=True,
    facts_right=(True, False),
    wrong_app=False,
)
LONG = replace(OUTCOME, rank=4, clause_sentences=3, quote_f1=0.5, quote="注销", facts_right=(True, True))
WRONG = replace(
    OUTCOME, question=replace(QUESTION, id="甲-2", lang="en"), rank=None, gold_citation_rank=None, confidence=0.7,
    quote_f1=0.1, quote="别的条款", fact_in_quotes=False, facts_right=(), best_is_gold=False,
)  # fmt: skip
NOTHING = replace(QUESTION, id="乙-1", app="乙", answerable=False, evidence=(), facts=())
FALSE = replace(WRONG, question=NOTHING, confidence=0.8, gold_quote="")
DECLINED = replace(FALSE, question=replace(NOTHING, id="乙-2"), status="silent", confidence=0.2, quote=None)

SITUATION = Situation("s-1", "pinyin", "zh", "秘密的问题", "five", "answered", expected_app=("甲",))
VERDICT = Verdict(SITUATION, "answered", ("甲",), True, True, True, True)


def test_each_figure_is_the_mean_over_what_it_is_about() -> None:
    report = report_questions([OUTCOME, LONG, WRONG, FALSE, DECLINED])
    values = {name: (figure["value"], figure["n"]) for name, figure in report["all"]["figures"].items()}
    third = pytest.approx(1 / 3)
    two_thirds = pytest.approx(2 / 3)
    assert values == {
        "search hit@1": (third, 3),
        "search hit@3": (third, 3),
        "search hit@5": (two_thirds, 3),
        "search hit@10": (two_thirds, 3),
        "search MRR": (pytest.approx(1.25 / 3), 3),
        "search right within 400 characters": (1.0, 3),
        "first stage hit@1": (0.0, 3),
        "first stage hit@3": (1.0, 3),
        "first stage hit@10": (1.0, 3),
        "ask gold clause first": (two_thirds, 3),
        "ask gold clause among three": (two_thirds, 3),
        "ask gold clause first, of the answered": (two_thirds, 3),
        "quote F1, of the answered": (pytest.approx(1.6 / 3), 3),
        "quote F1, gold clause first": (0.75, 2),
        "quote F1, gold clause of 3+ sentences": (0.5, 1),
        "gold fact inside the quotes": (two_thirds, 3),
        "facts' precision": (0.75, 4),
        "answered share (answerable)": (1.0, 3),
        "false answers (unanswerable)": (0.5, 2),
        "wrong-app citations": (0.0, 5),
    }
    assert report["auroc"]["value"] == pytest.approx((2 + 2 + 1) / 6)
    assert {"threshold": 0.75, "answered": two_thirds, "false_answers": 0.5} in report["curve"]
    assert report["quote_length"] == {"median": 4, "median_gold": 7}
    assert report["statuses"]["unanswerable"] == {"answered": 1, "silent": 1}


def test_groups_hold_their_own_questions() -> None:
    by = report_questions([OUTCOME, WRONG, DECLINED])["by"]
    assert {name: {value: group["questions"] for value, group in groups.items()} for name, groups in by.items()} == {
        "language": {"en": 1, "zh": 2},
        "style": {"formal": 3},
        "app": {"乙": 1, "甲": 2},
    }
    assert by["language"]["en"]["figures"]["search hit@1"]["value"] == 0.0


def test_the_worst_are_the_surest_wrong_answers_first() -> None:
    unsure = replace(WRONG, status="silent", confidence=0.1, quote=None)
    worst = find_worst([OUTCOME, DECLINED, unsure, WRONG, FALSE], 9)
    assert [row["id"] for row in worst] == ["乙-1", "甲-2", "甲-2"]
    assert [row["right"] for row in worst] == [None, "注销在设置里。", "注销在设置里。"]


def test_failures_of_the_closed_set_are_not_named() -> None:
    failed = replace(VERDICT, status="silent", status_ok=False)
    closed = report_situations([VERDICT, failed], name_failures=False)
    assert closed["right"]["value"] == 0.5
    assert "秘密" not in str(closed)
    assert "秘密" in str(report_situations([VERDICT, failed], name_failures=True)["failed"])


def test_all_parts_are_rendered_as_aligned_tables() -> None:
    report = {
        "index": "x",
        "questions": report_questions([OUTCOME, WRONG, DECLINED]),
        "apps135": report_resolutions([Resolution(QUESTION, "which_app", None, False)]),
        "situations": {"open": report_situations([VERDICT], name_failures=True)},
        "milliseconds": report_times({"ask": [10.0, 20.0, 30.0]}),
        "worst": find_worst([WRONG], 1),
    }
    lines = render(report).split("\n")
    assert "search hit@1                            0.500    0.000–1.000  2" in lines
    assert "app resolved                 0.000    0.000–0.000  1" in lines
    assert "ask           20.0  29.0  3" in lines
    assert "  right: 注销在设置里。" in lines


def test_a_sample_that_names_no_app_is_reported_without_figures() -> None:
    text = render({"index": "甲", "apps135": report_resolutions([])})
    assert "app resolved" in text
