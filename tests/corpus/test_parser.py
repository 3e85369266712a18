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


def test_the_full_text_of_a_policy_after_its_summary_is_a_document_of_its_own() -> None:
    text = "甲隐私政策摘要\n" + "我们重视您的个人信息。\n" * 21 + "甲隐私政策\n一、总则\n本政策适用于甲。"
    clauses = _parse(text)
    assert (clauses[0].address, clauses[-1].address) == (("甲隐私政策摘要",), ("甲隐私政策", "一、总则"))
    assert _parse(text.replace("摘要", "声明"))[-1].document is None


@pytest.mark.policies130
@pytest.mark.skipif(not (SHARED / "policies").exists(), reason="../shared/data/policies is absent")
@pytest.mark.parametrize(
    ("file", "documents"),
    [
        (
            "抖音",
            {
                2: "“抖音”隐私政策",
                560: "《帐号及信息同步授权协议》",
                677: "儿童/青少年使用须知",
                731: "抖音亲子平台服务协议",
            },
        ),
        ("QQ", {2: "QQ隐私保护指引", 437: "儿童隐私保护声明"}),
        ("三国志战略版", {5: "灵犀互娱隐私政策", 374: "淘宝网儿童个人信息保护规则及监护人须知"}),
        ("暗黑破坏神：不朽", {2: "网易隐私政策", 397: "网易儿童个人信息保护规则及监护人须知"}),
        ("穿越火线", {3: "《掌上穿越火线》隐私保护指引", 173: "儿童隐私保护声明"}),
        ("王者荣耀", {2: None, 362: "《儿童隐私保护指引》"}),
        ("汽水音乐", {2: "“汽水音乐”隐私政策简明版", 40: "“汽水音乐”隐私政策完整版"}),
        ("斗鱼直播", {2: "斗鱼隐私权政策摘要", 111: "斗鱼隐私权政策"}),
        ("KEEP", {1: None}),
    ],
)
def test_each_document_of_a_file_is_cited_by_its_own_title(file: str, documents: dict[int, str | None]) -> None:
    """``documents``: a line at or above the first clause of each document, and its title; KEEP is one document."""
    policy = next(policy for policy in load_policies([SHARED / "policies"]) if policy.app == file)
    for clause in split_policy(policy):
        line = policy.text.count("\n", 0, clause.start) + 1
        title = documents[max((first for first in documents if first <= line), default=min(documents))]
        assert clause.document == title
        assert clause.address == ((title, *clause.path) if title else clause.path)


def test_a_title_above_a_date_is_no_heading_though_link_texts_stand_before_it() -> None:
    text = (
        "下载\nhttps://example.com/policy.pdf\n甲隐私保护政策\n更新日期：2022年8月5日\n"
        "1. 收集\n我们收集信息。\n2. 存储\n保存在境内。"
    )
    outline = parse_policy(Policy("甲", text))
    assert [clause.path for clause in outline.clauses] == [(), (), ("1. 收集",), ("2. 存储",)]
    titles = [text[piece.start : piece.end] for piece in outline.furniture][:2]
    assert titles == ["下载", "甲隐私保护政策"]


def test_bullets_under_a_heading_that_a_bullet_announces_stand_under_the_heading() -> None:
    text = (
        "一、收集\n• 扩展功能及所需信息如下：\n（1）方便您使用\n我们收集设备信息。\n（2）其他服务\n• 订票需提供姓名。"
    )
    clauses = _parse(text)
    assert clauses[-1].text == "• 订票需提供姓名。"
    assert clauses[-1].path == ("一、收集", "（2）其他服务")


def test_a_sentence_between_two_items_leads_in_those_after_it() -> None:
    text = (
        "我们使用以下SDK：\n（1）甲SDK：用于登录。\n（2）乙SDK：用于定位。\n"
        "安卓版还涉及以下SDK：\n（3）丙SDK：用于推送。\n（4）丁SDK：用于支付。"
    )
    clauses = _parse(text)
    leads = {clause.clause_id: clause.text for clause in clauses}
    assert [leads.get(clause.lead_in or "") for clause in clauses] == [
        None,
        "我们使用以下SDK：",
        "我们使用以下SDK：",
        None,
        "安卓版还涉及以下SDK：",
        "安卓版还涉及以下SDK：",
    ]


