"""Every clause of the shipped policies has its English, and only clauses that stand in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from corpus.datatypes import Clause
from corpus.load import default_policies_folder, load_policies
from corpus.parser import split_policy
from corpus.renderings import load_renderings, render_span, rendering_key
from corpus.sentences import split_sentences


@pytest.fixture(scope="module")
def clauses() -> dict[str, list[Clause]]:
    return {policy.app: split_policy(policy) for policy in load_policies([default_policies_folder()])}


def all_clauses(clauses: dict[str, list[Clause]]) -> list[Clause]:
    return [clause for own in clauses.values() for clause in own]


def missing(clauses: Sequence[Clause]) -> list[str]:
    """Return the texts of clauses without a rendering, or with one that has another number of sentences."""
    english = load_renderings()
    return [
        clause.text
        for clause in clauses
        if len(english.get(rendering_key(clause.text), ())) != len(split_sentences(clause.text))
    ]


def test_every_clause_of_the_shipped_policies_has_a_rendering_of_each_sentence(
    clauses: dict[str, list[Clause]],
) -> None:
    assert missing(all_clauses(clauses)) == []


def test_a_reworded_clause_counts_as_missing(clauses: dict[str, list[Clause]]) -> None:
    reworded = replace(clauses["津心办"][0], text=clauses["津心办"][0].text.replace("隐私", "私隐"))
    assert missing([reworded]) == [reworded.text]


def test_no_rendering_is_stale(clauses: dict[str, list[Clause]]) -> None:
    current = {rendering_key(clause.text) for clause in all_clauses(clauses)}
    assert sorted(set(load_renderings()) - current) == []


def test_no_clause_is_rendered_twice() -> None:
    files = (default_policies_folder().parent / "renderings").glob("*.jsonl")
    keys = [line[:27] for file in files for line in file.read_text(encoding="utf-8").split("\n") if line]
    assert len(keys) == len(set(keys)) == len(load_renderings())


def test_renderings_are_english_and_not_empty() -> None:
    for sentences in load_renderings().values():
        for sentence in sentences:
            assert sentence.strip() == sentence != ""
            assert not any("\u4e00" <= char <= "\u9fff" for char in sentence), sentence


def test_figures_of_a_clause_stand_in_its_rendering(clauses: dict[str, list[Clause]]) -> None:
    english = load_renderings()
    for clause in all_clauses(clauses):
        rendered = " ".join(english[rendering_key(clause.text)])
        for number in re.findall(r"[\w.+-]+@[\w.-]+\w|(?<![\w-])\d[\d-]{6,}\d", clause.text, re.ASCII):
            assert number in rendered, (clause.text, number)


def test_a_sentence_is_rendered_alone_and_a_list_line_by_line(clauses: dict[str, list[Clause]]) -> None:
    own = clauses["津心办"]
    greeting = own[0]
    (first, last), *_ = split_sentences(greeting.text)
    alone = render_span(own, greeting.start + first, greeting.start + last)
    assert alone == load_renderings()[rendering_key(greeting.text)][0]
    both = render_span(own, own[0].start, own[1].end)
    assert both is not None
    assert both.split("\n") == [" ".join(load_renderings()[rendering_key(clause.text)]) for clause in own[:2]]


def test_a_span_with_an_unknown_clause_has_no_rendering(clauses: dict[str, list[Clause]]) -> None:
    unknown = replace(clauses["津心办"][0], text="别的文字。", end=clauses["津心办"][0].start + 5)
    assert render_span([unknown], unknown.start, unknown.end) is None
