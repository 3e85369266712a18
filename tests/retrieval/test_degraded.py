"""What breaks while a question is answered: the answer comes without it and says so, or says that it cannot come."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.datatypes import Policy
from corpus.lexicons import load_glossary
from index.errors import IndexMismatchError, StoreUnreachableError, UnavailableError
from index.store import build_index
from retrieval import Assistant
from retrieval.decide import FEATURES, Decision, Logistic
from retrieval.degraded import collecting, doing_without, in_order
from retrieval.rerank import Judgement
from retrieval.stages import recording

from ..conftest import ENCODER, Shelf, decide

QUESTION = "津心办怎么注销账号"
SECRET = "我的秘密"


class BrokenStage:
    """A second stage that breaks, with a message that quotes."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error or ArithmeticError(SECRET)

    def judge(self, question: object, ranking: object) -> Judgement:
        raise self.error


def assistant_of(shelf: Shelf, decision: Decision, reranker: Any = None, topics: Any = None) -> Assistant:
    return Assistant(shelf.generation, ENCODER, shelf.resolver, load_glossary(), decision, reranker, topics)


@pytest.fixture
def without_margin() -> Decision:
    """A decision that goes by the margin alone, so that 0 of it is enough, and one for where there is none."""
    alone = Logistic(np.array([{"coverage": 4.0}.get(name, 0.0) for name in FEATURES]), -1.0)
    return replace(decide(bias=0.2, margin=1.0), alone=alone, alone_threshold=0.6)


def test_a_second_stage_that_breaks_leaves_the_first_stage_s_answer_which_says_so(
    shipped: Shelf, without_margin: Decision, caplog: pytest.LogCaptureFixture
) -> None:
    first = assistant_of(shipped, replace(without_margin, answers=without_margin.alone, answers_threshold=0.6))  # type: ignore[arg-type]
    broken = assistant_of(shipped, without_margin, BrokenStage())
    for question in (QUESTION, "昶联会保存我的指纹吗", "哪些应用可以注销账号", "怎么注销账号"):
        expected, answer = first.ask(question), broken.ask(question)
        assert answer.degraded == ("second_stage",)
        if answer.status == "compared":
            assert {row.degraded for row in answer.rows} == {("second_stage",)}
        plain = replace(answer, degraded=(), rows=tuple(replace(row, degraded=()) for row in answer.rows))
        assert plain == expected
        assert answer.to_dict()["degraded"] == ["second_stage"]
        assert "degraded" not in expected.to_dict()
    assert caplog.text.count("second_stage failed and is done without: ArithmeticError in judge") == 4
    assert SECRET not in caplog.text and "津心办" not in caplog.text


def test_confidence_without_the_second_stage_still_tells_questions_apart(
    shipped: Shelf, without_margin: Decision
) -> None:
    broken = assistant_of(shipped, without_margin, BrokenStage())
    asked = [broken.ask(question, app="津心办") for question in ("怎么注销账号", "蝙蝠侠骑鲸鱼")]
    assert asked[0].confidence > asked[1].confidence
    assert [answer.status for answer in asked] == ["answered", "silent"]


def test_the_rows_passages_and_profiles_of_a_broken_second_stage_say_so(shipped: Shelf) -> None:
    broken, whole = assistant_of(shipped, decide(bias=20.0), BrokenStage()), assistant_of(shipped, decide(bias=20.0))
    assert [row.degraded for row in broken.compare("怎么注销账号", ["津心办", "昶联"])] == [("second_stage",)] * 2
    assert [one.to_dict()["degraded"] for one in broken.search(QUESTION, top_k=2)] == [["second_stage"]] * 2
    assert broken.search(QUESTION, rerank=False) == whole.search(QUESTION)  # nobody wanted it
    assert broken.profile("津心办").to_dict()["degraded"] == ["second_stage"]
    assert "degraded" not in whole.profile("津心办").to_dict()


