"""Answers as HTML: what is marked, what is said beside a clause, and that no text becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace

from corpus.datatypes import Policy
from corpus.lexicons import load_glossary
from corpus.parser import split_policy
from retrieval.datatypes import Answer, Citation, Row
from retrieval.gloss import Glosser
from web.reader import render_policy
from web.render import (
    cite_as_markdown,
    cite_as_text,
    cited_url,
    find_limits,
    mark_span,
    reader_url,
    render_citation,
    render_turn,
)

from .fakes import HOSTILE, FakeAssistant

POLICY_TEXT = f"一、注销\n您可以注销{HOSTILE}。我们会删除您的信息。\n二、联系我们\n请拨打客服电话。"


def no_english(app: str, start: int, end: int, version: str) -> None:
    """Stand for a corpus without renderings."""


def hostile_assistant() -> FakeAssistant:
    return FakeAssistant([Policy(f"坏{HOSTILE}", POLICY_TEXT)])


def tags_in(html: str) -> set[str]:
    return set(re.findall(r"<(\w+)", html))


def test_only_the_quote_is_marked_inside_its_clause() -> None:
    assert mark_span("甲<乙>丙", 1, 4) == '甲<mark lang="zh">&lt;乙&gt;</mark>丙'


def test_a_span_outside_the_text_marks_nothing() -> None:
    for start, end in ((-1, 2), (2, 2), (1, 9)):
        assert mark_span("甲乙丙", start, end) == "甲乙丙"


def test_markup_in_a_policy_shows_as_text() -> None:
    assistant = hostile_assistant()
    [app] = assistant.apps()
    html = render_turn("怎么注销账号", assistant.ask("怎么注销账号", app=app), english=assistant.rendering)
    assert 'class="wt-card"' in html
    assert tags_in(html).isdisjoint({"script", "img"})
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    page = render_policy(assistant.policy(app), assistant.clauses(app), language="zh")
    assert tags_in(page).isdisjoint({"script", "img"})


def test_markup_in_a_question_shows_as_text_in_every_status() -> None:
    assistant = FakeAssistant()
    hostile = f'{HOSTILE}" onclick="alert(3)'
    for question in ("津心办怎么注销账号", "津心办的股价", "怎么注销", "哪些应用可以注销", "淘宝", "天气"):
        asked = f"{question} {hostile}"
        html = render_turn(
            asked,
            assistant.ask(asked),
            english=lambda *span: hostile,
            offered_apps=assistant.apps(),
            named_app="昶联",
        )
        assert tags_in(html).isdisjoint({"script", "img"}), question
        assert '" onclick' not in html, question


def test_a_card_states_app_path_label_date_and_that_the_official_version_prevails() -> None:
    assistant = FakeAssistant()
    [citation] = assistant.ask("how do I delete my account in 津心办").citations
    html = render_citation(citation, "zh", no_english)
    for part in ("津心办", "四、您如何管理您的个人信息 › (三)注销用户管理", "四(三)", "以官方最新版本为准"):
        assert part in html, part
    assert ("版本日期未注明" in html) == (citation.date is None)
    assert '<mark lang="zh">您可以在“个人中心-设置-账号注销”里注销账号。</mark>' in html


def test_an_item_is_shown_with_its_lead_in_and_a_list_shows_it_once() -> None:
    lead_in, item = "在以下情形中，您可以提出删除请求：", "1.我们违法处理信息；"
    alone = make_citation(lead_in, item)
    assert render_citation(alone, "zh", no_english).count(lead_in) == 1
    whole = make_citation(lead_in, f"{lead_in}\n{item}")
    assert render_citation(whole, "zh", no_english).count(lead_in) == 1
    assert "承接上文" not in render_citation(whole, "zh", no_english)


def make_citation(lead_in: str, text: str) -> Citation:
    return Citation("某应用", "p", "s", None, "p.0001", (), "", lead_in, text, 0, len(text), text, 0, len(text), 0.9)


def test_each_row_offers_to_ask_its_app_alone() -> None:
    assistant = FakeAssistant()
    html = render_turn("怎么注销", assistant.ask("怎么注销"), english=no_english)
    assert re.findall(r'data-app="([^"]+)"', html) == list(assistant.apps())


def test_a_row_of_an_app_that_is_not_covered_offers_nothing() -> None:
    answer = Answer("compared", None, "zh", "对照如下。", 0.2, rows=(Row("淘宝", "unknown_app", "没有收录。"),))
    assert "data-ask" not in render_turn("淘宝和微信", answer, english=no_english)


def test_a_decline_shows_the_nearest_clauses_as_no_answer_and_the_contact() -> None:
    html = render_turn("津心办的股价", FakeAssistant().ask("津心办的股价"), english=no_english)
    assert "相近的条款（不是答案）" in html
    assert "022-12345" in html
    assert "<mark" not in html


def test_the_frame_speaks_the_answers_language_and_the_quote_stays_chinese() -> None:
    assistant = FakeAssistant()
    asked = "how do I delete my account in 津心办"
    html = render_turn(asked, assistant.ask(asked), english=assistant.rendering)
    assert 'class="wt-turn" lang="en"' in html
    assert '<p class="wt-english" lang="en"><span class="wt-tag">Unofficial English</span> You can cancel' in html
    assert "wt-english" not in render_turn(asked, assistant.ask(asked), english=no_english)
    assert "wt-english" not in render_turn(
        "津心办怎么注销", assistant.ask("津心办怎么注销"), english=assistant.rendering
    )
    assert '<blockquote class="wt-clause" lang="zh">' in html
    assert "not legal advice" in html


def test_a_fact_has_its_english_beside_it_for_an_english_question_only() -> None:
    assistant = FakeAssistant()
    glosser = Glosser(load_glossary())
    for asked, count in (("how do I delete my account in 津心办", 1), ("津心办怎么注销", 0)):
        html = render_turn(asked, assistant.ask(asked), english=no_english, gloss=glosser.gloss)
        assert html.count('<span class="wt-gloss" lang="en">— Personal centre › Settings › Cancel account') == count


def quoting(text: str, quote: str) -> Citation:
    citation = make_citation("", text)
    start = text.index(quote)
    return replace(citation, text_start=100, text_end=100 + len(text), quote=quote, start=100 + start,
                   end=100 + start + len(quote))  # fmt: skip


LONG = "我们会核实您的身份。" * 40


def test_what_limits_a_quote_is_shown_below_a_clause_so_long_that_it_scrolls() -> None:
    citation = quoting(
        f"您可以注销账号。{LONG}但有未结清订单的，不能注销。法律法规另有规定的除外。", "您可以注销账号。"
    )
    assert find_limits(citation) == ["但有未结清订单的，不能注销。", "法律法规另有规定的除外。"]
    html = render_citation(citation, "zh", no_english)
    below = html.partition("</blockquote>")[2]
    for limit in find_limits(citation):
        assert f'<span class="wt-tag">限制</span> <span lang="zh">{limit}</span>' in below


def test_a_quote_that_holds_its_own_limit_and_a_short_clause_repeat_nothing() -> None:
    own = quoting(f"您可以注销账号，法律另有规定的除外。{LONG}", "您可以注销账号，法律另有规定的除外。")
    assert find_limits(own) == []
    short = quoting("您可以注销账号。但有未结清订单的除外。", "您可以注销账号。")
    html = render_citation(short, "zh", no_english)
    assert "但有未结清订单的除外。" in html and "wt-limit" not in html


def test_a_citation_as_text_and_as_markdown_says_the_same() -> None:
    citation = replace(
        quoting("1. 见[说明]*一*：\n\n- <b>删除</b>_权_。", "1. 见[说明]*一*：\n\n- <b>删除</b>_权_。"),
        app="某_应用",
        path=("一、权利", "(二)删除"),
        label="一(二)",
        date="2024-08-01",
    )
    source = "某_应用 · 一(二) · 一、权利 › (二)删除 · 版本日期 2024-08-01 · 以官方最新版本为准"
    assert cite_as_text(citation, "zh") == f"“{citation.quote}”\n{source}\n"
    escaped = "> 1\\. 见\\[说明\\]\\*一\\*：\n>\n> \\- \\<b\\>删除\\</b\\>\\_权\\_。\n\n— "
    assert cite_as_markdown(citation, "zh") == f"{escaped}{source.replace('_', chr(92) + '_')}\n"


def test_the_pages_own_buttons_are_there_only_where_its_script_is() -> None:
    assistant = FakeAssistant()
    answer = assistant.ask("津心办怎么注销")
    plain = render_turn("津心办怎么注销", answer, english=no_english)
    full = render_turn("津心办怎么注销", answer, english=no_english, controls=True, suggestions=["怎么联系？"])
    for part in ("data-evidence", "data-change", "data-all-apps", "复制为 Markdown", cited_url(answer.citations)):
        assert part not in plain and part in full, part
    assert 'data-ask="怎么联系？" data-app="津心办"' in full


def test_what_quotes_nothing_is_not_offered_as_evidence() -> None:
    nearest = FakeAssistant().search("注销", app="津心办")
    for status, evidence in (("off_topic", False), ("unknown_app", False), ("silent", True), ("compared", True)):
        related = nearest if status == "silent" else ()
        rows = (Row("津心办", "silent", "……"),) if status == "compared" else ()
        answer = Answer(status, None, "zh", "……", 0.0, related=related, rows=rows)  # type: ignore[arg-type]
        assert ("data-evidence" in render_turn("问", answer, english=no_english, controls=True)) is evidence


def test_an_address_keeps_every_character_of_an_apps_name() -> None:
    assert (
        reader_url("甲/乙?#%", "p.0001", (3, 9))
        == "read/%E7%94%B2%2F%E4%B9%99%3F%23%25?clause=p.0001&start=3&end=9#p.0001"
    )


def test_the_reader_shows_the_whole_text_with_the_quote_marked_in_the_cited_clause() -> None:
    assistant = FakeAssistant()
    [citation] = assistant.ask("how do I delete my account in 津心办").citations
    policy = assistant.policy("津心办")
    page = render_policy(
        policy,
        assistant.clauses("津心办"),
        language="zh",
        clause_id=citation.clause_id,
        span=(citation.start, citation.end),
    )
    assert re.findall(r'<mark lang="zh">(.*?)</mark>', page) == [citation.quote]
    assert re.findall(r'<p id="([^"]+)"[^>]*aria-current="true"', page) == [citation.clause_id]
    shown = re.sub(r"\s", "", re.sub(r"<[^>]+>", "", page.partition("<main")[2].partition(">")[2]))
    assert shown.replace("被引用的条款", "", 1) == re.sub(r"\s", "", policy.text)


def test_a_quote_over_several_clauses_is_marked_in_each() -> None:
    policy = Policy("某应用", "一、删除\n在以下情形中，您可以提出删除请求：\n1.我们违法处理信息；\n2.我们停止运营。")
    clauses = split_policy(policy)
    start, end = policy.text.index("在以下"), len(policy.text)
    page = render_policy(policy, clauses, language="zh", clause_id=clauses[0].clause_id, span=(start, end))
    marked = re.findall(r'<mark lang="zh">(.*?)</mark>', page)
    assert marked == ["在以下情形中，您可以提出删除请求：", "1.我们违法处理信息；", "2.我们停止运营。"]


def test_a_link_to_a_clause_of_another_version_says_so() -> None:
    assistant = FakeAssistant()
    page = render_policy(
        assistant.policy("昶联"), assistant.clauses("昶联"), language="en", clause_id="0" * 16 + ".0001"
    )
    assert "not in the current version" in page
    assert "aria-current" not in page


def test_a_card_says_what_its_clause_is_about_where_that_is_known():
    assistant = FakeAssistant()
    [citation] = assistant.ask("津心办怎么注销账号").citations
    for language, said in (("zh", "主题：数据、权限管理"), ("en", "Topic: ")):
        assert f"<footer><span>{said}" in render_citation(citation, language, no_english, topics=assistant.topics)
    gone = replace(citation, clause_id="0000000000000000.0001")
    assert "主题" not in render_citation(gone, "zh", no_english, topics=assistant.topics)
