"""The sentence of a single cell: what states it, what only mentions it, and what the quote takes in."""

from __future__ import annotations

import re

import numpy as np
import pytest

from corpus.datatypes import Policy
from corpus.lexicons import load_glossary
from corpus.topics import TOPICS, Topic
from index.segment import Segment
from retrieval import Assistant
from retrieval.cells import SOUGHT, only_cites, own_words
from retrieval.datatypes import Cell, CellKey
from retrieval.topics import Judged

from ..conftest import ENCODER, Shelf, decide

POLICY = """示例隐私政策
在使用前,我们将说明为您提供的访问、更正、删除个人信息和注销账号的方式。
一、我们如何存储您的个人信息
我们在中华人民共和国境内收集的个人信息存储在中华人民共和国境内。超出保存期限后,我们将删除您的个人信息。我们仅在实现目的所必需的最短期限内保留您的个人信息。
二、您的权利
(一)您可以通过“我的-设置-个人资料”访问您的个人信息。
(二)在以下情形中,您可以向我们提出删除个人信息的请求:
1.如果我们处理个人信息的行为违反法律法规;
2.如果您注销了账号。
(三)您可以申请注销账号。我们将在15个工作日内处理完毕。注销账号后,我们将停止为您提供服务。
(四)当您投诉他人时,我们会收集您的姓名和联系方式。
三、法律
为遵守法院判决、裁定,我们可能披露您的个人信息。
四、联系我们
您可以通过以下方式联系我们:
客服电话:400-123-4567
邮箱:privacy@example.com
"""


@pytest.fixture(scope="module")
def cells(shelve) -> dict[CellKey, Cell]:
    assistant = shelve([Policy("示例", POLICY)]).assistant(decide(bias=20.0))
    return {cell.key: cell for cell in assistant.profile("示例").cells}


def quote(cell: Cell) -> str | None:
    return cell.citation.quote if cell.citation else None


def test_the_sentence_that_states_it_is_quoted(cells: dict[CellKey, Cell]) -> None:
    assert quote(cells["storage_place"]) == "我们在中华人民共和国境内收集的个人信息存储在中华人民共和国境内。"
    assert quote(cells["storage_period"]) == "我们仅在实现目的所必需的最短期限内保留您的个人信息。"


def test_the_menu_path_of_a_right_is_a_fact(cells: dict[CellKey, Cell]) -> None:
    assert quote(cells["right_access"]) == "(一)您可以通过“我的-设置-个人资料”访问您的个人信息。"
    assert [(fact.kind, fact.text) for fact in cells["right_access"].facts] == [("menu_path", "我的-设置-个人资料")]


def test_a_time_limit_in_the_next_sentence_joins_the_quote(cells: dict[CellKey, Cell]) -> None:
    assert quote(cells["right_cancel"]) == "(三)您可以申请注销账号。我们将在15个工作日内处理完毕。"
    assert [fact.text for fact in cells["right_cancel"].facts] == ["15个工作日内"]


def test_a_lead_in_is_quoted_with_its_items(cells: dict[CellKey, Cell]) -> None:
    text = quote(cells["right_delete"])
    assert text is not None
    assert text.startswith("(二)在以下情形中")
    assert text.endswith("2.如果您注销了账号。")


def test_the_ways_to_get_in_touch_are_quoted_together(cells: dict[CellKey, Cell]) -> None:
    facts = [(fact.kind, fact.text) for fact in cells["contact"].facts]
    assert facts == [("phone", "400-123-4567"), ("email", "privacy@example.com")]


@pytest.mark.parametrize("key", ["right_complaint", "court", "right_copy", "children", "permissions_refusal"])
def test_a_mention_is_not_a_statement(cells: dict[CellKey, Cell], key: CellKey) -> None:
    assert not cells[key].is_stated


