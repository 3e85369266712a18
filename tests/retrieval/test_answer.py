from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from corpus.datatypes import Policy
from corpus.lexicons import load_glossary
from corpus.load import default_policies_folder, load_policies
from corpus.renderings import render_span
from retrieval.answer import (
    ENGLISH_TEXT_LENGTH,
    TEXT_LENGTH,
    answer_line,
    choose_quote,
    cite,
    distinct,
    fact_line,
    facts_of,
    limit_of,
    list_span,
    passage_of,
    shorten,
)
from retrieval.datatypes import Fact
from retrieval.gloss import Glosser
from retrieval.query import Glossary, understand
from retrieval.search import rank

from ..conftest import ENCODER

GLOSSER, GLOSSARY = Glosser(load_glossary()), Glossary(load_glossary())
NESTED = Policy(
    "应用甲",
    "一、删除\n在以下情形中,您可以要求删除:\n(1)违反法律的;\n(2)下列情形:\n1)您撤回同意的;\n2)我们停止服务的。\n"
    "二、其他\n我们使用加密技术。我们的电话是400-800-1234。但节假日除外。",
)


@pytest.fixture(scope="module")
def segment(shelve):
    [segment] = shelve([NESTED]).generation.segments
    return segment


def look(segment, question, language="zh"):
    """Return the ranking of ``segment`` for a question, and the question as understood."""
    asked = understand(question, language, GLOSSARY)
    [vector] = ENCODER.encode_queries([asked.query.text]).vectors
    return rank(segment, asked.query, vector), asked


def ordinal_of(segment, text):
    return next(i for i, clause in enumerate(segment.clauses) if text in clause.text)


def test_a_list_runs_from_its_lead_in_to_the_last_item_of_the_list_inside_it(segment):
    head = ordinal_of(segment, "在以下情形中")
    for member in ("在以下情形中", "(1)"):
        found = list_span(segment, ordinal_of(segment, member))
        assert found is not None
        assert found[0] == head
        assert NESTED.text[found[1] : found[2]].startswith("在以下情形中")
        assert NESTED.text[found[1] : found[2]].endswith("2)我们停止服务的。")
    inner = list_span(segment, ordinal_of(segment, "1)您撤回"))
    assert inner is not None
    assert NESTED.text[inner[1] : inner[2]] == "(2)下列情形:\n1)您撤回同意的;\n2)我们停止服务的。"
    assert list_span(segment, ordinal_of(segment, "加密技术")) is None


def test_a_lead_in_is_cited_with_its_items_and_an_item_alone_with_its_lead_in(segment):
    ranking, asked = look(segment, "撤回同意会怎样")
    head = cite(ranking, ordinal_of(segment, "在以下情形中"), asked)
    assert head.quote == head.text
    assert head.quote.endswith("2)我们停止服务的。")
    item = cite(ranking, ordinal_of(segment, "1)您撤回"), asked)
    assert (item.quote, item.lead_in) == ("1)您撤回同意的;", "(2)下列情形:")
    ranking, asked = look(segment, "哪些情形可以删除")
    assert cite(ranking, ordinal_of(segment, "(1)"), asked).quote == head.quote


def test_a_clause_of_a_file_with_several_documents_is_cited_by_its_documents_title(shelve):
    text = "应用甲隐私政策\n一、总则\n我们重视您的信息。\n<it is delimiter>\n儿童隐私保护声明\n一、总则\n我们保护儿童。"
    [segment] = shelve([Policy("应用甲", text)]).generation.segments
    ranking, asked = look(segment, "怎么保护儿童")
    citation = cite(ranking, ordinal_of(segment, "我们保护儿童"), asked)
    assert citation.path == ("儿童隐私保护声明", "一、总则")
    assert passage_of(ranking, ordinal_of(segment, "我们重视"), 1).path == ("应用甲隐私政策", "一、总则")


def test_the_quote_holds_the_sentence_with_the_fact_that_is_wanted(segment):
    ranking, asked = look(segment, "电话是多少")
    begin, end = choose_quote(ranking, ordinal_of(segment, "加密技术"), asked)
    assert "我们的电话是400-800-1234。" in NESTED.text[begin:end]


@pytest.mark.parametrize(
    ("told", "question", "quoted"),
    [
        (("语音输入时我们实时处理您的语音内容。", "我们不会保存您的数据。"), "会保存我的语音吗", 2),
        (("语音输入时我们实时处理您的语音内容。", "我们不会保存您的数据。"), "语音内容怎么处理", 1),
        (("读取通讯录后用于匹配好友。", "我们不会读取您的短信。"), "会读取通讯录吗", 1),  # another thing is denied
        (("我们不会收集您的通讯录。", "我们会收集您的位置信息。"), "会收集我的通讯录吗", 1),
        (("我们不会收集您的通讯录。", "我们不会收集您的信息。"), "会收集我的通讯录吗", 1),  # it says so by itself
    ],
)
def test_the_quote_goes_on_to_the_sentence_that_denies_what_is_asked(shelve, told, question, quoted):
    [segment] = shelve([Policy("应用甲", f"一、收集\n{''.join(told)}该功能可以随时关闭。")]).generation.segments
    ordinal = ordinal_of(segment, told[0])
    ranking, asked = look(segment, question)
    _, last = segment.unit_range(ordinal)
    scores = np.full_like(ranking.unit_scores, 0.1)
    scores[last - 3] = 0.9  # the first sentence is by far the nearest
    begin, end = choose_quote(replace(ranking, unit_scores=scores), ordinal, asked)
    assert segment.policy.text[begin:end] == "".join(told[:quoted])


