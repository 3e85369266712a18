import json
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.blocks import is_blank
from corpus.datatypes import Clause, Outline, Policy
from corpus.load import default_policies_folder, load_policies
from corpus.parser import parse_policy, split_policy

SHARED = Path(__file__).parents[3] / "shared" / "data"


@cache
def _seed(app: str) -> tuple[Policy, Outline]:
    policy = next(policy for policy in load_policies([default_policies_folder()]) if policy.app == app)
    return policy, parse_policy(policy)


def _clause(app: str, beginning: str, *, nth: int = 0) -> Clause:
    return [clause for clause in _seed(app)[1].clauses if clause.text.startswith(beginning)][nth]


def _lead_in(app: str, clause: Clause) -> str:
    return next(other.text for other in _seed(app)[1].clauses if other.clause_id == clause.lead_in)


def _parse(text: str) -> list[Clause]:
    return split_policy(Policy("甲", text))


def _labels(text: str) -> list[str]:
    return [clause.label for clause in _parse(text)]


def assert_whole(policy: Policy, outline: Outline) -> None:
    """Invariants 1 and 2: every character that is not white space lies in exactly one clause or piece of furniture."""
    pieces = sorted([*outline.clauses, *outline.furniture], key=lambda piece: piece.start)
    position = 0
    for piece in pieces:
        assert position <= piece.start < piece.end
        assert all(is_blank(character) for character in policy.text[position : piece.start])
        position = piece.end
    assert all(is_blank(character) for character in policy.text[position:])
    ids = [clause.clause_id for clause in outline.clauses]
    assert ids == [f"{policy.policy_id}.{ordinal:04d}" for ordinal in range(len(ids))]
    for clause in outline.clauses:
        assert policy.text[clause.start : clause.end] == clause.text
        assert clause.lead_in is None or clause.lead_in in ids[: ids.index(clause.clause_id)]


def test_the_clause_on_closing_an_account_is_found_where_the_policy_prints_it() -> None:
    clause = _clause("津心办", "您可以在“个人中心-设置-账号注销”里注销账号")
    assert clause.path == ("四、您如何管理您的个人信息", "(三)注销用户管理")
    assert (clause.label, clause.kind, clause.lead_in) == ("四(三)", "paragraph", None)


def test_a_nested_list_is_labelled_and_hangs_on_two_lead_ins() -> None:
    clause = _clause("津心办", "3)您可以通过关闭定位功能")
    assert clause.path == ("一、我方如何收集与使用您的个人信息", "(一)信息的收集")
    assert (clause.label, clause.kind) == ("一(一)24(2)3)", "item")
    outer = _clause("津心办", "(2) 位置信息,指您开启设备定位功能")
    assert (clause.lead_in, outer.kind, outer.label) == (outer.clause_id, "lead_in", "一(一)24(2)")
    assert _lead_in("津心办", outer).startswith("24.您使用服务时")


def test_unnumbered_items_hang_on_the_numbered_lead_in() -> None:
    clause = _clause("津心办", "获取MAC信息")
    assert (clause.label, clause.kind) == ("一(一)24(3)", "item")
    assert _lead_in("津心办", clause).startswith("(3)设备信息")


def test_the_same_item_in_three_lists_keeps_its_own_lead_in() -> None:
    leads = [_lead_in("津心办", _clause("津心办", "1.与国家安全、国防安全", nth=nth)) for nth in range(3)]
    assert [lead[-13:] for lead in leads] == [
        "无需另行征求您的授权同意:",
        "无需事先征得您的授权同意:",
        "方将可能无法响应您的请求:",
    ]


def test_a_heading_that_is_a_whole_paragraph_is_a_clause() -> None:
    clause = _clause("津心办", "(四)在访问、修改、删除、注销账号的相关信息时")
    assert (clause.kind, clause.label, clause.path) == ("heading", "四(四)", ("四、您如何管理您的个人信息",))


def test_a_contents_list_is_furniture_with_the_line_that_announces_it() -> None:
    policy, outline = _seed("津心办")
    listed = [policy.text[piece.start : piece.end] for piece in outline.furniture if piece.kind == "contents"]
    assert len(listed) == 11
    assert (listed[0][:10], listed[1], listed[-1]) == (
        "您可以根据以下索引阅",
        "一、我方如何收集与使用您的个人信息",
        "十、其它",
    )


