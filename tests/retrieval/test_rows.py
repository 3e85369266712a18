"""The parts that rows are made of: sentences without their number, spans without what does not belong to a value."""

from __future__ import annotations

import re

import pytest

from retrieval.rows import LONGEST_SENTENCE, FoundRow, sentences_of, trimmed, within, without_repeats

from .listed import segment_of


def test_a_sentence_comes_without_the_printed_number_and_with_its_offsets(shelve) -> None:
    segment = segment_of(shelve, "一、收集\n1.1我们收集姓名。我们\n收集电话。\n(2)您可以拒绝。\n")
    found = [sentence for ordinal in range(len(segment.clauses)) for sentence in sentences_of(segment, ordinal)]
    assert "我们收集姓名。" in [sentence.text for sentence in found]
    assert "您可以拒绝。" in [sentence.text for sentence in found]
    for sentence in found:
        text = segment.policy.text[sentence.start : sentence.end]
        assert sentence.text == re.sub(r"\s", " ", text)


def test_no_more_than_so_much_of_a_sentence_is_read(shelve) -> None:
    segment = segment_of(shelve, "一、收集\n" + "甲" * 5000 + "\n")
    [sentence] = sentences_of(segment, 0)
    assert len(sentence.text) == LONGEST_SENTENCE
    assert sentence.end - sentence.start == 5000


@pytest.mark.parametrize(
    ("text", "head", "tail", "expected"),
    [
        ("，姓名、电话等。", "", "等", "姓名、电话"),
        ("您的姓名等信息", "您的", "等信息", "姓名"),
        ("姓名", "", "", "姓名"),
        ("的", "", "", "的"),
    ],
)
def test_a_span_loses_what_does_not_belong_to_a_value(text: str, head: str, tail: str, expected: str) -> None:
    start, end = trimmed(text, (0, len(text)), head, tail)
    assert text[start:end] == expected


def test_a_group_that_did_not_match_is_an_empty_span() -> None:
    found = re.match("(?P<a>甲)(?P<b>乙)?", "甲")
    assert (within(10, found, "a"), within(10, found, "b"), within(10, None)) == ((10, 11), (10, 10), (10, 10))


def test_a_row_with_the_values_of_an_earlier_one_is_left_out(shelve) -> None:
    segment = segment_of(shelve, "甲乙甲乙")
    rows = [FoundRow(0, 0, 2, ((0, 1), (1, 2))), FoundRow(0, 2, 4, ((2, 3), (3, 4))), FoundRow(0, 0, 2, ((0, 1),))]
    assert without_repeats(segment, rows) == [rows[0], rows[2]]