def test_facts_are_those_of_the_quote_and_of_the_kind_that_is_asked_for(segment):
    ranking, asked = look(segment, "电话是多少")
    citation = cite(ranking, ordinal_of(segment, "加密技术"), asked)
    [fact] = facts_of(citation, asked.wanted)
    assert (fact.kind, fact.text, NESTED.text[fact.start : fact.end]) == ("phone", "400-800-1234", "400-800-1234")


def test_a_sentence_that_limits_the_quote_is_found_only_right_after_it(segment):
    ranking, asked = look(segment, "电话是多少")
    citation = cite(ranking, ordinal_of(segment, "加密技术"), asked)
    starts = {name: NESTED.text.index(name) for name in ("我们使用", "我们的电话", "但节假日")}

    def quoting(start, end):
        return replace(citation, quote=NESTED.text[start:end], start=start, end=end)

    limit = limit_of(quoting(starts["我们的电话"], starts["但节假日"]))
    assert limit is not None
    assert NESTED.text[slice(*limit)] == "但节假日除外。"
    assert limit_of(quoting(starts["我们使用"], starts["我们的电话"])) is None
    assert limit_of(quoting(starts["但节假日"], len(NESTED.text))) is None


def test_a_quote_inside_an_earlier_one_is_cited_once(segment):
    ranking, asked = look(segment, "可以要求删除吗")
    head, item, other = (
        cite(ranking, ordinal_of(segment, text), asked) for text in ("在以下情形中", "(1)", "加密技术")
    )
    assert distinct([head, item, other, head]) == (head, other)
    assert distinct([item, head]) == (item, head)


@pytest.mark.parametrize(
    ("text", "question", "language", "begins"),
    [
        ("我们不会出售您的个人信息。", "会出售我的信息吗", "zh", "不，政策写明："),
        ("我们不会出售您的个人信息。", "do you sell my data", "en", "No. The policy states:"),
        ("我们会收集您的位置信息。", "会收集位置信息吗", "zh", "是的，政策写明："),
        ("我们可能会收集您的位置信息。", "会收集位置信息吗", "zh", "政策写明："),
        ("我们会收集您的位置信息。", "收集哪类信息", "zh", "政策写明："),
    ],
)
def test_yes_and_no_come_from_explicit_wording_alone(shelve, text, question, language, begins):
    [segment] = shelve([Policy("应用甲", text)]).generation.segments
    ranking, asked = look(segment, question, language)
    assert answer_line(segment, cite(ranking, 0, asked), (), asked, GLOSSER).startswith(begins)


def test_an_english_reader_gets_the_unofficial_english_where_it_is_written(shelve):
    [shipped] = (policy for policy in load_policies([default_policies_folder()]) if policy.app == "津心办")
    [segment] = shelve([shipped]).generation.segments
    ranking, asked = look(segment, "how do I cancel my account", "en")
    [ordinal] = (
        n for n, clause in enumerate(segment.clauses) if clause.label == "四(三)" and "账号注销" in clause.text
    )
    citation = cite(ranking, ordinal, asked)
    english = render_span(segment.clauses, citation.start, citation.end)
    line = answer_line(segment, citation, (), asked, GLOSSER)
    assert english is not None and shorten(english, ENGLISH_TEXT_LENGTH) in line
    assert "unofficial English" in line
    assert not any("\u4e00" <= char <= "\u9fff" for char in line)


def test_an_english_reader_gets_the_words_of_a_fact_beside_its_gloss():
    limit = Fact("time_limit", "15个工作日内", 0, 7, "p")
    assert fact_line(limit, "en", GLOSSER) == "Time: within 15 working days (15个工作日内)"
    assert fact_line(limit, "zh", GLOSSER) == "期限：15个工作日内"
    assert fact_line(Fact("menu_path", "甲-乙", 0, 3, "p"), "en", GLOSSER) == "Go to 甲-乙 (甲-乙)"


def test_scores_are_shown_between_0_and_1_best_first(segment):
    ranking, asked = look(segment, "电话是多少")
    beyond = replace(ranking, score=ranking.score * 99 - 1)
    shown = [passage_of(beyond, int(ordinal), place).score for place, ordinal in enumerate(beyond.order, start=1)]
    assert shown == sorted(shown, reverse=True)
    assert (shown[0], shown[-1]) == (1.0, 0.0)
    assert cite(beyond, int(beyond.order[0]), asked).score == 1.0


def test_a_long_quote_is_cut_in_the_text_to_one_line():
    assert shorten("一\n 二") == "一 二"
    assert shorten("字" * TEXT_LENGTH) == "字" * TEXT_LENGTH
    assert shorten("字" * (TEXT_LENGTH + 1)) == "字" * (TEXT_LENGTH - 1) + "…"