def test_a_contents_list_with_other_numbers_is_recognised() -> None:
    policy, outline = _seed("汇容客")
    listed = [policy.text[piece.start : piece.end] for piece in outline.furniture if piece.kind == "contents"]
    assert listed[1:] == [
        "1. 我们收集的信息",
        "2. 信息的存储",
        "3. 信息安全",
        "4. 我们如何使用信息",
        "5. 对外提供",
        "6. 你的权利",
        "7. 变更",
        "8. 未成年人保护",
        "9. 争议管辖",
        "10. 联系我们",
    ]


def test_a_short_numbered_line_over_its_body_is_a_heading() -> None:
    clause = _clause("掌上海关", "如果您希望成为“掌上海关”APP用户")
    assert clause.path[1:] == ("(一)我们在您使用服务过程中收集的信息", "1)帮助您成为“掌上海关”APP用户")
    assert clause.label == "三(一)1)"


def test_a_paragraph_after_a_list_hangs_on_no_lead_in() -> None:
    clause = _clause("掌上海关", "若我们决定响应您的删除请求")
    assert (clause.label, clause.kind, clause.lead_in) == ("五(三)", "paragraph", None)


def test_several_items_on_one_line_are_several_clauses() -> None:
    items = [_clause("口袋证件照", beginning) for beginning in ("(1)开通终端", "(2)使用终端", "(3)开通终端")]
    assert [item.label for item in items] == ["1.2(1)", "1.2(2)", "1.2(3)"]
    assert {_lead_in("口袋证件照", item)[:4] for item in items} == {"1.2 "}


def test_a_dotted_number_replaces_its_prefix_in_the_label() -> None:
    assert _clause("口袋证件照", "4.2.1 如果您已完成").label == "4.2.1"
    assert _clause("口袋证件照", "(2)如果我们收集、使用您的个人信息").label == "4.2.3(2)"
    assert _clause("昶联", "3.1.2 在法定情形下的共享").label == "3.1.2"


def test_a_chapter_that_only_the_contents_list_names_is_in_the_path() -> None:
    assert _clause("口袋证件照", "4.2.2 您可以联系我们").path == ("4. 您的权利:您如何管理、修改及删除您的个人信息",)
    clause = _clause("口袋证件照", "本政策适用中华人民共和国大陆地区的法律")
    assert (clause.path, clause.label) == (("8. 法律适用及管辖",), "8")


def test_paragraphs_that_go_on_with_an_item_have_its_label() -> None:
    assert _clause("掌上海关", "友盟统计分析:").label == "三(一)2)7"
    assert _clause("掌上海关", "如您不同意上述第三方服务商").label == "三(一)2)"


def test_a_lone_semicolon_belongs_to_the_clause_before() -> None:
    assert _clause("口袋证件照", "(2)如果我们收集、使用您的个人信息").text.endswith("明确同意\n;")


def test_a_number_alone_on_its_line_belongs_to_the_text_below() -> None:
    clause = _clause("汇容客", "3.\n")
    assert clause.label == "二3"
    assert "存储期限:我们会采取" in clause.text


def test_a_sentence_cut_inside_a_word_is_one_clause() -> None:
    text = _clause("汇容客", "(3)消息推送设置").text
    assert "互动消息推\n\n    送,汇圈" in text.replace("汇客圈", "汇圈")


def test_chapters_of_a_second_part_do_not_stand_under_the_first() -> None:
    assert _clause("昶联", "1.1. 昶联网站的 Logo").path == ("法律声明", "一、权利归属")
    assert _clause("昶联", "1.1.1 在用户使用").path[:2] == ("隐私政策", "一、我们如何收集和使用用户信息")


def test_a_number_of_the_wrong_style_goes_on_with_its_neighbours() -> None:
    clause = _clause("昶联", "敏感个人信息,是指")
    assert clause.path[-1] == "4. 有关敏感个人信息的提示"
    assert (clause.path[-2], clause.label) == ("三、我们如何共享、转让、公开披露用户信息", "三4")


def test_nesting_follows_the_order_of_styles_and_not_a_table() -> None:
    text = "1)收集\n一、我们收集姓名。\n(a)甲。\n(b)乙。\n二、我们收集电话。\n2)使用。"
    assert _labels(text) == ["1)一", "1)一(a)", "1)一(b)", "1)二", "2)"]


def test_one_style_stands_at_two_levels() -> None:
    text = "1. 甲目的\n在如下情形时，我们征求同意：\n1.甲甲；\n2.乙乙。\n2. 乙目的\n您好。"
    assert _labels(text) == ["1", "1.1", "1.2", "2"]