def test_a_paragraph_right_after_an_announcement_is_its_item() -> None:
    text = (
        "（一）复制\n您可以通过以下方式自行操作：\n登录客户端，进入“我的信息”，复制您的个人信息。\n"
        "我们会验证您的身份，请您配合。"
    )
    clauses = _parse(text)
    assert [(clause.kind, clause.lead_in) for clause in clauses] == [
        ("lead_in", None),
        ("item", clauses[0].clause_id),
        ("paragraph", None),
    ]


def test_a_paragraph_between_an_announcement_and_its_numbers_is_no_item() -> None:
    text = (
        "（二）我们会出于以下目的收集信息：\n您理解并同意，我们会不断改进服务，增加新的功能，并向您说明。\n"
        "1、登录\n您需要提供手机号码，以便登录。\n2、支付\n您需要提供银行卡号，以便支付。"
    )
    assert {clause.lead_in for clause in _parse(text)} == {None}


def test_terms_set_off_by_dashes_are_items() -> None:
    text = (
        "您可以通过以下方式访问：\n账户信息——登录后您可以查询个人资料。\n"
        "寄件记录--登录后您可以查看此类信息。\n如有疑问，请联系我们。"
    )
    clauses = _parse(text)
    assert [clause.lead_in is not None for clause in clauses] == [False, True, True, False]


def test_the_contents_list_of_a_second_document_is_furniture_though_nothing_announces_it() -> None:
    chapters = ["1.我们收集的信息", "2.如何使用", "3.存储", "4.联系我们"]
    body = "".join(
        f"{chapter}\n这是正文，讲的是这一章。\n还有一段正文，请您阅读。\n又一段，请您留意。\n" for chapter in chapters
    )
    text = (
        "甲隐私政策\n"
        + "我们重视您的个人信息。\n" * 40
        + "【提示】\n请您阅读本声明。\n"
        + "\n".join(chapters)
        + "\n"
        + body
    )
    outline = parse_policy(Policy("甲", text))
    listed = [piece for piece in outline.furniture if piece.kind == "contents"]
    assert [text[piece.start : piece.end] for piece in listed] == chapters
    assert [clause.label for clause in outline.clauses[-12::3]] == ["1", "2", "3", "4"]


def test_of_two_contents_lists_both_are_furniture() -> None:
    chapters = ["我们如何收集信息", "我们如何共享信息", "您的权利", "如何联系我们"]
    first = "".join(f"{number}、{chapter}\n" for number, chapter in enumerate(chapters, 1))
    second = "".join(f"{number}、{chapter}\n" for number, chapter in zip("一二三四", chapters, strict=True))
    body = "".join(
        f"{number}、{chapter}\n这是正文，讲的是这一章。\n还有一段正文，请您阅读。\n又一段，请您留意。\n"
        for number, chapter in zip("一二三四", chapters, strict=True)
    )
    text = f"本政策将帮助您了解以下内容：\n{first}我们深知个人信息的重要性。\n目录：\n{second}{body}"
    outline = parse_policy(Policy("甲", text))
    assert sum(piece.kind == "contents" for piece in outline.furniture) == 10
    assert outline.clauses[0].text == "我们深知个人信息的重要性。"


def test_the_first_chapter_in_slightly_other_words_is_no_entry_of_the_list_above_it() -> None:
    chapters = ["如何收集您的信息", "如何共享信息", "您的权利", "如何联系我们"]
    entries = "".join(f"{number}、{chapter}\n" for number, chapter in zip("一二三四", chapters, strict=True))
    body = "".join(
        f"{number}、{chapter}\n（一）这是正文，讲的是这一章。\n（二）还有正文，请您阅读。\n（三）请您留意。\n"
        for number, chapter in zip("一二三四", chapters, strict=True)
    )
    clauses = _parse(f"本政策将帮助您了解以下内容：\n{entries}{body.replace('如何收集您的信息', '如何收集您信息', 1)}")
    assert (clauses[0].path, clauses[0].label) == (("一、如何收集您信息",), "一（一）")


