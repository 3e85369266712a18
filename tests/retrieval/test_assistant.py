from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.datatypes import Policy
from corpus.lexicons import load_glossary
from index.encoder import FakeEncoder
from index.maintain import prune_index, remove_apps, update_policies
from index.store import build_index
from index.turns import Turns
from retrieval import Assistant, Turn
from retrieval.decide import uncalibrated
from retrieval.search import Weights, rank

from ..conftest import ENCODER, decide
from ..invariants import check_answer, check_passages, check_rows

PATH = "个人中心-设置-账号注销"
DELETION = "您可以在“个人中心-设置-账号注销”里注销账号。"
SURE, NEVER = decide(bias=20.0), decide(bias=-20.0)
COVERED = decide(bias=-8.0, coverage=16.0)  # answers where a clause holds half of the question's lexical weight


@pytest.fixture(autouse=True, scope="module")
def weights_of_their_own():
    """The shipped weights are fitted to the real model; the small one knows spellings only, so words weigh more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retrieval.assistant.rank", partial(rank, weights=Weights(0.7, 3.0, 1.0)))
        yield


def ask(assistant, question, **options):
    """Ask, and check whatever comes back."""
    answer = assistant.ask(question, **options)
    check_answer(assistant, answer)
    return answer


# -- Situations -------------------------------------------------------------------------------------------------------


def test_a_question_that_the_policy_answers_gets_the_sentence_and_its_fact(assistant):
    answer = ask(assistant, "津心办怎么注销账号")
    assert (answer.status, answer.app, answer.language) == ("answered", "津心办", "zh")
    best = answer.citations[0]
    assert (best.quote, best.label, best.path[-1]) == (DELETION, "四(三)", "(三)注销用户管理")
    assert DELETION in best.text
    assert [(fact.kind, fact.text) for fact in answer.facts] == [("menu_path", PATH)]
    assert answer.text == f"在“{PATH}”里操作\n政策写明：“{DELETION}”"


def test_an_english_question_gets_the_path_glossed_and_verbatim(assistant):
    answer = ask(assistant, "how do I delete my account in 津心办")
    assert (answer.status, answer.app, answer.language) == ("answered", "津心办", "en")
    assert answer.citations[0].quote == DELETION
    assert PATH in answer.text
    assert "Settings" in answer.text


def test_a_traditional_question_is_answered_in_traditional_wording(assistant):
    answer = ask(assistant, "津心辦怎麼註銷帳號")
    assert (answer.status, answer.app, answer.language) == ("answered", "津心办", "zh-Hant")
    assert answer.citations[0].quote == DELETION
    assert "政策寫明" in answer.text


@pytest.mark.parametrize("bias", [-20.0, 20.0])
def test_a_hotline_that_is_asked_for_is_given_where_one_is_printed_whatever_the_model_says(shipped, bias):
    assistant = shipped.assistant(decide(bias=bias))
    given = assistant.ask("掌上海关的客服热线是多少")
    assert (given.status, [fact.text for fact in given.facts]) == ("answered", ["12360"])
    missing = assistant.ask("口袋证件照的客服电话是多少")
    assert (missing.status, missing.contact) == ("silent", assistant.policy("口袋证件照").contact)
    rows = {row.app: row.status for row in assistant.compare("Is there a hotline?", ["掌上海关", "口袋证件照"])}
    assert rows == {"掌上海关": "answered", "口袋证件照": "silent"}


def test_a_silent_policy_gives_the_nearest_clauses_and_the_operators_contact(shipped):
    answer = ask(shipped.assistant(NEVER), "津心办怎么注销账号")
    assert (answer.status, answer.app) == ("silent", "津心办")
    assert DELETION in answer.related[0].text
    assert len(answer.related) == 3
    assert "《津心办》" in answer.text
    assert "12345" in (answer.contact or "")
    assert (answer.contact or "") in answer.text


def test_an_app_that_is_not_here_is_named_and_never_answered_by_another(assistant):
    answer = ask(assistant, "淘宝怎么注销账号")
    assert answer.status == "unknown_app"
    assert "淘宝" in answer.text


def test_a_question_without_an_app_gets_a_row_of_every_app_best_first(shipped):
    assistant = shipped.assistant(COVERED)
    answer = ask(assistant, "怎么注销账号")
    assert answer.status == "which_app"
    assert {row.app for row in answer.rows} == set(assistant.apps())
    alone = {row.app: ask(assistant, "怎么注销账号", app=row.app).confidence for row in answer.rows}
    confidences = [alone[row.app] for row in answer.rows]
    assert confidences == sorted(confidences, reverse=True)
    assert answer.confidence == confidences[0]
    assert DELETION in [row.citation.quote for row in answer.rows if row.citation]


def test_eight_rows_at_most_where_no_app_is_named(shelve):
    policies = [Policy(f"应用{name}", f"我们会收集手机号码{name}。") for name in "甲乙丙丁戊己庚辛壬癸"]
    answer = ask(shelve(policies).assistant(SURE), "收集手机号码吗")
    assert answer.status == "which_app"
    assert len(answer.rows) == 8


def test_the_only_app_of_an_index_needs_no_name(shelve):
    assistant = shelve([Policy("应用甲", "我们会收集手机号码。")]).assistant(SURE)
    assert ask(assistant, "收集手机号码吗").app == "应用甲"


def test_two_named_apps_are_compared_in_the_order_of_the_question(assistant):
    answer = ask(assistant, "昶联和津心办怎么注销账号")
    assert answer.status == "compared"
    assert [row.app for row in answer.rows] == ["昶联", "津心办"]
    assert answer.rows[1].citation.quote == DELETION
    assert "2 个应用" in answer.text


@pytest.mark.parametrize("question", ["哪些app会收集位置信息", "which apps collect my location"])
def test_which_apps_asks_all_of_them(assistant, question):
    answer = ask(assistant, question)
    assert answer.status == "compared"
    assert tuple(row.app for row in answer.rows) == assistant.apps()


def test_an_app_that_is_not_here_is_a_row_of_a_comparison(assistant):
    answer = ask(assistant, "津心办和京东怎么注销账号")
    assert [(row.app, row.status) for row in answer.rows] == [("津心办", "answered"), ("京东", "unknown_app")]


def test_a_question_that_is_not_for_a_policy_is_off_topic(shipped):
    answer = ask(shipped.assistant(decide(topic=False)), "今天天气怎么样")
    assert answer.status == "off_topic"
    assert answer.app is None


@pytest.mark.parametrize("question", ["", "   ", "？？？", "🙂", "asdfghjkl", "啊啊啊"])
def test_blank_and_gibberish_is_off_topic_whatever_the_decision(assistant, question):
    assert ask(assistant, question, app="津心办").status == "off_topic"


def test_an_encoder_that_nobody_calibrated_still_tells_policy_questions_from_others(shipped):
    assistant = shipped.assistant(uncalibrated(ENCODER.dimension))
    assert ask(assistant, "津心办怎么注销账号").citations[0].quote == DELETION
    assert ask(assistant, "帮我写一首诗").status == "off_topic"


# -- Which app --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["昶联", "掌上海关", "掌上海关APP"])
def test_the_app_given_wins_over_the_one_named(assistant, app):
    answer = ask(assistant, "津心办怎么注销账号", app=app)
    assert answer.app == assistant.policy(app).app


def test_the_app_given_wins_over_the_history(assistant):
    history = [Turn("津心办怎么注销账号", "津心办")]
    assert ask(assistant, "怎么注销账号", app="汇容客", history=history).app == "汇容客"


def test_an_app_given_that_is_not_here_is_unknown_and_near_names_are_offered(assistant):
    answer = ask(assistant, "怎么注销账号", app="津云办")
    assert answer.status == "unknown_app"
    assert "津云办" in answer.text
    assert "津心办" in answer.text


def test_every_app_answers_the_same_question_from_its_own_policy(assistant):
    quotes = {app: ask(assistant, "怎么注销账号", app=app).citations[0].quote for app in assistant.apps()}
    assert len(set(quotes.values())) == len(quotes)
    for app, quote in quotes.items():
        assert quote in assistant.policy(app).text


def test_the_same_text_in_two_apps_is_cited_from_the_one_that_was_asked(shelve):
    text = "您可以在“我的-设置-注销”里注销账号。\n我们不会出售您的信息。"
    assistant = shelve([Policy("应用甲", text), Policy("应用乙", text)]).assistant(SURE)
    first, second = (ask(assistant, "怎么注销账号", app=app) for app in ("应用甲", "应用乙"))
    assert first.citations[0].quote == second.citations[0].quote == "您可以在“我的-设置-注销”里注销账号。"
    assert first.citations[0].policy_id == first.facts[0].policy_id == assistant.policy("应用甲").policy_id
    assert second.citations[0].policy_id == second.facts[0].policy_id == assistant.policy("应用乙").policy_id


# -- History ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("earlier", [Turn("怎么联系客服", "津心办"), "津心办怎么联系客服", Turn("津心办怎么联系客服")])
def test_the_app_comes_from_the_question_before(assistant, earlier):
    answer = ask(assistant, "怎么注销账号", history=[earlier])
    assert (answer.app, answer.citations[0].quote) == ("津心办", DELETION)


def test_the_latest_app_of_the_history_counts(assistant):
    history = [Turn("津心办怎么注销账号", "津心办"), Turn("汇容客怎么注销账号", "汇容客")]
    assert ask(assistant, "会收集哪些信息", history=history).app == "汇容客"


def test_an_app_that_is_not_here_stays_the_subject_of_a_follow_up(assistant):
    answer = ask(assistant, "要多久?", history=[Turn("淘宝怎么注销账号", "淘宝")])
    assert answer.status == "unknown_app"


@pytest.mark.parametrize("question", ["那星河云盘呢？", "换成晨光健身", "and Zorblax?"])
def test_a_follow_up_about_an_app_that_nobody_knows_gets_no_clause_of_the_one_before(assistant, question):
    answer = ask(assistant, question, history=[Turn("昶联怎么注销账号", "昶联")])
    assert (answer.status, answer.citations, answer.related) == ("unknown_app", (), ())


def test_an_elliptical_question_is_searched_with_the_one_before(shipped):
    assistant = shipped.assistant(COVERED)
    alone = ask(assistant, "那要怎么办?", app="津心办")
    followed = ask(assistant, "那要怎么办?", app="津心办", history=["怎么注销账号"])
    assert alone.status == "silent"
    assert followed.citations[0].quote == DELETION


def test_a_follow_up_is_completed_by_what_it_leans_on_alone(assistant):
    before = ["津心办怎么注销账号", Turn("多久", "津心办")]
    assert assistant.completed("那昶联呢?", before) == "怎么注销账号 多久 那呢?"
    assert assistant.completed("昶联", before) == "怎么注销账号 多久"
    assert assistant.completed("昶联会收集位置信息吗", before) == "会收集位置信息吗"


def test_a_follow_up_with_a_subject_of_its_own_is_not_drowned_by_the_question_before(shipped):
    assistant = shipped.assistant(COVERED)
    history = ["你们会不会收集位置信息、设备信息、照片和通讯录"]
    followed = ask(assistant, "那怎么注销账号?", app="津心办", history=history)
    assert (followed.status, followed.citations[0].quote) == ("answered", DELETION)


def test_a_follow_up_that_names_another_app_asks_the_same_of_it(assistant):
    followed = ask(assistant, "那津心办呢?", history=[Turn("口袋证件照怎么注销账号", "口袋证件照")])
    assert (followed.app, followed.citations[0].quote) == ("津心办", DELETION)


def test_an_identical_clause_of_another_apps_policy_is_never_cited_instead(shelve):
    text = "我们会在15个工作日内回复您的请求。\n我们使用加密技术。"
    both = shelve([Policy("应用甲", text), Policy("应用乙", text)]).assistant(SURE)
    for app in ("应用甲", "应用乙"):
        answer = ask(both, f"{app}多久回复请求")
        assert {citation.app for citation in answer.citations} == {app}
        assert {citation.policy_id for citation in answer.citations} == {both.policy(app).policy_id}


@pytest.mark.parametrize("name", ["津心办", "津心办?", "津心辦"])
def test_a_follow_up_that_is_only_a_name_asks_the_same_of_that_app(assistant, name):
    followed = ask(assistant, name, history=[Turn("口袋证件照怎么注销账号", "口袋证件照")])
    assert (followed.app, followed.citations[0].quote) == ("津心办", DELETION)


def test_a_question_that_stands_alone_is_not_mixed_with_the_history(assistant):
    question = "津心办会收集位置信息吗"
    assert ask(assistant, question, history=[Turn("怎么注销账号", "昶联")]) == ask(assistant, question)


# -- Parts, lists, limits ---------------------------------------------------------------------------------------------


def test_both_parts_of_a_question_are_answered_and_cited(assistant):
    answer = ask(assistant, "津心办怎么注销账号？你们的客服热线是多少？")
    assert answer.citations[0].quote == DELETION
    assert "客服热线:12345" in answer.citations[1].quote
    assert [(fact.kind, fact.text) for fact in answer.facts] == [("menu_path", PATH), ("phone", "12345")]
    assert DELETION in answer.text
    assert "电话：12345" in answer.text


def test_each_part_keeps_its_citation_where_one_is_asked_for(assistant):
    answer = ask(assistant, "津心办怎么注销账号？你们的客服热线是多少？", top_k=1)
    assert [DELETION in answer.citations[0].quote, "12345" in answer.citations[1].quote] == [True, True]
    assert len(answer.citations) == 2


def test_two_sentences_of_one_clause_that_answer_two_parts_are_two_citations(shelve):
    text = "您可以在“我的-设置-注销”里注销账号。我们将在15个工作日内处理完您的申请。\n我们不会出售您的信息。"
    assistant = shelve([Policy("应用甲", text)]).assistant(SURE)
    answer = ask(assistant, "怎么注销账号？多少个工作日处理完申请？", top_k=2)
    assert [citation.quote for citation in answer.citations][:2] == [
        "您可以在“我的-设置-注销”里注销账号。",
        "我们将在15个工作日内处理完您的申请。",
    ]
    assert [fact.text for fact in answer.facts] == ["我的-设置-注销", "15个工作日内"]


def test_a_part_on_which_the_policy_is_silent_is_said_to_be(shipped):
    answer = ask(shipped.assistant(COVERED), "津心办怎么注销账号？公司有多少名员工持股？")
    assert answer.status == "answered"
    assert answer.citations[0].quote == DELETION
    assert answer.text.endswith("政策没有说明。")


def test_what_answers_both_parts_is_said_once(shelve):
    assistant = shelve([Policy("应用甲", "您可以在“我的-设置”里注销账号。")]).assistant(SURE)
    answer = ask(assistant, "怎么注销账号？账号注销在哪里？")
    assert answer.text.count("政策写明") == 1
    assert len(answer.citations) == 1


def test_a_list_asked_for_is_one_citation_from_its_lead_in_to_its_last_item(assistant):
    answer = ask(assistant, "口袋证件照在哪些情形下可以请求删除个人信息")
    [citation] = answer.citations
    assert citation.quote == citation.text
    assert citation.quote.startswith("4.2.3 在以下情形中,您可以向我们提出删除个人信息的请求:\n(1)")
    assert citation.quote.endswith("\n(6)法律、行政法规规定的其他情形。")
    assert (citation.label, citation.lead_in) == ("4.2.3", "4.2 您有权删除您的个人信息,方式如下:")


def test_a_list_item_is_cited_with_its_lead_in(assistant):
    answer = ask(assistant, "口袋证件照会用相机权限拍摄吗")
    assert answer.citations[0].quote.startswith("(1)开通终端系统的相机权限")
    assert answer.citations[0].lead_in == next(
        clause.text for clause in assistant.clauses("口袋证件照") if clause.kind == "lead_in"
    )


def test_the_sentence_that_limits_the_quote_is_told(shelve):
    text = "我们不会出售您的个人信息。但法律法规要求的除外。您可以联系客服。\n我们使用加密技术。"
    answer = ask(shelve([Policy("应用甲", text)]).assistant(SURE), "会出售个人信息吗")
    assert answer.citations[0].quote == "我们不会出售您的个人信息。"
    assert answer.text.split("\n")[-1] == "例外：“但法律法规要求的除外。”"


def test_citations_are_at_most_as_many_as_asked_for_best_first(assistant):
    question = "津心办会收集位置信息吗"
    one, three = ask(assistant, question, top_k=1), ask(assistant, question, top_k=3)
    assert len(one.citations) == 1
    assert three.citations[0] == one.citations[0]
    scores = [citation.score for citation in three.citations]
    assert scores == sorted(scores, reverse=True)
    assert len(ask(assistant, question, top_k=50).citations) <= 3


# -- Any question -----------------------------------------------------------------------------------------------------


def test_the_same_question_gives_the_same_answer_also_from_an_index_opened_again(assistant, shipped, shipped_folder):
    again = Assistant.open(shipped_folder, encoder=ENCODER)
    for question in ("津心办怎么注销账号", "哪些app会收集位置信息", "怎么联系客服"):
        assert ask(assistant, question) == ask(assistant, question)
        assert ask(again, question) == ask(shipped.assistant(uncalibrated(ENCODER.dimension)), question)


TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="津心办昶联汇容客怎么注销账号多久哪些情形和呢那？。, 1()howapp\n", max_size=40),
    st.text(alphabet=st.characters(categories=("Cs", "Co", "Cn", "Lo", "Mn")), max_size=12),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    question=TEXTS,
    app=st.one_of(st.none(), st.sampled_from(["津心办", "淘宝"]), TEXTS),
    history=st.lists(st.one_of(TEXTS, st.builds(Turn, TEXTS, st.one_of(st.none(), TEXTS))), max_size=2),
    decision=st.sampled_from([SURE, NEVER, COVERED, uncalibrated(ENCODER.dimension)]),
)
def test_no_text_breaks_an_answer(shipped, question, app, history, decision):
    ask(shipped.assistant(decision), question, app=app, history=history)


@settings(max_examples=60, deadline=None)
@given(query=TEXTS, apps=st.one_of(st.none(), st.lists(TEXTS, max_size=3)))
def test_no_text_breaks_search_and_comparison(assistant, query, apps):
    check_passages(assistant, assistant.search(query, top_k=4))
    check_rows(assistant, assistant.compare(query, apps))


@pytest.mark.parametrize("question", [None, 7, b"\xe6", ["津心办"]])
def test_a_question_that_is_no_string_is_refused(assistant, question):
    with pytest.raises(TypeError, match="question must be a string"):
        assistant.ask(question)


def test_numbers_out_of_range_are_refused_with_what_came(assistant):
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        assistant.ask("怎么注销账号", top_k=0)
    with pytest.raises(ValueError, match="top_k must be at least 1, got -2"):
        assistant.search("怎么注销账号", top_k=-2)


# -- Search, comparison, policies, citations --------------------------------------------------------------------------


def test_search_across_apps_is_sorted_and_ranked_from_one(assistant):
    passages = assistant.search("怎么注销账号", top_k=12)
    check_passages(assistant, passages)
    assert len(passages) == 12
    assert len({passage.app for passage in passages}) > 1
    merged = sorted(
        (passage for app in assistant.apps() for passage in assistant.search("怎么注销账号", app, top_k=12)),
        key=lambda passage: (-passage.score, passage.clause_id),
    )
    assert [passage.clause_id for passage in passages] == [passage.clause_id for passage in merged[:12]]


def test_search_in_an_app_stays_there_and_a_named_app_is_one(assistant):
    passages = assistant.search("怎么注销账号", app="津心办", top_k=5)
    assert {passage.app for passage in passages} == {"津心办"}
    assert DELETION in passages[0].text
    assert assistant.search("津心办怎么注销账号", top_k=5) == passages


def test_search_for_more_than_there_is_returns_every_clause(assistant):
    passages = assistant.search("注销", app="口袋证件照", top_k=10_000)
    check_passages(assistant, passages)
    assert sorted(passage.clause_id for passage in passages) == [
        clause.clause_id for clause in assistant.clauses("口袋证件照")
    ]


@pytest.mark.parametrize("method", ["policy", "clauses"])
def test_an_app_that_is_not_in_the_index_is_refused_with_near_names(assistant, method):
    with pytest.raises(ValueError, match="no app '津云办' in the index; it has, for instance: 津心办"):
        getattr(assistant, method)("津云办")
    with pytest.raises(ValueError, match="no app '津云办'"):
        assistant.search("注销", app="津云办")


def test_compare_gives_one_row_an_app_in_the_order_given(assistant):
    rows = assistant.compare("怎么注销账号", ["津心办APP", "昶联", "津心办", "淘宝"])
    check_rows(assistant, rows)
    assert [(row.app, row.status) for row in rows] == [
        ("津心办", "answered"),
        ("昶联", "answered"),
        ("淘宝", "unknown_app"),
    ]
    assert tuple(row.app for row in assistant.compare("怎么注销账号")) == assistant.apps()
    assert assistant.compare("怎么注销账号", []) == ()


def test_each_row_of_a_comparison_is_found_when_it_is_asked_for_by_one_encoding(shipped, monkeypatch):
    assistant = shipped.assistant(SURE)
    encoded, judged = [], []
    encode, judge = ENCODER.encode_queries, assistant._judge
    monkeypatch.setattr(assistant._encoder, "encode_queries", lambda texts: encoded.append(texts) or encode(texts))
    monkeypatch.setattr(assistant, "_judge", lambda segment, sought: judged.append(segment) or judge(segment, sought))
    rows = assistant.compare_each("怎么注销账号")
    assert (len(encoded), judged) == (1, [])
    first = next(rows)
    assert (len(encoded), len(judged)) == (1, 1)
    assert (first, *rows) == assistant.compare("怎么注销账号")


@pytest.mark.parametrize(
    "question",
    ["怎么注销账号", "今天天气怎么样", "淘宝怎么注销", "", "asdf qwer", "how long is my data kept", "津心办", "1+1=?"],
)
def test_a_question_is_on_topic_where_ask_does_not_decline_it(assistant, question):
    assert assistant.is_on_topic(question) == (ask(assistant, question).status != "off_topic")


def test_a_changed_citation_does_not_verify(assistant):
    citation = ask(assistant, "津心办怎么注销账号").citations[0]
    other = assistant.policy("昶联")
    for changed in (
        replace(citation, quote=citation.quote[:-1] + "!"),
        replace(citation, start=citation.start + 1),
        replace(citation, text=citation.text + "。"),
        replace(citation, sha256="0" * 64),
        replace(citation, policy_id="unknown"),
        replace(citation, policy_id=other.policy_id, sha256=other.sha256),
    ):
        assert not assistant.verify(changed)


def test_an_answer_is_one_json_document(assistant):
    record = json.loads(json.dumps(ask(assistant, "津心办怎么注销账号").to_dict(), ensure_ascii=False))
    assert list(record) == [
        "status", "app", "language", "text", "confidence", "facts", "citations", "rows", "related", "contact",
    ]  # fmt: skip
    assert list(record["citations"][0]) == [
        "app", "policy_id", "sha256", "date", "clause_id", "path", "label", "lead_in",
        "text", "text_start", "text_end", "quote", "start", "end", "score",
    ]  # fmt: skip
    assert list(record["facts"][0]) == ["kind", "text", "start", "end", "policy_id"]


def test_the_apps_that_a_question_names_are_told_apart_from_names_in_passing(assistant):
    assert assistant.apps_named("津心办和昶联哪个收集位置") == ("津心办", "昶联")
    assert assistant.apps_named("用微信登录jinxinban安全吗") == ("津心办",)
    assert assistant.apps_named("淘宝怎么注销账号") == ("淘宝",)
    assert assistant.apps_named("怎么注销账号") == ()


def test_a_question_without_its_apps_keeps_what_it_asks(assistant):
    assert assistant.without_apps("津心办怎么注销账号") == "怎么注销账号"
    assert assistant.without_apps("用微信登录jinxinban安全吗") == "用微信登录安全吗"
    assert assistant.without_apps("怎么注销账号") == "怎么注销账号"


# -- Many apps, and an index that changes ------------------------------------------------------------------------------


def test_of_very_many_apps_the_nearest_are_compared_and_the_answer_says_so(assistant, monkeypatch):
    monkeypatch.setattr("retrieval.assistant.MOST_COMPARED", 2)
    answer = ask(assistant, "哪些app会收集位置信息")
    assert answer.status == "compared" and len(answer.rows) == 2
    assert answer.text.endswith("收录的 5 个应用里，只看了最接近这个问题的 2 个。")


def test_of_many_apps_a_question_without_one_is_put_to_the_nearest(assistant, monkeypatch):
    every = assistant.search("怎么注销账号", top_k=5)
    monkeypatch.setattr("retrieval.assistant.CANDIDATE_APPS", 3)
    near = assistant.search("怎么注销账号", top_k=5)
    assert near[0] == every[0] and len({passage.app for passage in near}) <= 3
    assert len(ask(assistant, "怎么注销账号").rows) == 3


def test_what_was_pruned_before_it_was_opened_is_answered_from_the_newest_generation(tmp_path, monkeypatch):
    monkeypatch.setattr("index.reader.HELD_BYTES", 0)  # a small index is open as a whole
    first, old = Policy("应用甲", "我们收集手机号码。"), Policy("应用乙", "您可以拨打电话注销账号。")
    corrected = replace(old, operator="某公司")
    build_index([first, old, Policy("应用丙", "我们收集位置。")], tmp_path, ENCODER)
    assistant = Assistant.open(tmp_path, encoder=ENCODER)
    with assistant.pinned():
        update_policies(tmp_path, [corrected], ENCODER)
        remove_apps(tmp_path, ["应用丙"])
        prune_index(tmp_path)
        assert assistant.policy("应用甲") == first
        assert assistant.search("注销账号", app="应用乙")[0].text == old.text
        assert assistant.policy("应用乙") == corrected
        with pytest.raises(ValueError, match="no app '应用丙' in the index"):
            assistant.policy("应用丙")


# -- Many at once -----------------------------------------------------------------------------------------------------


def test_of_questions_at_once_one_computes_and_the_others_are_encoded_meanwhile(shipped, monkeypatch):
    here = threading.Barrier(4)
    computing, most = [0], [0]

    class MetEncoder(FakeEncoder):
        def encode_queries(self, texts):
            here.wait(20)  # passes when all four have come to be encoded
            return super().encode_queries(texts)

    def counted(*arguments, **options):
        computing[0] += 1
        most[0] = max(most[0], computing[0])
        threading.Event().wait(0.005)
        computing[0] -= 1
        return rank(*arguments, **options)

    alone = shipped.assistant(SURE)
    expected = alone.ask("怎么注销账号", app="津心办")
    monkeypatch.setattr("retrieval.assistant.rank", counted)
    together = Assistant(shipped.generation, MetEncoder(), shipped.resolver, load_glossary(), SURE)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(together.ask, "怎么注销账号", app="津心办") for _ in range(4)]
        assert [answer.result(20).citations[0].clause_id for answer in answers] == [expected.citations[0].clause_id] * 4
    assert most == [1]


def test_a_question_to_all_apps_computes_beside_the_others(shipped, monkeypatch):
    compared, held = threading.Event(), threading.Event()

    def waiting(segment, *arguments, **options):
        if segment.policy.app == "昶联":
            compared.set()
            assert held.wait(20)
        return rank(segment, *arguments, **options)

    monkeypatch.setattr("retrieval.assistant.rank", waiting)
    assistant = shipped.assistant(SURE)
    assistant._turns = Turns(patience=1000)
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(assistant.ask, "哪些应用可以注销账号")
        assert compared.wait(20)
        assert assistant.ask("怎么注销账号", app="津心办").status == "answered"
        held.set()
        assert reply.result(20).status == "compared"