def test_every_pattern_can_be_read_and_every_cell_has_phrasings() -> None:
    for sought in SOUGHT:
        assert len(sought.phrasings) >= 3
        for wording in (*sought.states, sought.heading, sought.against, sought.names, sought.rather_not):
            re.compile(wording)


class AllOn:
    """A classifier that takes every clause for one on the same topic."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic

    def judge(self, segment: Segment) -> Judged:
        labelled = np.zeros((len(segment.clauses), len(TOPICS)), np.bool_)
        labelled[:, TOPICS.index(self._topic)] = True
        starts = np.arange(len(segment.clauses) + 1)
        return Judged(segment.first_units, starts, labelled.astype(np.float32), labelled)


def profile(shelf: Shelf, key: CellKey, *, bias: float = 20.0, topic: Topic | None = None) -> str | None:
    classifier = AllOn(topic) if topic else None
    decision = decide(bias=bias)
    assistant = Assistant(
        shelf.generation,
        ENCODER,
        shelf.resolver,
        load_glossary(),
        decision,
        topic_classifier=classifier,  # type: ignore[arg-type]
    )
    return quote(assistant.profile("示例").cell(key))


@pytest.fixture(scope="module")
def stall(shelve) -> Shelf:
    """A short policy whose wordings no list of wordings has."""
    text = """示例隐私政策
