from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest

from corpus.messages import messages
from retrieval import Answer, Citation, Fact, Passage, Row, Turn
from retrieval.datatypes import FactKind, Language, Status

FACT = Fact("phone", "12345", 3, 8, "p")
CITATION = Citation(
    "甲", "p", "0" * 64, None, "p.0001", ("一、", "(一)"), "一(一)", "如下:", "电话12345", 1, 8, "12345", 3, 8, 0.5
)
PASSAGE = Passage("甲", "p", "p.0001", ("一、",), "一", None, "电话12345", 1, 8, 0.5, 1)


def test_nested_parts_become_plain_lists_and_dictionaries():
    row = Row("甲", "answered", "说明", (FACT,), CITATION)
    answer = Answer("compared", None, "zh", "文字", 0.25, rows=(row,), related=(PASSAGE,))
    record = answer.to_dict()
    assert record["rows"] == [row.to_dict()]
    assert record["rows"][0]["facts"] == [
        {"kind": "phone", "text": "12345", "start": 3, "end": 8, "policy_id": "p"},
    ]
    assert record["rows"][0]["citation"]["path"] == ["一、", "(一)"]
    assert record["related"][0]["rank"] == 1
    assert (record["facts"], record["citations"], record["contact"]) == ([], [], None)
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize("part", [FACT, CITATION, PASSAGE, Turn("怎么注销"), Row("甲", "silent", "")])
def test_parts_are_frozen_equal_by_value_and_hashable(part):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(part, dataclasses.fields(part)[0].name, "别的")
    assert dataclasses.replace(part) == part
    assert len({part, dataclasses.replace(part)}) == 1


def test_every_status_and_every_kind_of_fact_has_words_in_every_language():
    for language in get_args(Language):
        answers, chat = messages("answer", language), messages("chat", language)
        assert {f"fact_{kind}" for kind in get_args(FactKind)} <= answers.keys() & chat.keys()
        assert {f"status_{status}" for status in get_args(Status)} <= chat.keys()