def test_a_bullet_that_opens_a_list_is_a_heading_where_its_siblings_are() -> None:
    long = "我们会按照合法、正当、必要的原则处理您的个人信息，并在处理之前告知您处理的目的、方式和范围。"
    text = (
        f"• 前言\n{long}\n• 我们如何存储您的个人信息\n1.境内存储，保存期限为最短期限。\n2.超出期限后删除。\n"
        f"• 联系我们\n{long}"
    )
    assert [clause.path for clause in _parse(text)] == [
        ("• 前言",),
        ("• 我们如何存储您的个人信息",),
        ("• 我们如何存储您的个人信息",),
        ("• 联系我们",),
    ]


def test_a_heading_after_a_numbered_sentence_of_its_list_stays_a_heading() -> None:
    text = (
        "我们会出于以下目的收集您的信息：\n1、注册登录\n您需要提供手机号码，以便创建账号。\n2、您理解并同意，我们会申请权限：\n"
        "（1）访问存储，以便上传照片；\n（2）访问位置，以便推荐。\n3、征得同意的例外\n法律另有规定的，无需征得您的同意。"
    )
    clauses = _parse(text)
    assert [clause.path for clause in clauses if clause.text.startswith("法律")] == [("3、征得同意的例外",)]
    assert [clause.path for clause in clauses if clause.text.startswith("2、")] == [()]


def test_a_chapter_named_with_a_closing_mark_is_a_heading() -> None:
    text = "一、总则\n您好。\n二、我们如何保存您的个人信息；\n（一）地点\n保存在境内。\n三、您的权利\n您可以查询。"
    assert [clause.path for clause in _parse(text)] == [
        ("一、总则",),
        ("二、我们如何保存您的个人信息；", "（一）地点"),
        ("三、您的权利",),
    ]


def test_an_appendix_stands_beside_the_chapters_and_not_in_one() -> None:
    text = "一、总则\n您好。\n附则：\n不同地区分别适用下述政策：\n欧盟：甲；"
    assert [clause.path for clause in _parse(text)] == [("一、总则",), ("附则：",), ("附则：",)]


def test_a_part_stands_beside_the_chapters_before_it_and_holds_those_after_it() -> None:
    text = "一、总则\n您好。\n第一部分 定义\n甲是指甲公司。\n第二部分 政策\n一、收集\n我们收集信息。"
    assert [clause.path for clause in _parse(text)] == [
        ("一、总则",),
        ("第一部分 定义",),
        ("第二部分 政策", "一、收集"),
    ]


def test_a_second_count_of_articles_stands_beside_the_first() -> None:
    text = "第一条 总则\n您好。\n第二条 修订\n会公告。\n以下为另一版本，请您阅读。\n第一条 序言\n再见。"
    assert [(clause.path, clause.label) for clause in _parse(text)][-1] == (("第一条 序言",), "第一条")


def test_a_number_without_a_dot_before_personal_information_is_a_number() -> None:
    text = "1 收集\n您好。\n2 个人信息的共享\n我们不共享。\n2 个月内删除。"
    assert [(clause.path, clause.label) for clause in _parse(text)] == [
        (("1 收集",), "1"),
        (("2 个人信息的共享",), "2"),
        (("2 个人信息的共享",), "2"),
    ]


def test_a_heading_without_a_number_does_not_stand_in_the_bullets_before_it() -> None:
    text = (
        "甲隐私政策\n您提供的信息\n您使用服务时会提供以下信息。\n• 姓名和电话，用于联系您；\n"
        "我们获取的信息\n您使用服务时我们会记录以下信息。\n• 设备信息，用于安全。"
    )
    assert _parse(text)[-1].path == ("我们获取的信息",)


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
