"""The score of profiles: each outcome of a cell, rows found by their anchor, values that are the sheet's."""

from __future__ import annotations

from typing import Any

import pytest

from evaluation.profile import ListScore, cell_outcome, is_same, report, score_list, score_profiles
from retrieval.datatypes import CELL_COLUMNS, CELL_KEYS, Cell, Citation, Fact, Profile, ProfileRow


def cite(text: str, quote: str) -> Citation:
    start = text.index(quote)
    return Citation(
        "示例", "p", "s", None, "p.0", (), "一", None, text, 0, len(text), quote, start, start + len(quote), 0.0
    )


CITED = Cell("court", cite("因本政策发生争议的,由被告所在地法院管辖。", "由被告所在地法院管辖。"))


@pytest.mark.parametrize(
    ("cell", "expected", "outcome"),
    [
        (CITED, {"stated": True, "evidence": ["由被告所在地法院管辖"]}, "right"),
        (CITED, {"stated": True, "evidence": ["别的句子", "因本政策发生争议的，由被告所在地法院管辖。"]}, "right"),
        (CITED, {"stated": True, "evidence": ["别的句子"]}, "wrong quote"),
        (CITED, {"stated": False}, 'false "stated"'),
        (Cell("court"), {"stated": True, "evidence": ["由被告"]}, 'false "not stated"'),
        (Cell("court"), {"stated": False}, "right"),
    ],
)
def test_a_cell_has_one_of_four_outcomes(cell: Cell, expected: dict[str, Any], outcome: str) -> None:
    assert cell_outcome(cell, expected) == outcome


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        ("手机号、姓名", "手机号，姓名。", True),
        ("您注册账号", "当您注册账号时", True),
        ("", "手机号", False),
        ("手机号", "姓名", False),
        ("信息", "您主动提供的手机号信息", False),
    ],
)
def test_a_value_is_the_sheets_where_one_holds_the_other(found: str, expected: str, same: bool) -> None:
    assert is_same(found, expected) is same


def test_rows_are_found_by_their_anchor_and_right_in_every_column_that_the_sheet_names() -> None:
    text = "1.地图SDK,由甲公司提供。"
    row = ProfileRow(("地图SDK", "甲公司", "", ""), cite(text, text))
    stray = ProfileRow(("别的SDK", "", "", ""), cite("别的SDK。", "别的SDK。"))
    cell = Cell("sdks", columns=CELL_COLUMNS["sdks"], rows=(row, stray))
    expected = [
        {"app": "示例", "key": "sdks", "anchor": "地图SDK", "name": "地图SDK", "company": "甲公司"},
        {"app": "示例", "key": "sdks", "anchor": "地图SDK", "name": "地图SDK", "company": "乙公司"},
        {"app": "示例", "key": "sdks", "anchor": "推送SDK", "name": "推送SDK"},
    ]
    score = ListScore()
    score_list(cell, expected, score)
    assert (score.expected, score.found, score.right, score.rows, score.extra) == (3, 2, 1, 2, 1)
    assert (score.named, score.same) == ({"name": 2, "company": 2}, {"name": 2, "company": 1})
    assert score.missing == ["示例 sdks: 推送SDK"]


def test_the_report_counts_cells_lists_and_facts() -> None:
    quote = "拨打400-123-4567投诉。"
    complaint = Cell("right_complaint", cite(quote, quote), (Fact("phone", "400-123-4567", 2, 14, "p"),))
    by_key = {"court": CITED, "right_complaint": complaint}
    cells = tuple(by_key.get(key, Cell(key, columns=CELL_COLUMNS.get(key, ()))) for key in CELL_KEYS)
    sheet = {
        "cell": [
            {"app": "示例", "key": "court", "stated": True, "evidence": ["由被告所在地法院管辖"]},
            {
                "app": "示例",
                "key": "right_complaint",
                "stated": True,
                "evidence": ["投诉"],
                "contact": "400-123-4567",
                "time_limit": "15日",
            },
            {"app": "示例", "key": "children", "stated": True, "evidence": ["监护人"]},
        ],
        "row": [{"app": "示例", "key": "sharing", "anchor": "第三方", "recipient": "第三方"}],
    }
    score = score_profiles([Profile("示例", "p", "s", None, cells)], sheet)
    lines = report(score, verbose=True).splitlines()
    assert "right: 2 of 3 (66.7%)" in lines
    assert "contact named: 1, found: 1" in lines
    assert "time_limit named: 1, found: 0" in lines
    assert "missing 示例 sharing: 第三方" in lines
    assert score.cells["children"] == {'false "not stated"': 1}