def test_facts_that_cannot_be_found_are_left_out_and_the_clause_is_cited(
    shipped: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    assistant = assistant_of(shipped, decide(bias=20.0))
    expected = assistant.ask(QUESTION)
    assert expected.facts

    def broken(*arguments: object, **options: object) -> Any:
        raise re_error

    re_error = RuntimeError(SECRET)
    for module in ("search", "decide", "answer"):
        monkeypatch.setattr(f"retrieval.{module}.find_facts", broken)
    answer = assistant.ask(QUESTION)
    assert (answer.status, answer.facts, answer.degraded) == ("answered", (), ("facts",))
    assert answer.citations[0].clause_id == expected.citations[0].clause_id


def test_topics_that_cannot_be_judged_are_none_and_noted(shipped: Shelf) -> None:
    class Broken:
        def judge(self, segment: object) -> Any:
            raise ArithmeticError(SECRET)

    assistant = assistant_of(shipped, decide(bias=20.0), topics=Broken())
    with collecting() as failed:
        assert assistant.topics("津心办") == {}
    assert failed == {"topics"}
    profile = assistant.profile("津心办")
    assert profile.degraded == ("topics",)
    assert profile.cells == assistant_of(shipped, decide(bias=20.0)).profile("津心办").cells
    with pytest.raises(ArithmeticError):  # who asks for a topic gets no answer that goes without
        assistant.compare_topic("rights")


@pytest.mark.parametrize("error", [StoreUnreachableError("the store is away"), IndexMismatchError("damaged")])
def test_what_is_no_fault_of_the_second_stage_is_raised(shipped: Shelf, error: Exception) -> None:
    with pytest.raises(type(error)):
        assistant_of(shipped, decide(bias=20.0), BrokenStage(error)).ask(QUESTION)


def test_a_store_that_is_away_is_never_a_silent_policy(shipped: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: object) -> Any:
        raise StoreUnreachableError("the store is away")

    monkeypatch.setattr("index.segment.Segment.unit_scores", away)
    assistant = assistant_of(shipped, decide(bias=-20.0))
    for ask in (assistant.ask, assistant.search, assistant.compare):
        with pytest.raises(UnavailableError):
            ask(QUESTION)
    with pytest.raises(UnavailableError):
        assistant.profile("津心办")


def test_a_damaged_app_is_said_to_be_and_all_others_go_on_answering(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.reader.MOST_VERIFIED_AT_ONCE", -1)  # each when it is first used
    monkeypatch.setattr("index.reader.HELD_BYTES", -1)  # or all would be in memory by then
    text = "一、注销\n您可以在“我的-设置-注销”里注销账号。"
    build_index([Policy("应用甲", text), Policy("应用乙", text), Policy("应用丙", text)], tmp_path, ENCODER)
    assistant = Assistant.open(tmp_path, encoder=ENCODER)
    [folder] = [one for one in (tmp_path / "segments").iterdir() if "应用乙" in (one / "policy.json").read_text()]
    (folder / "vectors.npy").write_bytes(b"x")
    with pytest.raises(IndexMismatchError):
        assistant.ask("怎么注销账号", app="应用乙")
    assert assistant.ask("怎么注销账号", app="应用甲").app == "应用甲"
    for question in ("怎么注销账号", "哪些应用可以注销账号"):
        answer = assistant.ask(question)
        assert (sorted(row.app for row in answer.rows), answer.degraded) == (["应用丙", "应用甲"], ("index",))
    assert "an app is left out" in caplog.text and "注销" not in caplog.text
    with pytest.raises(IndexMismatchError):
        assistant.compare("怎么注销账号", ["应用甲", "应用乙"])
    with collecting() as failed:
        assert sorted(row.app for row in assistant.compare("怎么注销账号")) == ["应用丙", "应用甲"]
    assert failed == {"index"}


def test_what_fails_is_told_to_every_collection_it_is_in_and_to_no_other() -> None:
    with collecting() as outer:
        with collecting() as inner, doing_without("facts"):
            raise ValueError("none")
        with collecting() as other:
            pass
    assert (outer, inner, other) == ({"facts"}, {"facts"}, set())
    assert in_order({"index", "second_stage"}) == ("second_stage", "index")


def test_the_status_of_an_answer_is_told_to_who_records(shipped: Shelf) -> None:
    assistant = assistant_of(shipped, decide(bias=-20.0))
    with recording() as times:
        assistant.ask(QUESTION)
        assistant.ask("淘宝怎么注销")
    assert times.statuses == ["silent", "unknown_app"]


def test_nothing_is_logged_where_nothing_fails(assistant: Assistant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert assistant.ask(QUESTION).degraded == ()
    assert "failed" not in caplog.text
