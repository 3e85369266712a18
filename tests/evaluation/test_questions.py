from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.questions import find_gold_spans, is_gold, load_questions, load_situations, right_within
from retrieval.datatypes import Turn

ROW = {"app": "甲", "lang": "zh", "style": "formal", "answerable": True, "mentions_app": False}


def test_every_occurrence_of_every_quote_is_gold() -> None:
    assert find_gold_spans("一二三一二", ["一二", "三"]) == [(0, 2), (3, 5), (2, 3)]


def test_a_quote_that_the_policy_lacks_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="四"):
        find_gold_spans("一二三", ["四"])


def test_a_passage_is_gold_from_half_of_the_quote_on() -> None:
    assert is_gold((0, 15), [(10, 20)])
    assert not is_gold((0, 14), [(10, 20)])
    assert is_gold((0, 100), [(200, 220), (10, 20)])
    assert not is_gold((0, 100), [])


def test_reading_stops_at_the_budget_within_a_passage() -> None:
    assert right_within([(0, 20)], [(5, 10)], budget=10)
    assert not right_within([(0, 20)], [(5, 11)], budget=10)
    assert not right_within([(50, 60), (0, 20)], [(0, 5)], budget=10)


def test_a_quote_read_in_two_passages_is_read_and_reading_twice_costs_twice() -> None:
    assert right_within([(5, 10), (0, 5)], [(3, 8)], budget=10)
    assert not right_within([(5, 10), (5, 10), (0, 5)], [(3, 8)], budget=10)


def test_questions_are_read_in_order_and_sampled_by_seed(tmp_path: Path) -> None:
    lines = [
        json.dumps({**ROW, "id": str(n), "question": f"问{n}", "evidence": ["据"], "facts": []}, ensure_ascii=False)
        for n in range(9)
    ]
    (tmp_path / "b.jsonl").write_text("\n".join(lines[:4]) + "\n", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("\n".join(lines[4:]) + "\n", encoding="utf-8")
    assert [q.id for q in load_questions(tmp_path)] == ["4", "5", "6", "7", "8", "0", "1", "2", "3"]
    sample = load_questions(tmp_path, limit=3)
    assert len({q.id for q in sample}) == 3
    assert sample == load_questions(tmp_path, limit=3)
    assert sample[0].evidence == ("据",)


def test_a_folder_without_questions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \*\.jsonl"):
        load_questions(tmp_path)


def test_a_situation_keeps_its_history_as_turns(tmp_path: Path) -> None:
    row = {
        "id": "1",
        "kind": "k",
        "lang": "zh",
        "question": "那乙呢",
        "corpus": "five",
        "expected_status": "answered",
        "expected_app": "乙",
        "history": ["甲怎么注销", {"question": "多久", "app": "甲"}],
    }
    (tmp_path / "s.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    (situation,) = load_situations(tmp_path / "s.jsonl")
    assert situation.history == ("甲怎么注销", Turn("多久", "甲"))
    assert situation.expected_app == ("乙",)
    assert situation.app is None


def test_the_open_situations_are_well_formed() -> None:
    situations = load_situations(Path(__file__).parents[2] / "evaluation" / "situations_open.jsonl")
    assert len(situations) >= 60
    assert len({s.id for s in situations}) == len(situations)
    assert {s.lang for s in situations} == {"zh", "zh-Hant", "en"}
    statuses = {"answered", "silent", "unknown_app", "which_app", "compared", "off_topic"}
    assert {s.expected_status for s in situations} == statuses
    for situation in situations:
        assert situation.corpus in ("five", "all"), situation.id
        assert not situation.expected_text or situation.expected_status == "answered", situation.id
        assert len(situation.expected_app) <= 1 or situation.expected_status == "compared", situation.id
