"""The sentence of a single cell: what states it, what only mentions it, and what the quote takes in."""

from __future__ import annotations

import re

import pytest

from corpus.datatypes import Policy
from retrieval.cells import SOUGHT
from retrieval.datatypes import Cell, CellKey

from ..conftest import decide

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
        for wording in (*sought.states, sought.heading, sought.against):
            re.compile(wording)