一、个人信息的查看
想看看填过的个人信息,就点一下“我的-资料”。
二、其余
不想留了,客服把填过的个人信息删掉。
"""
    return shelve([Policy("示例", text)])


def test_where_no_wording_fits_the_answer_under_a_heading_of_the_matter_is_quoted(stall: Shelf) -> None:
    assert profile(stall, "right_access") == "想看看填过的个人信息,就点一下“我的-资料”。"


def test_where_nothing_answers_the_matter_is_not_stated(stall: Shelf) -> None:
    assert profile(stall, "right_access", bias=-20.0) is None


def test_without_a_heading_the_topic_of_the_clause_decides(stall: Shelf) -> None:
    assert profile(stall, "right_delete") is None
    assert profile(stall, "right_delete", topic="storage") is None
    assert profile(stall, "right_delete", topic="rights") == "不想留了,客服把填过的个人信息删掉。"


def test_an_answer_that_does_not_name_the_matter_is_no_answer(stall: Shelf) -> None:
    for key in ("right_copy", "right_cancel", "court"):
        assert profile(stall, key, topic="rights") is None


STATED = [
    ("storage_period", "登录日志保存六个月。"),
    ("storage_place", "您的资料存放在北京的机房。"),
    ("children", "我们不向14周岁以下的儿童提供服务。"),
    ("permissions_refusal", "您可以在手机的设置里把相机权限关掉。"),
    ("right_access", "如您有查阅个人信息的需要,您可联系privacy@example.com办理。"),
    ("right_correct", "您可以点击头像进入资料页面,以更正您的性别和生日。"),
    ("right_withdraw", "您可以通过客服改变您授权我们处理信息的范围,但我们可能无法响应您的部分请求。"),
    ("changes", "对于重大变更,我们还会以弹窗方式通知您。"),
    ("contact", "如您对本政策有疑问,您可发送邮件至privacy@example.com。"),
]


@pytest.mark.parametrize(("key", "sentence"), STATED)
def test_a_wording_states_it_whatever_the_model_says(shelve, key: CellKey, sentence: str) -> None:
    text = f"示例隐私政策\n一、我们的做法\n{sentence}\n我们重视您的个人信息。\n"
    assert profile(shelve([Policy("示例", text)]), key, bias=-20.0) == sentence


MENTIONED = [
    ("right_access", "我们将会申请访问您的设备信息权限。"),
    ("right_access", "如果您允许别人访问您的账户,他们可以看到您的信息。"),
    ("right_copy", "如果需要将您的个人信息转移到境外,我们将另行获得您的同意。"),
    ("right_correct", "我们会在备份更新时删除这些信息。"),
    ("storage_period", "《电子商务法》规定交易信息保存时间不少于三年。"),
    ("storage_period", "遵从法律有关留存的要求（例如：《电子商务法》规定交易信息保存时间不少于三年）。"),
    ("court", "与犯罪侦查、起诉和审判有关的,由法院诉讼解决。"),
]


@pytest.mark.parametrize(("key", "sentence"), MENTIONED)
def test_a_law_an_example_or_another_matter_does_not_state_it(shelve, key: CellKey, sentence: str) -> None:
    text = f"示例隐私政策\n一、我们的做法\n{sentence}\n我们重视您的个人信息。\n"
    assert profile(shelve([Policy("示例", text)]), key, bias=-20.0) is None


def test_what_a_law_demands_is_the_apps_rule_where_the_app_says_so() -> None:
    assert only_cites("《网络安全法》要求网络日志留存不少于六个月。")
    assert not only_cites("按照《网络安全法》的要求,我们留存网络日志不少于六个月。")
    assert own_words("我们保存\n日志（如IP地址）六个月（比如登录日志）。") == "我们保存 日志（如IP地址）六个月。"


STEPS = """示例隐私政策
一、您的权利
(一)您可通过以下方式注销您的账号:
1.进入首页后点击左上角头像;
2.点击【注销账号】;
3.点击【确定】。
(二)您可以通过以下方式更正您的个人信息:
1.通过“我的-设置-个人资料”更正您的基本信息;
2.通过客服更正您的其余信息。
二、撤回
您还可以联系客服撤回您的授权同意。
您可以通过“我的-设置-隐私”撤回您的授权同意。
三、联系我们
如您对本政策有任何疑问、投诉;或者有任何建议;您都可以发送邮件至privacy@example.com与我们联系。
"""


@pytest.fixture(scope="module")
def steps(shelve) -> Shelf:
    return shelve([Policy("示例", STEPS)])


def test_a_step_is_quoted_with_its_lead_in_and_the_steps_beside_it(steps: Shelf) -> None:
    text = profile(steps, "right_cancel")
    assert text is not None
    assert text.startswith("(一)您可通过以下方式注销您的账号:")
    assert text.endswith("3.点击【确定】。")


def test_a_sentence_that_only_adds_a_way_gives_way_to_the_one_before_all(steps: Shelf) -> None:
    assert profile(steps, "right_withdraw") == "您可以通过“我的-设置-隐私”撤回您的授权同意。"


def test_a_case_alone_is_quoted_with_what_follows_from_it(steps: Shelf) -> None:
    text = profile(steps, "right_complaint")
    assert text is not None
    assert text.startswith("如您对本政策有任何疑问、投诉;")
    assert text.endswith("privacy@example.com与我们联系。")


def test_of_a_long_list_of_ways_the_first_are_quoted(shelve) -> None:
    items = "".join(f"{number}.在“我的-设置-第{number}页”中管理{'很' * 60}多的授权;\n" for number in range(1, 13))
    text = f"示例隐私政策\n一、授权\n您可以通过以下方式撤回您的授权同意:\n{items}"
    found = profile(shelve([Policy("示例", text)]), "right_withdraw")
    assert found is not None
    assert found.startswith("您可以通过以下方式撤回您的授权同意:\n1.在“我的-设置-第1页”")
    assert found.endswith("多的授权;")
    assert len(found) <= 600


def test_ways_under_headings_of_their_own_are_quoted_with_their_announcement(shelve) -> None:
    text = """示例隐私政策
一、您的权利
您可以通过以下方式撤回您的授权同意:
(一)系统权限
在手机的设置里关闭相关权限。
二、其余
我们重视您。
"""
    found = profile(shelve([Policy("示例", text)]), "right_withdraw")
    assert found == "您可以通过以下方式撤回您的授权同意:\n(一)系统权限\n在手机的设置里关闭相关权限。"