def test_documents_in_one_file_are_told_apart() -> None:
    text = "甲隐私政策\n一、总则\n您好。\n<it is delimiter>\n儿童须知\n一、总则\n再见。\n<the-end-of-privacy-policy>"
    policy = Policy("甲", text)
    outline = parse_policy(policy)
    assert [(c.document, c.path, c.text) for c in outline.clauses] == [
        ("甲隐私政策", ("一、总则",), "您好。"),
        ("儿童须知", ("一、总则",), "再见。"),
    ]
    assert [piece.kind for piece in outline.furniture] == [
        "heading",
        "heading",
        "separator",
        "heading",
        "heading",
        "footer",
    ]


def test_circled_numbers_inside_a_sentence_stay() -> None:
    text = "3.1 我们会共享：①姓名；②电话；③地址。"
    assert [clause.text for clause in _parse(text)] == [text]


def test_very_short_items_are_kept() -> None:
    clauses = _parse("信息来源包括：\n- 短信信息\n- 图片\n- 音频信息\n我们会保护。")
    assert [(c.text, c.kind) for c in clauses] == [
        ("信息来源包括：", "lead_in"),
        ("- 短信信息", "item"),
        ("- 图片", "item"),
        ("- 音频信息", "item"),
        ("我们会保护。", "paragraph"),
    ]


def test_a_full_width_dot_and_no_dot_number_as_well() -> None:
    assert _labels("1．您在注册时提供姓名。\n2．您在登录时提供密码。\n3 我们如何使用信息。") == ["1", "2", "3"]


def test_lines_are_cut_at_newlines_alone() -> None:
    assert [c.text for c in _parse("一、甲\u2028乙。\n\ufeff二、丙\x85丁。")] == ["一、甲\u2028乙。", "二、丙\x85丁。"]


@pytest.mark.parametrize("app", ["口袋证件照", "掌上海关", "昶联", "汇容客", "津心办"])
def test_nothing_of_the_shipped_policies_is_lost(app: str) -> None:
    assert_whole(*_seed(app))


_NUMBERS = ("一、", "二、", "（一）", "(1)", "1.", "2.", "1.1 ", "3.1.2", "1)", "a)", "iv.", "①", "• ", "- ")
_WORDS = ("目录", "以下内容：", "包括:", "隐私政策", "我们收集信息", "\n", "<it is delimiter>", "----")
_PIECES = st.sampled_from([*_NUMBERS, *_WORDS, *"您。；;，：“（) A3\n\t\ufeff\u200b\u2028\x85"])


def test_a_circled_digit_before_a_dotted_number_is_no_chapter():
    policy = Policy("某应用", "①\n一、\n1.1 \n")
    assert_whole(policy, parse_policy(policy))


@given(st.lists(_PIECES, max_size=60).map("".join))
@settings(max_examples=400, deadline=None)
def test_nothing_of_a_generated_text_is_lost(text: str) -> None:
    policy = Policy("甲", text)
    assert_whole(policy, parse_policy(policy))


@given(st.text(max_size=200))
def test_nothing_of_any_text_is_lost(text: str) -> None:
    policy = Policy("甲", text)
    assert_whole(policy, parse_policy(policy))


@pytest.mark.parametrize(
    "unit", ["1.以下:\n", "收集信息\n", "(1)甲;", "甲,\n", ";\n", "如下:\n项目\n", "1.甲。\n甲。\n", "(" * 5]
)
def test_time_grows_with_the_length_of_the_text(unit: str) -> None:
    def seconds(count: int) -> float:
        policy = Policy("甲", unit * count)
        started = time.process_time()
        parse_policy(policy)
        return time.process_time() - started

    seconds(1_000)
    assert seconds(32_000) < 30 * max(seconds(4_000), 0.005)


@pytest.mark.policies130
@pytest.mark.skipif(not (SHARED / "policies").exists(), reason="../shared/data/policies is absent")
def test_nothing_of_the_130_policies_is_lost_and_their_evidence_stays_whole() -> None:
    policies = {policy.app: policy for policy in load_policies([SHARED / "policies"])}
    assert len(policies) == 130
    outlines = {app: parse_policy(policy) for app, policy in policies.items()}
    for app, policy in policies.items():
        assert_whole(policy, outlines[app])
    asked = found = 0
    for path in sorted((SHARED / "questions" / "train").glob("*.jsonl")):
        for question in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            for quote in question["evidence"]:
                asked += 1
                found += any(quote in clause.text for clause in outlines[question["app"]].clauses)
    assert found / asked >= 0.99
